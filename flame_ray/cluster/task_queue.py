"""What waits for a worker: items of work in the order they came, with those that a dead worker left first in line.

In: items. Out: a worker's next share of them. Knows nothing of actors.
"""

import asyncio
from collections import deque
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

LINGER_S = 0.02  # a burst of items is shared out whole, not one by one as it comes in
SUSPECT = 2  # deaths


@dataclass(slots=True)
class Task:
    """`weight`: how much of a worker's batch it fills. `attempts`: how many workers were lost while they had it."""

    method: str
    item: Any
    context: tuple
    weight: int = 1
    urgent: bool = False
    future: Future = field(default_factory=Future)
    attempts: int = 0

    def settle(self, result: Any) -> None:
        with suppress(InvalidStateError):  # nobody waits for it any more
            self.future.set_result(result)

    def refuse(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)

    def goes_with(self, other: "Task") -> bool:
        """What was there at two deaths goes alone: if it is the cause, it takes no other item with it."""
        alike = (self.method, self.context, self.weight) == (other.method, other.context, other.weight)
        return alike and max(self.attempts, other.attempts) < SUSPECT


class TaskQueue:
    """Used on one event loop. Idle workers wait in `take`; `nudge` makes all of them look up."""

    def __init__(self) -> None:
        self._urgent: deque[Task] = deque()
        self._waiting: deque[Task] = deque()
        self._idle: deque[asyncio.Future] = deque()
        self._hungry = 0  # workers inside `take`

    def put(self, task: Task) -> None:
        (self._urgent if task.urgent else self._waiting).append(task)
        self._call_one()

    def put_back(self, task: Task) -> None:
        self._urgent.appendleft(task)
        self._call_one()

    async def take(self, most: int) -> list[Task]:
        """Items that go together, of a weight up to `most` and no more than an equal share of those without work; [] after a
        nudge. Who works is not waited for: the last items in small pieces would cost a batch each.
        """
        self._hungry += 1
        try:
            if not (self._urgent or self._waiting) and not await self._called():
                return []
            return self._share(most)
        finally:
            self._hungry -= 1

    def _share(self, most: int) -> list[Task]:
        queue = self._urgent or self._waiting
        share, taken = -(-len(queue) // self._hungry), [queue.popleft()] if queue else []
        while queue and len(taken) < share and queue[0].goes_with(taken[0]) and (len(taken) + 1) * taken[0].weight <= most:
            taken.append(queue.popleft())
        if self._urgent or self._waiting:
            self._call_one()
        return taken

    async def _called(self) -> bool:
        """Wait for a call; True for an item, False for a nudge."""
        called = asyncio.get_running_loop().create_future()
        self._idle.append(called)
        try:
            is_item = await called
            if is_item:
                await asyncio.sleep(LINGER_S)
        except asyncio.CancelledError:  # this worker goes: its call is for another one
            if not called.cancelled():
                self._call_one()
            raise
        return is_item

    def nudge(self) -> None:
        while self._idle:
            _answer(self._idle.popleft(), False)

    def clear(self) -> list[Task]:
        left = [*self._urgent, *self._waiting]
        self._urgent.clear()
        self._waiting.clear()
        return left

    def _call_one(self) -> None:
        while self._idle and not _answer(self._idle.popleft(), True):
            pass


def _answer(waiting: asyncio.Future, value: bool) -> bool:
    """False if whoever waited has gone."""
    if waiting.done():
        return False
    waiting.set_result(value)
    return True
