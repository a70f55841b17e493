"""Weights that go straight from the learner's GPUs into a rollout worker's, for as long as the learner is free to send.

In: a learner, and one worker after another, from any thread. Out: what is left for the worker to load: nothing, or the
folder of the same weights, for one that joins when the learner is at work again. Untried on a GPU.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError

from flame_ray.cluster.failures import is_death
from flame_ray.engines.base import ModelFolder, Received, Weights
from flame_ray.errors import EngineDied, EngineError, LearnerDied
from flame_ray.learner.durable import DurableLearner

log = logging.getLogger(__name__)
ASK_S = 60.0


def _ask_ranks(worker: Any) -> int:
    return ray.get(worker.ranks.remote(), timeout=ASK_S)


class Direct:
    """One version on its way. The learner must not be called by others until `close` has returned.

    `backend`: nccl or ipc. `folder`: the merged weights of the same version.
    """

    def __init__(self, learner: DurableLearner, backend: str, folder: ModelFolder, ranks: Callable[[Any], int] = _ask_ranks):
        self._learner, self._backend, self._folder, self._ranks = learner, backend, folder, ranks
        self._reached: set[Any] = set()
        self._is_open = True
        self._turn = threading.Lock()

    def __call__(self, worker: Any) -> Weights:
        """Send to one worker, while no other is sent to. Raises EngineDied where the worker is of no use any more."""
        with self._turn:
            if worker in self._reached:
                return Received()
            if not self._is_open:
                return self._folder
            self._send(worker)
            self._reached.add(worker)
            return Received()

    def close(self) -> None:
        """Whoever comes from now on loads the folder."""
        with self._turn:
            if self._is_open:
                self._is_open = False
                with suppress(LearnerDied):  # it starts again at its next call
                    self._learner.group.end_push()

    def _send(self, worker: Any) -> None:
        """A transfer that broke leaves both sides waiting for each other for ever, and so both are given up."""
        ranks = self._ranks(worker)
        try:
            self._learner.group.send(worker, ranks, self._backend)
        except (EngineError, RayError) as error:
            if not isinstance(error, EngineError) and not is_death(error):
                raise
            log.warning("a transfer of weights broke; its worker and the learner start again: %s", error)
            self._is_open = False
            self._learner.group.stop()
            raise EngineDied(
                "weights sent from GPU to GPU", f"a transfer that broke: {error}", "see both sides' logs"
            ) from error
