"""Results as they are done, with a bound on how many are under way."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from flame_ray.cluster.streams import streamed
from flame_ray.errors import ModelError

PATIENCE_S = 30.0


class Desk:
    """Takes items and hands out futures; `under_way` are those taken and not yet given on by the stream."""

    def __init__(self) -> None:
        self.futures: list[Future] = []
        self.given_on = self.most = 0

    def submit(self, item) -> Future:
        self.futures.append(Future())
        self.most = max(self.most, len(self.futures) - self.given_on)
        return self.futures[-1]

    def settle(self, *places: int) -> None:
        for place in places:
            self.futures[place].set_result(f"result {place}")


def in_background(call, *args) -> threading.Thread:
    thread = threading.Thread(target=call, args=args, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("window", [1, 3, 8])
def test_no_more_than_the_window_is_under_way_however_long_the_stream_and_slow_its_reader(window):
    """Counted in `submit`: items taken less results that the reader has had, so that memory stays flat."""
    desk, drawn = Desk(), 0
    rng = random.Random(window)

    def items() -> Iterator[int]:
        nonlocal drawn
        for item in range(500):
            drawn += 1
            assert drawn - desk.given_on <= window
            yield item

    with ThreadPoolExecutor(4) as workers:

        def submit(item: int) -> Future:
            future = desk.submit(item)
            workers.submit(lambda: threading.Event().wait(rng.random() * 0.0005) or future.set_result(item))
            return future

        results = []
        for result in streamed(submit, items(), window):
            results.append(result)
            desk.given_on += 1
    assert sorted(results) == list(range(500))
    assert desk.most == window


def test_a_full_window_waits_for_a_result_and_then_takes_one_more_item():
    desk = Desk()
    results: list[str] = []
    reader = in_background(lambda: results.extend(streamed(desk.submit, range(4), window=2)))
    reader.join(0.1)
    assert (len(desk.futures), results) == (2, [])
    desk.settle(1)
    reader.join(0.1)
    assert (len(desk.futures), results) == (3, ["result 1"])
    desk.settle(0, 2)
    reader.join(0.1)
    desk.settle(3)
    reader.join(PATIENCE_S)
    assert results == ["result 1", "result 0", "result 2", "result 3"]


def test_results_come_in_the_order_in_which_they_are_done():
    desk = Desk()

    def submit(item: int) -> Future:
        future = desk.submit(item)
        if item == 3:
            desk.settle(2, 0, 1, 3)
        return future

    assert list(streamed(submit, range(4), window=9)) == ["result 2", "result 0", "result 1", "result 3"]


def test_what_is_done_is_given_on_before_the_next_item_is_taken():
    desk, drawn = Desk(), []

    def submit(item: int) -> Future:
        future = desk.submit(item)
        desk.settle(item)
        return future

    for result in streamed(submit, (drawn.append(i) or i for i in range(3)), window=9):
        assert result == f"result {drawn[-1]}"
    assert drawn == [0, 1, 2]


def test_a_failure_is_raised_where_its_result_would_have_come():
    desk = Desk()

    def submit(item: int) -> Future:
        future = desk.submit(item)
        if item == 2:
            desk.settle(1)
            desk.futures[0].set_exception(ModelError("a model", "none", "give one"))
        return future

    stream = streamed(submit, range(3), window=9)
    assert next(stream) == "result 1"
    with pytest.raises(ModelError, match="a model"):
        next(stream)


def test_a_failure_among_the_items_themselves_is_raised():
    def items() -> Iterator[int]:
        yield 0
        raise ModelError("a model", "none", "give one")

    with pytest.raises(ModelError):
        list(streamed(Desk().submit, items(), window=2))


def test_no_items_give_no_results():
    assert list(streamed(Desk().submit, [], window=1)) == []
