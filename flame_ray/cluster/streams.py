"""Work that flows: results as they are done, with a bound on how much is under way.

In: items, and a call that gives a future for one. Out: results, in the order in which they are done. A long stream holds
no more than its window in memory, whatever its length.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

from flame_ray.cluster.interrupt import take

Item = TypeVar("Item")


def streamed(submit: Callable[[Item], Future], items: Iterable[Item], window: int) -> Iterator:
    """At most `window` items are under way; a failure is raised where its result would have come."""
    finished: SimpleQueue[Future] = SimpleQueue()
    under_way = 0
    for item in items:
        submit(item).add_done_callback(finished.put)
        under_way += 1
        while under_way >= window or not finished.empty():
            yield take(finished).result()
            under_way -= 1
    for _ in range(under_way):
        yield take(finished).result()
