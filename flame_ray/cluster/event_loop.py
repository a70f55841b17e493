"""An asyncio event loop on its own thread. The pools wait for their actors there, so that the stages can be plain code."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from flame_ray.cluster.streams import start_thread

log = logging.getLogger(__name__)
CLOSE_S = 10.0
Result = TypeVar("Result")


def on_thread(function: Callable[..., Result], *args: Any) -> Awaitable[Result]:
    """Await a call that blocks, on a daemon thread: the exit of the process waits for asyncio's own threads."""
    return asyncio.wrap_future(start_thread(function, *args))


class EventLoop:
    """A running loop, usable from any thread. `close` cancels what still runs, and waits `CLOSE_S` at most for it to stop."""

    def __init__(self, close_s: float = CLOSE_S) -> None:
        self.loop, self._close_s = asyncio.new_event_loop(), close_s
        self._thread = threading.Thread(target=self.loop.run_forever, name="flame-ray pools", daemon=True)
        self._thread.start()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Future:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call(self, function: Callable, *args: Any) -> None:
        """Call a plain function on the loop's thread, soon."""
        self.loop.call_soon_threadsafe(function, *args)

    def close(self) -> None:
        if self._thread.is_alive():
            try:
                self.start(_cancel_others()).result(timeout=self._close_s)
            except TimeoutError:  # a failed run must still end with its own error
                log.warning("calls to actors that did not stop within %g s are abandoned", self._close_s)
            self.call(self.loop.stop)
            self._thread.join(timeout=self._close_s)


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
