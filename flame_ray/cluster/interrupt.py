"""Stopping a run on SIGTERM (`ray job stop`, a preempted node, Kubernetes) or Ctrl-C.

A signal handler that raised could do so inside Ray's compiled code, which turns the exception into a SystemError. So the
handler only records the signal, and every wait and every step calls `raise_if_interrupted`. A second signal has its usual
effect.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from flame_ray.errors import Interrupted

POLL_S = 0.2
_signals: list[tuple[str, list[str]]] = []  # the signal's name, and the advice given so far: the last one is shown


def raise_if_interrupted() -> None:
    """Raise Interrupted if the process has received a signal to stop."""
    if _signals:
        name, advice = _signals[0]
        raise Interrupted("a run that ends by itself", name, advice[-1])


def wait_until_done(future: Future) -> Future:
    """Wait for the future and return it. Raises Interrupted on a signal."""
    while not wait([future], timeout=POLL_S).done:
        raise_if_interrupted()
    return future


def result_of(future: Future) -> Any:
    """Wait for the future's result. Raises Interrupted on a signal, and whatever the future raises."""
    return wait_until_done(future).result()


def take(queue: SimpleQueue) -> Any:
    """Wait for the queue's next item. Raises Interrupted on a signal."""
    while True:
        raise_if_interrupted()
        try:
            return queue.get(timeout=POLL_S)
        except Empty:
            continue


@contextmanager
def interruptible(fix: str) -> Iterator[Callable[[str], None]]:
    """Within the block, a signal leads to Interrupted with the advice `fix`. Yields a call that changes the advice."""
    advice = [fix]
    if threading.current_thread() is not threading.main_thread():
        yield advice.append
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def record(number: int, frame: FrameType | None) -> None:
        _signals.append((signal.Signals(number).name, advice))
        _restore(before)

    for number in before:
        signal.signal(number, record)
    try:
        yield advice.append
    finally:
        _signals.clear()
        _restore(before)


def _restore(handlers: dict) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler or signal.SIG_DFL)
