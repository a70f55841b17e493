"""One asyncio loop on a thread of its own: where the pools wait for their actors, so that stages are plain code.

In: coroutines, from any thread. Out: futures. Knows nothing of what they do.
"""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

log = logging.getLogger(__name__)
CLOSE_S = 10.0


class Background:
    """A running loop; `close` cancels what is left on it, and does not wait for ever for what will not stop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="flame-ray pools", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, Any]) -> Future:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def soon(self, call: Any, *args: Any) -> None:
        """Run a plain call on the loop's thread."""
        self.loop.call_soon_threadsafe(call, *args)

    def close(self) -> None:
        if self._thread.is_alive():
            try:
                self.start(_cancel_others()).result(timeout=CLOSE_S)
            except TimeoutError:  # a run that failed must end with its own reason
                log.warning("calls to actors that did not stop within %g s are left behind", CLOSE_S)
            self.soon(self.loop.stop)
            self._thread.join(timeout=CLOSE_S)


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
