"""How much work is in flight, and in which order its results come."""

import random
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from flame_ray.cluster.streams import bounded_map, gather, prefetch
from flame_ray.errors import ModelError

PATIENCE_S = 30.0
BOTH_ORDERS = pytest.mark.parametrize("ordered", [False, True])
LOST = ModelError("a model", "none", "give one")


class Source:
    """Items, and which of them have been read."""

    def __init__(self, items: Iterable):
        self.items, self.read = items, []

    def __iter__(self) -> Iterator:
        for item in self.items:
            self.read.append(item)
            yield item


class Desk:
    """Takes items and gives a future for each. `finish` lists, for each item, the items whose futures finish when it comes."""

    def __init__(self, finish: dict[int, list[int]] | None = None):
        self.futures: dict[int, Future] = {}
        self.finish = finish or {}

    def submit(self, item: int) -> Future:
        future = self.futures[item] = Future()
        for done in self.finish.get(item, []):
            self.futures[done].set_result(done)
        return future


@BOTH_ORDERS
@pytest.mark.parametrize("window", [1, 3, 8])
def test_no_more_than_the_window_is_read_and_not_yet_yielded_however_long_the_source(ordered, window):
    source, yielded = Source(range(500)), []
    rng = random.Random(window)

    with ThreadPoolExecutor(4) as workers:

        def submit(item: int) -> Future:
            assert len(source.read) - len(yielded) <= window
            return workers.submit(threading.Event().wait, rng.random() * 0.0005)

        for item, _ in bounded_map(submit, source, window, ordered):
            yielded.append(item)
    assert sorted(yielded) == list(range(500))


def test_pairs_come_in_the_order_in_which_their_futures_finish():
    desk = Desk({3: [2, 0, 1, 3]})
    found = [(item, future.result()) for item, future in bounded_map(desk.submit, range(4), window=9)]
    assert found == [(2, 2), (0, 0), (1, 1), (3, 3)]


def test_ordered_pairs_come_in_the_order_of_the_items():
    desk = Desk({3: [2, 0, 1, 3]})
    found = [(item, future.result()) for item, future in bounded_map(desk.submit, range(4), window=9, ordered=True)]
    assert found == [(0, 0), (1, 1), (2, 2), (3, 3)]


@BOTH_ORDERS
def test_what_is_finished_is_yielded_before_the_next_item_is_read(ordered):
    desk, source = Desk({0: [0], 1: [1], 2: [2]}), Source(range(3))
    for item, _ in bounded_map(desk.submit, source, window=9, ordered=ordered):
        assert item == source.read[-1]
    assert source.read == [0, 1, 2]


def test_an_unfinished_first_item_holds_back_the_later_ones_only_where_the_order_counts():
    source, desk = Source(range(10**9)), Desk({1: [1], 4: [0]})
    assert next(bounded_map(desk.submit, source, window=5))[0] == 1
    assert source.read == [0, 1]
    source, desk = Source(range(10**9)), Desk({1: [1], 4: [0]})
    assert next(bounded_map(desk.submit, source, window=5, ordered=True))[0] == 0
    assert source.read == [0, 1, 2, 3, 4]


@BOTH_ORDERS
def test_a_failed_item_comes_in_its_turn_and_the_others_too(ordered):
    desk = Desk({0: [0]})

    def submit(item: int) -> Future:
        future = desk.submit(item)
        if item:
            future.set_exception(LOST)
        return future

    found = [(item, future.exception()) for item, future in bounded_map(submit, range(3), window=9, ordered=ordered)]
    assert found == [(0, None), (1, LOST), (2, LOST)]


@BOTH_ORDERS
def test_a_failure_to_read_an_item_is_raised(ordered):
    def items() -> Iterator[int]:
        yield 0
        raise LOST

    with pytest.raises(ModelError):
        list(bounded_map(Desk().submit, items(), window=2, ordered=ordered))


