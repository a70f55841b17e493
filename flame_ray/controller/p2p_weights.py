"""Sends weights from the learner's GPUs straight into a rollout worker's GPUs. Not yet tried on a GPU."""

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
RANKS_TIMEOUT_S = 60.0


def _ranks_of(worker: Any) -> int:
    return ray.get(worker.ranks.remote(), timeout=RANKS_TIMEOUT_S)


class P2PWeights:
    """One version of the weights. Until `close` returns, nothing else may call the learner.

    `backend` is nccl or ipc. `folder` holds the merged weights of the same version, for workers that join after `close`.
    """

    def __init__(self, learner: DurableLearner, backend: str, folder: ModelFolder, ranks_of: Callable[[Any], int] = _ranks_of):
        self._learner, self._backend, self._folder, self._ranks_of = learner, backend, folder, ranks_of
        self._sent_to: set[Any] = set()
        self._is_open = True
        self._lock = threading.Lock()

    def __call__(self, worker: Any) -> Weights:
        """Send the weights to one worker, one worker at a time, and return what it still has to load.

        Raises EngineDied if the worker must be replaced.
        """
        with self._lock:
            if worker in self._sent_to:
                return Received()
            if not self._is_open:
                return self._folder
            self._send(worker)
            self._sent_to.add(worker)
            return Received()

    def close(self) -> None:
        """Send no more: workers that ask after this load the folder."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                with suppress(LearnerDied):  # its next call starts it again
                    self._learner.group.end_push()

    def _send(self, worker: Any) -> None:
        """When a transfer breaks, the learner and the worker would wait for each other forever, so both are stopped."""
        ranks = self._ranks_of(worker)
        try:
            self._learner.group.send(worker, ranks, self._backend)
        except (EngineError, RayError) as error:
            if not isinstance(error, EngineError) and not is_death(error):
                raise
            log.warning("sending weights failed; the worker and the learner are started again: %s", error)
            self._is_open = False
            self._learner.group.stop()
            raise EngineDied(
                "weights sent from GPU to GPU", f"a transfer that broke: {error}", "see the logs of both sides"
            ) from error
