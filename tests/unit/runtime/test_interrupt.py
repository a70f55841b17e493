"""Being asked to stop."""

import os
import signal
import threading
from concurrent.futures import Future

import pytest

from flame_ray.errors import Interrupted
from flame_ray.runtime.interrupt import interruptible

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
    assert (caught.value.found, caught.value.fix) == (signal.Signals(number).name, "go on with --resume mine")
    assert caught.value.exit_code == 75
    assert plain == []


def test_a_wait_is_interrupted_too():
    sender = threading.Timer(0.1, send, (signal.SIGTERM,))
    sender.start()
    with pytest.raises(Interrupted), interruptible("go on"):
        Future().result(30)
    sender.join()


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
    with pytest.raises(Interrupted), interruptible("go on"):
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGTERM)
            send(signal.SIGINT)
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
