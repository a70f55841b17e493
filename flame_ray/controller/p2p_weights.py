"""Sends weights from the learner's GPUs straight into the rollout workers' GPUs. Not yet tried on a GPU."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from flame_ray.cluster.event_loop import on_thread
from flame_ray.cluster.failures import is_death
from flame_ray.engines.base import ModelFolder, Received, Weights
from flame_ray.errors import EngineDied, EngineError
from flame_ray.learner.durable import DurableLearner

log = logging.getLogger(__name__)
RANKS_TIMEOUT_S = 60.0
POLL_S = 0.05  # a worker that dies before it comes is no longer waited for


def _ranks_of(worker: Any) -> int:
    return ray.get(worker.ranks.remote(), timeout=RANKS_TIMEOUT_S)


class P2PWeights:
    """One version of the weights, which the learner gathers once and sends to all workers together.

    `backend` is nccl or ipc. `serving` gives the workers to wait for. `folder` holds the merged weights of the same version,
    for workers that come later.
    """

    def __init__(
        self,
        learner: DurableLearner,
        backend: str,
        folder: ModelFolder,
        serving: Callable[[], Sequence[Any]],
        ranks_of: Callable[[Any], int] = _ranks_of,
    ):
        self._learner, self._backend, self._folder = learner, backend, folder
        self._serving, self._ranks_of = serving, ranks_of
        self._here: list[Any] = []
        self._sending: asyncio.Future | None = None
        self._sent_to: frozenset[Any] | None = None  # None: nothing was sent yet

    async def __call__(self, worker: Any) -> Weights:
        """Wait until every serving worker has come, send to all, and return what this one still has to load.

        Raises EngineDied if the worker must be replaced.
        """
        if self._sent_to is None and self._sending is None:
            await self._wait_for_others(worker)
            self._sending = self._sending or asyncio.ensure_future(on_thread(self.send, tuple(self._here)))
        if self._sending is not None and worker in self._here:
            await asyncio.shield(self._sending)  # a worker that goes leaves the others to it
        return Received() if worker in (self._sent_to or ()) else self._folder

    async def _wait_for_others(self, worker: Any) -> None:
        self._here.append(worker)
        try:
            while self._sending is None and not set(self._serving()) <= set(self._here):
                await asyncio.sleep(POLL_S)
        except asyncio.CancelledError:
            self._here.remove(worker)
            raise

    def send(self, workers: Sequence[Any]) -> None:
        """Send the weights to these workers; all others load the folder. Raises EngineDied if all of these must be replaced.

        When a transfer breaks, the learner and the workers would wait for each other forever, so all are stopped.
        """
        self._sent_to = frozenset()
        if not (ranks := self._ranks(workers)):
            return
        group = self._learner.group
        try:
            group.send(ranks, self._backend)
            self._sent_to = frozenset(ranks)
        except (EngineError, RayError) as error:
            if not isinstance(error, EngineError) and not is_death(error):
                raise
            log.warning("sending weights failed; the workers and the learner are started again: %s", error)
            group.stop()
            raise EngineDied(
                "weights sent from GPU to GPU", f"a transfer that broke: {error}", "see the logs of both sides"
            ) from error

    def _ranks(self, workers: Sequence[Any]) -> dict[Any, int]:
        """The GPUs of each worker. One that has died is left out; its pool replaces it."""
        ranks = {}
        for worker in workers:
            try:
                ranks[worker] = self._ranks_of(worker)
            except RayError as error:
                if not is_death(error):
                    raise
        return ranks
