"""Being asked to stop: SIGTERM (`ray job stop`, a preempted node, Kubernetes) and Ctrl-C.

A handler that raises would do so anywhere, also inside Ray's own code, which turns it into a SystemError. So it only takes
note, and whoever waits or counts steps asks `check`. A second signal is as harsh as it would be without us.
"""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from flame_ray.errors import Interrupted

POLL_S = 0.2
_asked: list[str] = []  # the signal's name, and how to go on


def check() -> None:
    """Raises Interrupted when the process was asked to stop."""
    if _asked:
        raise Interrupted("a run that ends by itself", _asked[0], _asked[1])


def result_of(future: Future) -> Any:
    """The future's result, or Interrupted while it is not there."""
    while True:
        try:
            return future.result(timeout=POLL_S)
        except TimeoutError:
            if future.done():
                return future.result()
            check()


def take(queue: SimpleQueue) -> Any:
    """The queue's next item, or Interrupted while there is none."""
    while True:
        check()
        try:
            return queue.get(timeout=POLL_S)
        except Empty:
            continue


@contextmanager
def interruptible(resume: str) -> Iterator[None]:
    """In the block a signal makes `check` raise; `resume` says how to go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: FrameType | None) -> None:
        _asked.extend((signal.Signals(number).name, resume))
        _restore(before)

    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        _asked.clear()
        _restore(before)


def _restore(handlers: dict) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler or signal.SIG_DFL)
