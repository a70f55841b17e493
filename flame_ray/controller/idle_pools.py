"""Ends the workers that have nothing to do while the learner trains, and starts them again before they are needed."""

import logging
from collections.abc import Sequence

from flame_ray.cluster.pool import WorkerPool

log = logging.getLogger(__name__)


class IdlePools:
    """The pools whose nodes may go while the learner trains; without any, nothing happens."""

    def __init__(self, pools: Sequence[WorkerPool]):
        self._pools = tuple(pools)

    def release(self) -> None:
        for pool in self._pools:
            pool.release()
        if self._pools:
            log.info("the workers of %s are released while the learner trains", ", ".join(pool.name for pool in self._pools))

    def take_back(self) -> None:
        """Ask for each pool's `min_workers`. Their nodes may boot while the learner still has something to do."""
        for pool in self._pools:
            pool.take_back()

    def grow(self) -> None:
        """Wait for these, and only then ask for the others: no pool takes the room without which another cannot begin."""
        for pool in self._pools:
            pool.wait_ready()
        for pool in self._pools:
            pool.grow()
