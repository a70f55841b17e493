"""Being asked to stop: SIGTERM (`ray job stop`, a preempted node, Kubernetes) and Ctrl-C become an exception of ours."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from flame_ray.errors import Interrupted


@contextmanager
def interruptible(resume: str) -> Iterator[None]:
    """Raises Interrupted in the block, on the main thread; `resume` says how to go on. A second signal is as harsh as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, frame: FrameType | None) -> None:
        _restore(before)
        raise Interrupted("a run that ends by itself", signal.Signals(number).name, resume)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        _restore(before)


def _restore(handlers: dict) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler or signal.SIG_DFL)
