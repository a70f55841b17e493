"""The worker pool on a real, tiny Ray: shares, deaths, replacements, quarantine, and errors that arrive as themselves."""

import os
import signal
import threading
from concurrent.futures import wait

import pytest
import ray

from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.config import Workers
from flame_ray.controller.workers import actor_options, on_its_cores
from flame_ray.errors import EngineError, ModelError, PlacementError, WeightSyncError, WorkLost
from tests.integration.cluster.pool_worker import Worker
from tests.integration.gate import PATIENCE_S, wait_for


@pytest.fixture
def pool_of(local_ray):
    """Makes pools; their actors end with the test."""
    event_loop = EventLoop()
    pools = []

    def make(workers: int, batch: int = 100, seats: int = 0, **limits) -> WorkerPool:
        remote = ray.remote(num_cpus=0, resources={"seat": seats})(Worker)
        limits = Limits(workers, limits.pop("min_workers", workers), batch, **limits)
        pools.append(WorkerPool("test", lambda index, life: remote.remote(index, life), limits, event_loop, "Worker"))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
    event_loop.close()


def results(futures):
    return [future.result(timeout=PATIENCE_S) for future in futures]


def test_the_dashboard_shows_what_a_task_is_for(pool_of):
    pool = pool_of(1)
    assert pool.submit("task", 1, label="round 2 sample").result(timeout=PATIENCE_S) == "Worker.task round 2 sample"
    assert pool.submit("task", 2).result(timeout=PATIENCE_S) == "Worker.task"


def test_each_item_gets_its_own_result_with_its_context(pool_of):
    pool = pool_of(2, batch=3)
    assert results([pool.submit("echo", item, "context") for item in range(20)]) == [(item, "context") for item in range(20)]


def test_waiting_items_are_shared_out_among_the_workers_up_to_a_batch(pool_of, gate):
    pool = pool_of(2, batch=4)
    pool.wait_ready()
    asked = [pool.submit("who", gate) for _ in range(12)]
    gate.open()
    found = results(asked)
    assert len({name for name, *_ in found}) == 2
    assert max(together for *_, together in found) == 4


def test_a_worker_takes_no_more_weight_than_its_batch(pool_of):
    pool = pool_of(1, batch=8)
    pool.wait_ready()
    assert {together for *_, together in results([pool.submit("who", None, weight=4) for _ in range(6)])} == {2}


def test_a_result_is_there_before_the_rest_of_its_batch(pool_of, gate):
    pool = pool_of(1)
    first, last = pool.submit("who", None), pool.submit("who", gate)
    first.result(timeout=PATIENCE_S)
    assert not last.done()
    gate.open()
    assert last.result(timeout=PATIENCE_S)[-1] == 2, "both were one batch"


def test_urgent_items_go_before_those_that_wait(pool_of, gate):
    pool, order = pool_of(1, batch=1), []
    for name, urgent in (("first", False), ("later", False), ("urgent", True)):
        pool.submit("who", gate, urgent=urgent).add_done_callback(lambda _, name=name: order.append(name))
        gate.wait_until_reached()
    gate.open()
    wait_for(lambda: len(order) == 3)
    assert order == ["first", "urgent", "later"]


def test_a_worker_that_dies_is_replaced_and_its_items_are_done_once(pool_of, tmp_path):
    pool = pool_of(2, batch=5)
    items = [*range(7), "die", *range(8, 20)]
    assert results([pool.submit("die_once", item, str(tmp_path / "died")) for item in items]) == items
    assert pool.deaths == 1
    pool.wait_ready()
    assert len(pool.actors) == 2


def test_workers_get_more_before_they_are_done_and_what_a_dead_one_had_of_several_calls_is_done_once(pool_of, tmp_path):
    pool = pool_of(2, batch=6, refill=2)
    items = [*range(20), "die", *range(21, 50)]
    found = results([pool.submit("draw", item, str(tmp_path / "died")) for item in items])
    assert [item for item, _ in found] == items and pool.deaths == 1
    assert sum(held == 6 for _, held in found) > 25  # handed one batch after another, a worker would begin with nothing


def test_a_worker_that_is_killed_from_outside_is_replaced(pool_of, gate):
    pool = pool_of(1)
    (_, _, pid, _) = pool.submit("who", None).result(timeout=PATIENCE_S)
    held = pool.submit("who", gate)
    gate.wait_until_reached()
    os.kill(pid, signal.SIGKILL)
    gate.open()
    name, *_ = held.result(timeout=PATIENCE_S)
    assert name == "0.1"


def test_a_worker_that_hangs_is_given_up_and_its_item_done_elsewhere(pool_of, tmp_path):
    pool = pool_of(1, call_timeout_s=2.0)
    assert results([pool.submit("hang_once", item, str(tmp_path / "hung")) for item in "abc"]) == ["a", "b", "c"]
    assert pool.deaths == 1


def test_a_worker_whose_engine_dies_is_replaced(pool_of, tmp_path):
    pool = pool_of(1)
    assert results([pool.submit("lose_engine_once", item, str(tmp_path / "lost")) for item in "ab"]) == ["a", "b"]
    assert pool.deaths == 1


def test_an_item_that_brings_down_every_worker_is_given_back_as_lost_by_name(pool_of):
    pool = pool_of(2, attempts=2)
    with pytest.raises(WorkLost, match=r"survives die of 'poison'.*2 workers were lost"):
        pool.submit("die", "poison").result(timeout=PATIENCE_S)