@BOTH_ORDERS
def test_no_items_give_no_pairs(ordered):
    assert list(bounded_map(Desk().submit, [], window=1, ordered=ordered)) == []


def test_gathered_futures_are_finished_when_the_last_of_them_is_in_whatever_order_they_finish():
    futures = {name: Future() for name in ("judge", "factuality", "length")}
    gathered = gather(futures)
    for name in ("length", "judge"):
        futures[name].set_result(name)
        assert not gathered.done()
    futures["factuality"].set_exception(LOST)
    assert gathered.result(timeout=0) == futures
    assert gather({}).result(timeout=0) == {}


class Work:
    """key -> 10 * key; notes which keys began, and keeps those in `held` until they are let go."""

    def __init__(self, held: tuple[int, ...] = (), fails_at: int | None = None):
        self.began = {key: Future() for key in range(1, 6)}
        self.held = {key: threading.Event() for key in held}
        self.fails_at = fails_at

    def __call__(self, key: int) -> int:
        self.began[key].set_result(None)
        if key in self.held:
            assert self.held[key].wait(PATIENCE_S)
        if key == self.fails_at:
            raise KeyError(f"work {key}")
        return 10 * key

    def wait_until_begun(self, *keys: int) -> None:
        assert not wait([self.began[key] for key in keys], PATIENCE_S).not_done


@pytest.mark.parametrize("ahead", [0, 1, 2, 9])
def test_values_come_with_their_keys_in_the_order_of_the_keys(ahead):
    assert list(prefetch(Work(), range(1, 6), ahead)) == [(key, 10 * key) for key in range(1, 6)]
    assert list(prefetch(Work(), [], ahead)) == []


def test_values_come_in_order_though_a_later_one_is_done_first():
    work = Work(held=(2,))
    found = prefetch(work, [1, 2, 3], ahead=2)
    assert next(found) == (1, 10)
    work.wait_until_begun(1, 2, 3)
    work.held[2].set()
    assert list(found) == [(2, 20), (3, 30)]


@pytest.mark.parametrize("ahead", [0, 1, 2, 9])
def test_while_a_value_is_used_so_many_more_are_computed_and_no_more(ahead):
    work, keys = Work(), Source(range(1, 6))
    found = prefetch(work, keys, ahead)
    assert keys.read == []
    for key, _ in found:
        assert keys.read == list(range(1, min(key + ahead, 5) + 1))
        work.wait_until_begun(*keys.read)


def test_the_second_is_begun_only_when_the_first_is_done():
    """A round's samples come from weights that the round before has not changed yet, but only after its prompts are sampled."""
    read_when_done = []

    def work(key: int) -> None:
        threading.Event().wait(0.05)  # nothing waits for this: it gives a second key that is read too early time to be seen
        read_when_done.append(list(keys.read))

    keys = Source([1, 2])
    next(prefetch(work, keys, ahead=1))
    assert read_when_done[0] == [1]


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_an_error_is_raised_where_its_value_would_have_come(ahead):
    found = prefetch(Work(fails_at=2), [1, 2, 3], ahead)
    assert next(found) == (1, 10)
    with pytest.raises(KeyError, match="work 2"):
        next(found)


def test_a_caller_that_stops_early_does_not_wait_for_what_was_begun():
    work = Work(held=(2,))
    found = prefetch(work, [1, 2], ahead=1)
    next(found)
    work.wait_until_begun(1, 2)
    found.close()  # returns, though work 2 has not
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("prefetch"))
    work.held[2].set()


def test_a_value_that_the_caller_has_dropped_is_gone_before_the_next_one_is_computed():
    class Value:
        pass

    made: list[weakref.ref] = []

    def work(key: int) -> Value:
        deadline = time.monotonic() + PATIENCE_S
        while any(each() for each in made):
            assert time.monotonic() < deadline, "the value before is still in memory"
            threading.Event().wait(0.01)
        made.append(weakref.ref(value := Value()))
        return value

    for _, value in prefetch(work, range(3), ahead=0):
        del value
    assert len(made) == 3
