"""The queue from which the workers of a pool take their items."""

import asyncio
from collections import deque
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

LINGER_S = 0.02  # wait this long after the first item, so that a burst of items is divided as a whole
SUSPECT = 2  # after so many lost workers, an item is suspected to be the cause


@dataclass(slots=True)
class WorkItem:
    """One item for a worker. `weight`: its part of a batch. `attempts`: how many workers were lost while they had it.

    `label`: what it is for, in Ray's dashboard.
    """

    method: str
    payload: Any
    context: tuple
    weight: int = 1
    urgent: bool = False
    future: Future = field(default_factory=Future)
    attempts: int = 0
    label: str = ""

    def set_result(self, result: Any) -> None:
        with suppress(InvalidStateError):  # the caller has cancelled the future
            self.future.set_result(result)

    def set_exception(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)

    def can_share_batch(self, other: "WorkItem") -> bool:
        """Only alike items share a batch. A suspect item is sent alone, so that no other item is lost with it."""
        alike = (self.method, self.context, self.weight) == (other.method, other.context, other.weight)
        return alike and not (self.is_suspect or other.is_suspect)

    @property
    def is_suspect(self) -> bool:
        return self.attempts >= SUSPECT


class TaskQueue:
    """A queue for one event loop. Idle workers wait in `take`; `wake_all` makes each of them return without items."""

    def __init__(self) -> None:
        self._urgent: deque[WorkItem] = deque()
        self._waiting: deque[WorkItem] = deque()
        self._idle: deque[asyncio.Future] = deque()
        self._takers = 0  # workers inside `take`

    def __len__(self) -> int:
        return len(self._urgent) + len(self._waiting)

    def put(self, item: WorkItem) -> None:
        (self._urgent if item.urgent else self._waiting).append(item)
        self._wake_one()

    def put_back(self, item: WorkItem) -> None:
        """Queue a lost worker's item again, before all others."""
        self._urgent.appendleft(item)
        self._wake_one()

    async def take(self, most: int) -> list[WorkItem]:
        """Items that share a batch, of a total weight up to `most`; [] after `wake_all`.

        What waits is divided equally among the workers that are idle now. Busy workers get no share: many small batches would
        take longer than a few full ones.
        """
        self._takers += 1
        try:
            if not (self._urgent or self._waiting) and not await self._wait_for_item():
                return []
            return self._take_share(most)
        finally:
            self._takers -= 1

    def take_more(self, most: int) -> list[WorkItem]:
        """Like `take`, for a worker that has other items: does not wait, takes nothing heavier than `most`, and no suspect."""
        queue = self._urgent or self._waiting
        if not queue or queue[0].weight > most or queue[0].is_suspect:
            return []
        self._takers += 1
        try:
            return self._take_share(most)
        finally:
            self._takers -= 1

    def _take_share(self, most: int) -> list[WorkItem]:
        queue = self._urgent or self._waiting
        if not queue:
            return []
        equal_share = -(-len(queue) // self._takers)
        taken = [queue.popleft()]
        limit = min(equal_share, most // taken[0].weight)
        while queue and len(taken) < limit and queue[0].can_share_batch(taken[0]):
            taken.append(queue.popleft())
        if self._urgent or self._waiting:
            self._wake_one()
        return taken

    async def _wait_for_item(self) -> bool:
        """True when an item has come, False after `wake_all`."""
        wake_up = asyncio.get_running_loop().create_future()
        self._idle.append(wake_up)
        try:
            has_item = await wake_up
            if has_item:
                await asyncio.sleep(LINGER_S)
        except asyncio.CancelledError:  # this worker goes, so another one must take the item
            if not wake_up.cancelled():
                self._wake_one()
            raise
        return has_item

    def wake_all(self) -> None:
        while self._idle:
            _wake(self._idle.popleft(), False)

    def clear(self) -> list[WorkItem]:
        """Remove all items and return them."""
        removed = [*self._urgent, *self._waiting]
        self._urgent.clear()
        self._waiting.clear()
        return removed

    def _wake_one(self) -> None:
        while self._idle and not _wake(self._idle.popleft(), True):
            pass


def _wake(wake_up: asyncio.Future, has_item: bool) -> bool:
    """Returns False if the worker no longer waits."""
    if wake_up.done():
        return False
    wake_up.set_result(has_item)
    return True
