"""Being asked to stop."""

import os
import signal
import sys
import threading
from concurrent.futures import Future
from queue import SimpleQueue

import pytest

from flame_ray.cluster.interrupt import (
    handlers_kept,
    interruptible,
    raise_if_interrupted,
    result_of,
    signals_recorded,
    take,
)
from flame_ray.cluster.streams import bounded_map, prefetch
from flame_ray.errors import Interrupted

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@pytest.fixture(autouse=True)
def plain():
    """Handlers that were there before, which only note what they hear."""
    heard: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: heard.append(number)) for number in (signal.SIGTERM, signal.SIGINT)
    }
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@SIGNALS
def test_a_signal_becomes_an_error_that_says_how_to_go_on_with_an_exit_code_of_its_own(number, plain):
    with pytest.raises(Interrupted) as caught, interruptible("go on with --resume mine"):
        send(number)
        raise_if_interrupted()
    assert (caught.value.found, caught.value.fix) == (signal.Signals(number).name, "go on with --resume mine")
    assert caught.value.exit_code == 75
    assert plain == []


def test_how_to_go_on_may_change_within_the_block_even_after_the_signal():
    with interruptible("start it again") as advise, signals_recorded():
        send(signal.SIGTERM)
        with pytest.raises(Interrupted, match="To fix: start it again"):
            raise_if_interrupted()
        advise("go on with --resume mine")
        with pytest.raises(Interrupted, match="To fix: go on with --resume mine"):
            raise_if_interrupted()


def set_exiting_handler() -> None:
    """As `ray.init` does when it begins."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))


def test_a_signal_is_noticed_after_a_block_that_set_a_handler_of_its_own(plain):
    with interruptible("go on"), signals_recorded():
        with handlers_kept():
            set_exiting_handler()
        send(signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM"):
            raise_if_interrupted()
    send(signal.SIGTERM)
    assert plain == [signal.SIGTERM], "after all blocks, the handlers from before are there"


def test_a_signal_within_such_a_block_is_noticed_too():
    with pytest.raises(Interrupted, match="SIGTERM"), interruptible("go on"), signals_recorded(), handlers_kept():
        set_exiting_handler()
        send(signal.SIGTERM)


def test_such_a_block_keeps_its_handler_where_nothing_is_interruptible(plain):
    with handlers_kept():
        set_exiting_handler()
    with pytest.raises(SystemExit):
        send(signal.SIGTERM)


WAITS = {
    "a future": lambda: result_of(Future()),
    "a queue": lambda: take(SimpleQueue()),
    "a full window": lambda: next(bounded_map(lambda item: Future(), [1, 2], window=1)),
    "a full window in order": lambda: next(bounded_map(lambda item: Future(), [1, 2], window=1, ordered=True)),
    "the last results": lambda: next(bounded_map(lambda item: Future(), [1, 2], window=9)),
    "prefetched work": lambda: next(prefetch(lambda key: threading.Event().wait(30), [1], ahead=0)),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_wait_is_interrupted_too(wait):
    sender = threading.Timer(0.1, send, (signal.SIGTERM,))
    sender.start()
    with pytest.raises(Interrupted), interruptible("go on"):
        wait()
    sender.join()


def test_while_signals_are_recorded_nothing_is_raised_between_two_checks():
    """Raised inside Ray's compiled code, it would come out as another error."""
    with interruptible("go on"), signals_recorded():
        send(signal.SIGTERM)
        finished = True
    assert finished
    raise_if_interrupted()


@SIGNALS
def test_a_signal_ends_at_once_a_block_that_checks_nothing_as_an_import_or_a_download_does(number):
    with pytest.raises(Interrupted, match=signal.Signals(number).name), interruptible("go on"):
        send(number)
        threading.Event().wait(30)
        pytest.fail("the signal did not end the block")


def test_a_block_within_another_adds_its_advice_and_takes_it_back():
    with pytest.raises(Interrupted, match="To fix: outer"), interruptible("outer"), signals_recorded():
        send(signal.SIGINT)
        with pytest.raises(Interrupted, match="To fix: inner"), interruptible("inner"):
            raise_if_interrupted()
        raise_if_interrupted()


def test_a_wait_gives_what_it_waits_for_and_what_went_wrong():
    queue: SimpleQueue = SimpleQueue()
    queue.put("item")
    good, late = Future(), Future()
    good.set_result("result")
    late.set_exception(TimeoutError("the worker's own"))
    assert (take(queue), result_of(good)) == ("item", "result")
    with pytest.raises(TimeoutError, match="the worker's own"):
        result_of(late)


@SIGNALS
def test_the_handlers_of_before_are_back_after_a_block_that_ended_well(number, plain):
    with interruptible("go on"):
        pass
    send(number)
    assert plain == [number]


def test_the_handlers_of_before_are_back_after_a_block_that_failed(plain):
    with pytest.raises(KeyError), interruptible("go on"):
        raise KeyError
    send(signal.SIGTERM)
    assert plain == [signal.SIGTERM]


def test_a_second_signal_is_as_harsh_as_ever_even_while_the_first_is_dealt_with(plain):
    with pytest.raises(Interrupted), interruptible("go on"), signals_recorded():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        send(signal.SIGINT)
        raise_if_interrupted()
    assert plain == [signal.SIGTERM, signal.SIGINT]


def test_off_the_main_thread_nothing_changes(plain):
    found = []

    def block() -> None:
        with interruptible("go on"):
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert found == [before]
