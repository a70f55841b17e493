"""Doing the next piece of work while the present one is used. Knows nothing of what the work is."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import TypeVar

from flame_ray.cluster.interrupt import result_of

Key = TypeVar("Key")
Value = TypeVar("Value")


def in_order(work: Callable[[Key], Value], keys: Iterable[Key], ahead: int) -> Iterator[tuple[Key, Value]]:
    """`(key, work(key))` in the keys' order; while one is used, up to `ahead` further ones are worked on.

    >>> list(in_order(lambda key: key * 10, [1, 2, 3], ahead=1))
    [(1, 10), (2, 20), (3, 30)]
    """
    remaining = iter(keys)
    started = deque((key, _start(work, key)) for key in islice(remaining, 1))
    while started:
        key, future = started.popleft()
        value = result_of(future)
        started.extend((later, _start(work, later)) for later in islice(remaining, ahead - len(started)))
        yield key, value
        if not started:
            started.extend((later, _start(work, later)) for later in islice(remaining, 1))


def _start(work: Callable[[Key], Value], key: Key) -> Future:
    """A daemon thread: an interrupted run does not wait for what it began ahead of time."""
    future: Future = Future()

    def carry_out() -> None:
        try:
            future.set_result(work(key))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=carry_out, name=f"ahead {key}", daemon=True).start()
    return future
