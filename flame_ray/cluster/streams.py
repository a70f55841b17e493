"""Streams of work: a map over futures, prefetching on threads, and what an actor yields."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import Any, TypeVar

from flame_ray.cluster.interrupt import raise_if_interrupted, take, wait_until_done

Item = TypeVar("Item")
Key = TypeVar("Key")
Value = TypeVar("Value")


def bounded_map(
    submit: Callable[[Item], Future], items: Iterable[Item], window: int, ordered: bool = False
) -> Iterator[tuple[Item, Future]]:
    """Submit each item, at most `window` at a time, and yield `(item, finished future)` pairs.

    `submit` returns a new future for each item. The pairs come in the order in which the futures finish, or, with `ordered`,
    in the order of the items. A pair that is ready is yielded before the next item is read. Raises Interrupted while it waits.
    """
    in_flight: dict[Future, Item] = {}  # in the order of the items
    finished: SimpleQueue[Future] = SimpleQueue()

    def oldest() -> Future:
        return next(iter(in_flight))

    def next_finished() -> Future:
        return wait_until_done(oldest()) if ordered else take(finished)

    for item in items:
        raise_if_interrupted()
        future = submit(item)
        in_flight[future] = item
        if not ordered:
            future.add_done_callback(finished.put)
        while in_flight and (len(in_flight) >= window or (oldest().done() if ordered else not finished.empty())):
            future = next_finished()
            yield in_flight.pop(future), future
    while in_flight:
        future = next_finished()
        yield in_flight.pop(future), future


def numbered(items: Iterable[Item]) -> Iterator[tuple[int, Item]]:
    """Like `enumerate`, but a generator: Ray calls `send` on what an actor yields from, and `enumerate` has no `send`."""
    yield from ((position, item) for position, item in enumerate(items))


def gather(futures: Mapping[Key, Future]) -> Future:
    """A future that finishes when all of `futures` have, whether or not they failed. Its result is `futures`."""
    gathered: Future = Future()
    unchecked = iter(futures.values())

    def wait_for_next(_: object = None) -> None:
        if (future := next(unchecked, None)) is None:
            gathered.set_result(futures)
        else:
            future.add_done_callback(wait_for_next)

    wait_for_next()
    return gathered


def prefetch(work: Callable[[Key], Value], keys: Iterable[Key], ahead: int) -> Iterator[tuple[Key, Value]]:
    """Yield `(key, work(key))` in the order of the keys; while the caller uses one value, up to `ahead` more are computed.

    >>> list(prefetch(lambda key: key * 10, [1, 2, 3], ahead=1))
    [(1, 10), (2, 20), (3, 30)]
    """
    remaining = iter(keys)
    started: deque[tuple[Key, Future]] = deque()

    def start(count: int) -> None:
        started.extend((key, start_thread(work, key)) for key in islice(remaining, count))

    start(1)
    while started:
        key, future = started.popleft()
        wait_until_done(future)
        start(ahead - len(started))
        yield key, future.result()
        del future  # and its value, before the next one is computed
        if not started:
            start(1)


def start_thread(work: Callable[..., Value], *args: Any) -> Future:
    """Run `work(*args)` on a daemon thread, so that an interrupted run can exit before it finishes."""
    future: Future = Future()

    def run() -> None:
        try:
            answer: Callable[[], None] = partial(future.set_result, work(*args))
        except BaseException as error:
            answer = partial(future.set_exception, error)
        with suppress(InvalidStateError):  # nobody waits for it any more
            answer()

    threading.Thread(target=run, name=getattr(work, "__name__", "work"), daemon=True).start()
    return future
