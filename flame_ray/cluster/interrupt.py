"""Being asked to stop: SIGTERM (`ray job stop`, a preempted node, Kubernetes) and Ctrl-C.

A handler that raises would do so anywhere, also inside Ray's own code, which turns it into a SystemError. So it only takes
note, and whoever waits or counts steps asks `check`. A second signal is as harsh as it would be without us.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from flame_ray.errors import Interrupted

POLL_S = 0.2
_asked: list[tuple[str, list[str]]] = []  # the signal's name, and how to go on: the last advice holds


def check() -> None:
    """Raises Interrupted when the process was asked to stop."""
    if _asked:
        name, advice = _asked[0]
        raise Interrupted("a run that ends by itself", name, advice[-1])


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
def interruptible(fix: str) -> Iterator[Callable[[str], None]]:
    """In the block a signal makes `check` raise; `fix` says how to go on, until what is yielded is told otherwise."""
    advice = [fix]
    if threading.current_thread() is not threading.main_thread():
        yield advice.append
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: FrameType | None) -> None:
        _asked.append((signal.Signals(number).name, advice))
        _restore(before)

    for number in before:
        signal.signal(number, note)
    try:
        yield advice.append
    finally:
        _asked.clear()
        _restore(before)


def _restore(handlers: dict) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler or signal.SIG_DFL)
