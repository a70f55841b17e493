"""The actor pool on a real, tiny Ray: order, who is free, and errors that arrive as themselves."""

import os
import time

import pytest
import ray

from flame_ray.errors import EngineError, ModelError
from flame_ray.runtime.pool import ActorPool, get


class Worker:
    """Does as it is told; `name` says which worker did it."""

    def __init__(self, name: str):
        self.name = name

    def echo(self, value):
        return value

    def who(self, seconds: float = 0.0) -> str:
        time.sleep(seconds)
        return self.name

    def busy(self, seconds: float) -> tuple[float, float]:
        start = time.monotonic()
        time.sleep(seconds)
        return start, time.monotonic()

    def refuse(self):
        raise ModelError("a model", "none", "give one")

    def break_down(self):
        raise KeyError("a bug")

    def die(self):
        os._exit(1)


@pytest.fixture(scope="module")
def cluster():
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def workers(cluster):
    """Makes pools; their actors end with the test."""
    made = []

    def make(count: int, timeout_s: float = 60.0) -> ActorPool:
        remote = ray.remote(num_cpus=0)(Worker)
        actors = [remote.remote(f"worker {i}") for i in range(count)]
        made.extend(actors)
        ray.get([actor.who.remote() for actor in actors], timeout=60)
        return ActorPool("test", actors, timeout_s)

    yield make
    for actor in made:
        ray.kill(actor)


def test_results_come_in_the_order_of_the_calls_whoever_is_done_first(workers):
    pool = workers(2)
    done: list[int] = []
    assert pool.map("echo", [(i,) for i in range(20)], done.append) == list(range(20))
    assert sorted(done) == list(range(20))


def test_a_worker_that_is_done_takes_the_next_call_while_another_is_busy(workers):
    pool = workers(2)
    first, *others = pool.map("who", [(1.5,), *[(0.0,)] * 6])
    assert len({first, *others}) == 2
    assert others == [others[0]] * 6 and others[0] != first


def test_a_finished_call_is_heard_of_before_a_slower_one_that_began_earlier(workers):
    done: list[int] = []
    workers(2).map("who", [(1.0,), (0.0,)], done.append)
    assert done == [1, 0]


def test_a_worker_has_one_call_at_a_time_and_workers_run_side_by_side(workers):
    (a, b, c, d) = workers(2).map("busy", [(0.4,)] * 4)
    assert max(a[0], b[0]) < min(a[1], b[1])
    assert min(c[0], d[0]) >= min(a[1], b[1])


def test_no_calls_give_no_results(workers):
    assert workers(1).map("echo", []) == []


def test_a_broadcast_asks_every_worker_in_their_order(workers):
    assert workers(3).broadcast("who") == ["worker 0", "worker 1", "worker 2"]


@pytest.mark.parametrize("ask", [lambda pool: pool.broadcast("refuse"), lambda pool: pool.map("refuse", [(), ()])])
def test_a_flame_error_of_an_actor_arrives_as_itself(workers, ask):
    with pytest.raises(ModelError) as caught:
        ask(workers(2))
    assert type(caught.value) is ModelError
    assert str(caught.value) == "expected a model; found none. To fix: give one."
    assert caught.value.exit_code == 4


def test_a_bug_in_an_actor_is_raised_as_its_own_kind_with_the_actors_trace(workers):
    with pytest.raises(KeyError) as caught:
        workers(1).map("break_down", [()])
    assert "in break_down" in str(caught.value)


@pytest.mark.parametrize("ask", [lambda pool: pool.broadcast("die"), lambda pool: pool.map("die", [()])])
def test_an_actor_that_dies_is_an_engine_error_that_names_the_call(workers, ask):
    with pytest.raises(EngineError) as caught:
        ask(workers(1))
    assert caught.value.expected == "test.die"
    assert caught.value.found.startswith("an actor that died")


def test_an_actor_that_died_before_is_an_engine_error_at_the_next_call(workers):
    pool = workers(2)
    ray.kill(pool.actors[1])
    with pytest.raises(EngineError, match="an actor that died"):
        pool.map("who", [(0.1,)] * 4)


@pytest.mark.parametrize("ask", [lambda pool: pool.broadcast("who", 30.0), lambda pool: pool.map("who", [(30.0,)])])
def test_a_call_that_does_not_answer_in_time_is_an_engine_error(workers, ask):
    pool = workers(1, timeout_s=0.5)
    start = time.monotonic()
    with pytest.raises(EngineError, match=r"test\.who within 0\.5 s; found no answer"):
        ask(pool)
    assert time.monotonic() - start < 15


def test_a_plain_wait_ends_too(workers):
    (actor,) = workers(1).actors
    with pytest.raises(EngineError, match="an answer within"):
        get(actor.who.remote(30.0), 0.2, "an answer")
