"""The loop on which pools wait for their actors."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from flame_ray.cluster.event_loop import EventLoop

PATIENCE_S = 30.0


@pytest.fixture
def event_loop() -> Iterator[EventLoop]:
    made = EventLoop()
    yield made
    made.close()


async def where() -> str:
    return threading.current_thread().name


def test_coroutines_from_any_thread_run_on_one_thread_that_is_none_of_theirs(event_loop):
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(event_loop.start(where()).result(PATIENCE_S))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {"flame-ray pools"} and len(found) == 4


def test_an_error_reaches_who_waits_for_it(event_loop):
    async def fail() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        event_loop.start(fail()).result(PATIENCE_S)


def test_plain_calls_run_there_too(event_loop):
    done = threading.Event()
    event_loop.call(done.set)
    assert done.wait(PATIENCE_S)


def test_what_still_runs_at_the_end_is_cancelled_and_may_tidy_up():
    event_loop, tidied = EventLoop(), threading.Event()

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tidied.set()

    left = event_loop.start(wait_for_ever())
    event_loop.start(where()).result(PATIENCE_S)
    event_loop.close()
    assert left.cancelled() and tidied.is_set()
    event_loop.close()  # once more does no harm


def test_what_does_not_stop_does_not_keep_the_end_from_coming(caplog):
    event_loop, released = EventLoop(close_s=0.2), threading.Event()

    async def stay() -> None:
        while not released.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    event_loop.start(stay())
    event_loop.start(where()).result(PATIENCE_S)
    event_loop.close()
    assert "are abandoned" in caplog.text
    released.set()