def test_a_place_whose_workers_all_die_at_once_ends_the_pool_with_the_reason(local_ray):
    class Stillborn:
        def __init__(self):
            os._exit(1)

        def ready(self):
            return None

    event_loop = EventLoop()
    pool = WorkerPool("test", lambda *_: ray.remote(num_cpus=0)(Stillborn).remote(), Limits(1, 1, 1, attempts=2), event_loop)
    with pytest.raises(EngineError, match="2 deaths in a row without a result"):
        pool.wait_ready()
    with pytest.raises(EngineError, match="2 deaths"):
        pool.submit("echo", 1).result(timeout=PATIENCE_S)
    event_loop.close()


def test_a_flame_error_of_an_actor_arrives_as_itself_and_the_worker_lives_on(pool_of):
    pool = pool_of(1)
    with pytest.raises(ModelError, match="expected a model; found none"):
        pool.submit("refuse", 1).result(timeout=PATIENCE_S)
    assert pool.submit("echo", 1).result(timeout=PATIENCE_S) == (1,)
    assert pool.deaths == 0


def test_a_bug_in_an_actor_arrives_as_its_own_kind_with_the_actors_trace(pool_of):
    with pytest.raises(KeyError, match="a bug") as caught:
        pool_of(1).submit("break_down", 1).result(timeout=PATIENCE_S)
    assert "break_down" in str(caught.value.__cause__)


def test_a_method_that_forgets_an_item_is_an_error_not_a_wait(pool_of):
    pool = pool_of(1)
    pool.wait_ready()
    first, second = pool.submit("forget", "a"), pool.submit("forget", "b")
    wait([first, second], timeout=PATIENCE_S)
    assert first.result() == "only the first"
    with pytest.raises(EngineError, match="1 missing"):
        second.result()


def test_fewer_workers_than_wanted_are_enough_and_the_others_join_when_there_is_room(pool_of, gate):
    blocker = ray.remote(num_cpus=0, resources={"seat": 1})(Worker).remote(9, 9)
    ray.get(blocker.ready.remote(), timeout=PATIENCE_S)
    pool = pool_of(2, batch=1, seats=1, min_workers=1)
    pool.wait_ready()
    pool.grow()
    assert len(pool.actors) == 1
    ray.kill(blocker)
    wait_for(lambda: len(pool.actors) == 2)
    asked = [pool.submit("who", gate) for _ in range(6)]
    gate.open()
    assert len({name for name, *_ in results(asked)}) == 2


def test_too_few_workers_in_time_is_a_placement_error_that_says_how_many(pool_of):
    with pytest.raises(PlacementError, match=r"1 test workers that serve within 1 s; found 0.*test\.min_workers"):
        pool_of(1, seats=100, start_timeout_s=1.0).wait_ready()


def test_all_workers_are_brought_to_a_version_before_the_call_returns(pool_of, gate):
    pool = pool_of(3, batch=3)
    pool.wait_ready()

    async def update(actor):
        await actor.load.remote(7)

    pool.update(7, update)
    asked = [pool.submit("who", gate) for _ in range(9)]
    gate.open()
    found = results(asked)
    assert {version for _, version, *_ in found} == {7} and len({name for name, *_ in found}) == 3


def test_a_worker_that_joins_later_is_brought_to_the_version_before_it_serves(pool_of):
    pool = pool_of(1)
    pool.wait_ready()

    async def update(actor):
        await actor.load.remote(3)

    pool.update(3, update)
    (_, _, pid, _) = pool.submit("who", None).result(timeout=PATIENCE_S)
    os.kill(pid, signal.SIGKILL)
    name, version, *_ = pool.submit("who", None).result(timeout=PATIENCE_S)
    assert (name, version) == ("0.1", 3)


def test_new_weights_wait_for_the_items_that_a_worker_has_and_come_before_the_next(pool_of, gate):
    pool = pool_of(1, batch=1)
    running, queued = pool.submit("who", gate), pool.submit("who", None)
    gate.wait_until_reached()

    async def update(actor):
        await actor.load.remote(1)

    pushing = threading.Thread(target=pool.update, args=(1, update))
    pushing.start()
    wait_for(lambda: pool._version == 1)
    gate.open()
    assert [running.result(timeout=PATIENCE_S)[1], queued.result(timeout=PATIENCE_S)[1]] == [0, 1]
    pushing.join(timeout=PATIENCE_S)


def test_a_worker_that_fails_the_check_stops_the_run(pool_of):
    pool = pool_of(1)
    pool.wait_ready()

    async def update(actor):
        await actor.lag.remote()

    with pytest.raises(WeightSyncError, match="the old ones"):
        pool.update(1, update)


def test_a_worker_on_a_node_that_is_about_to_go_is_given_up_at_once_and_its_items_done_elsewhere(pool_of, gate):
    pool = pool_of(1)
    pool.wait_ready()
    item = pool.submit("who", gate)
    gate.wait_until_reached()
    pool.leave({ray.get_runtime_context().get_node_id()})
    gate.open()
    name, *_ = item.result(timeout=PATIENCE_S)
    assert name == "0.1"
    pool.leave({"another node"})
    assert pool.submit("who", None).result(timeout=PATIENCE_S)[0] == "0.1"


def test_an_actor_with_a_part_of_a_cpu_computes_on_all_cores_of_its_node_and_another_on_its_cpus(
    local_ray,
):
    class Computing:  # here, or Ray would import this module with it, and so torch
        def threads(self) -> int:
            import torch

            return torch.get_num_threads()

    found = []
    for role in (Workers(cpus=0.25), Workers(cpus=1)):
        options = actor_options(f"computing-{role.cpus:g}", role)
        actor = ray.remote(on_its_cores(Computing, role)).options(**options).remote()
        found.append(ray.get(actor.threads.remote(), timeout=PATIENCE_S))
        ray.kill(actor)
    assert found == [len(os.sched_getaffinity(0)), 1]
