"""Waits that have a limit, that a signal ends, and that say what they wait for."""

import logging
import os
import signal
from concurrent.futures import Future

import pytest
import ray
from ray.exceptions import RpcError

from flame_ray.cluster import autoscaler
from flame_ray.cluster.interrupt import interruptible, signals_recorded
from flame_ray.cluster.waiting import REMIND_S, Waiting, room_in_words
from flame_ray.errors import Interrupted


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_wait_goes_on_until_its_limit():
    clock = Clock()
    waiting = Waiting("a node", 50, clock=clock)
    clock.now += 49
    assert waiting.has_time()
    clock.now += 1
    assert not waiting.has_time()


def test_every_half_minute_a_line_says_what_for_how_long_and_how_long_at_most(caplog):
    clock, served = Clock(), iter(range(9))
    waiting = Waiting(lambda: f"rollout workers ({next(served)} of 2 serve)", 100, clock=clock)
    with caplog.at_level(logging.INFO, "flame_ray.cluster.waiting"):
        while waiting.has_time():
            clock.now += REMIND_S / 3
    assert caplog.messages == [
        f"waiting for rollout workers ({number} of 2 serve): {30 * (number + 1)} of 100 s" for number in range(3)
    ]


def test_a_wait_for_room_also_says_what_the_cluster_has(caplog):
    clock = Clock()
    waiting = Waiting("rollout workers", 100, for_room=True, clock=clock)
    clock.now += REMIND_S
    with caplog.at_level(logging.INFO, "flame_ray.cluster.waiting"):
        waiting.has_time()
    assert caplog.messages == ["waiting for rollout workers: 30 of 100 s; no Ray is connected"]


def test_a_ray_that_does_not_answer_ends_no_wait(monkeypatch):
    def refuse() -> None:
        raise RpcError("no route to the head")

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(autoscaler, "look", refuse)
    clock = Clock()
    waiting = Waiting("rollout workers", 100, for_room=True, clock=clock)
    clock.now += REMIND_S
    assert waiting.has_time()
    assert room_in_words() == "Ray's control service did not answer (RpcError)"


def test_a_signal_ends_a_wait_but_not_one_for_a_state_that_is_saved_after_it():
    with interruptible("go on"), signals_recorded():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            Waiting("a node", 60).has_time()
        assert Waiting("the state", 60, until_done=True).has_time()


def test_a_result_that_comes_is_given_and_a_failure_raised():
    good, bad = Future(), Future()
    good.set_result(3)
    bad.set_exception(KeyError("why"))
    assert Waiting("it", 60).result_of(good) == 3
    with pytest.raises(KeyError, match="why"):
        Waiting("it", 60).result_of(bad)
