"""Stopping a run on SIGTERM (`ray job stop`, a preempted node, Kubernetes) or Ctrl-C.

A signal handler that raised could do so inside Ray's compiled code, which turns the exception into a SystemError. So while
Ray is connected (`signals_recorded`) the handler only records the signal, and every wait and every step calls
`raise_if_interrupted`. At other times, as during long imports and checks, the signal ends the block at once. A second signal
has its usual effect.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from flame_ray.errors import Interrupted

POLL_S = 0.2
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class _State:
    """Of the whole process, as its signals are. `handlers`: those of before. Of the advice, the last is shown."""

    signals: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    handlers: dict[int, Any] = field(default_factory=dict)
    only_recorded: bool = False


_state = _State()


def is_interrupted() -> bool:
    """Whether the process has received a signal to stop."""
    return bool(_state.signals)


def raise_if_interrupted() -> None:
    """Raise Interrupted if the process has received a signal to stop."""
    if is_interrupted():
        raise Interrupted("a run that ends by itself", _state.signals[0], _state.advice[-1])


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
    """Within the block, a signal leads to Interrupted with the advice `fix`. Yields a call that changes the advice.

    Inside another such block it only adds its advice.
    """
    depth = len(_state.advice)
    _state.advice.append(fix)
    try:
        if depth or threading.current_thread() is not threading.main_thread():
            yield _state.advice.append
        else:
            with _handlers_installed():
                yield _state.advice.append
    finally:
        del _state.advice[depth:]


@contextmanager
def signals_recorded() -> Iterator[None]:
    """Within the block, a signal raises nothing by itself: `raise_if_interrupted` does."""
    before = _state.only_recorded
    _state.only_recorded = True
    try:
        yield
    finally:
        _state.only_recorded = before


def keep_handlers() -> None:
    """Take the signals back from Ray, which replaces the handlers of `interruptible` when it starts.

    Its C++ handler, if it hears a signal before ours, also sets an alarm that aborts the process 3 seconds later.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if _state.signals:
        signal.alarm(0)
        return
    for number in _state.handlers:
        signal.signal(number, _received)


@contextmanager
def _handlers_installed() -> Iterator[None]:
    _state.handlers = {number: signal.getsignal(number) for number in SIGNALS}
    for number in _state.handlers:
        signal.signal(number, _received)
    try:
        yield
    except KeyboardInterrupt:  # raised by `_received`, or by a second signal
        raise_if_interrupted()
        raise
    finally:
        _state.signals.clear()
        _restore()
        _state.handlers = {}


def _received(number: int, frame: FrameType | None) -> None:
    _state.signals.append(signal.Signals(number).name)
    _restore()
    if not _state.only_recorded:
        raise KeyboardInterrupt


def _restore() -> None:
    for number, handler in _state.handlers.items():
        signal.signal(number, handler or signal.SIG_DFL)
