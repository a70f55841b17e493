"""Waits that have a limit and a signal ends, and that say every half minute what they wait for."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

import ray
from ray.exceptions import RayError

from flame_ray.cluster import autoscaler
from flame_ray.cluster.interrupt import POLL_S, raise_if_interrupted

log = logging.getLogger(__name__)
REMIND_S = 30.0
RESOURCES = ("CPU", "GPU")


class Waiting:
    """One wait of at most `limit_s` seconds for `what`, in words; a call is asked for them at each reminder.

    `for_room`: it waits for room on the cluster, so each reminder also says what the cluster has or will have.
    `until_done`: a signal does not end it, because a state is saved after a signal too.
    """

    def __init__(
        self,
        what: str | Callable[[], str],
        limit_s: float,
        for_room: bool = False,
        until_done: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.limit_s, self._what, self._for_room, self._until_done = limit_s, what, for_room, until_done
        self._clock, self._started, self._reminded = clock, clock(), clock()

    def has_time(self) -> bool:
        """False once the limit is over. Raises Interrupted on a signal. Call it again and again, between short waits."""
        if not self._until_done:
            raise_if_interrupted()
        now = self._clock()
        if now - self._reminded >= REMIND_S:
            self._reminded = now
            what = self._what if isinstance(self._what, str) else self._what()
            room = f"; {room_in_words()}" if self._for_room else ""
            log.info("waiting for %s: %.0f of %.0f s%s", what, now - self._started, self.limit_s, room)
        return now - self._started < self.limit_s

    def result_of(self, future: Future) -> Any:
        """The future's result, whenever it comes: the future has a limit of its own. Raises what the future raises."""
        while not wait([future], timeout=POLL_S).done:
            self.has_time()
        return future.result()

    def all_ready(self, calls: list[ray.ObjectRef]) -> bool:
        """Wait for Ray's answers. False if one is missing when the limit is over."""
        while True:
            if len(ray.wait(calls, num_returns=len(calls), timeout=POLL_S, fetch_local=False)[0]) == len(calls):
                return True
            if not self.has_time():
                return False


def room_in_words() -> str:
    """What the autoscaler does, or without one what is free. A Ray that does not answer is no reason to end a wait."""
    if not ray.is_initialized():
        return "no Ray is connected"
    try:
        if scaling := autoscaler.look():
            return f"autoscaler: {scaling}"
        free = ray.available_resources()
    except RayError as error:
        return f"Ray's control service did not answer ({type(error).__name__})"
    return "free now: " + ", ".join(f"{free.get(name, 0):g} {name}" for name in RESOURCES)
