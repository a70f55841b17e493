"""The tasks that keep a pool's workers, one for each slot: started, ended together, and started again."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Slots:
    """For one event loop, on whose thread all of this is called. `run` keeps the workers of a slot until it is cancelled."""

    def __init__(self, run: Callable[[int], Coroutine[Any, Any, None]], least: int):
        self._run, self._least, self._released = run, least, False
        self._tasks: dict[int, asyncio.Task] = {}

    def fill(self, count: int) -> None:
        """Start a task for each of so many slots that has none."""
        for slot in range(count):
            if slot not in self._tasks:
                self._tasks[slot] = asyncio.get_running_loop().create_task(self._run(slot))

    def cancel(self) -> list[asyncio.Task]:
        tasks = [*self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        return tasks

    async def release(self) -> None:
        """End all tasks, and wait until they have ended."""
        await asyncio.gather(*self.cancel(), return_exceptions=True)
        self._released = True

    def take_back(self) -> None:
        """After `release`, fill as many slots as there must be at least."""
        if self._released:
            self._released = False
            self.fill(self._least)
