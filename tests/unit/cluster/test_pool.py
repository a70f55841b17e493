"""A pool around actors that are plain objects; on a real Ray it is tested in tests/integration/cluster/test_pool.py."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayActorError

from flame_ray.cluster import pool as pool_module
from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.cluster.task_queue import WorkItem
from flame_ray.errors import EngineError, ModelError, PlacementError, WeightSyncError, WorkLost

PATIENCE_S = 30.0


class Method:
    """An actor's method, as a pool calls it: plain, or for a stream of answers."""

    def __init__(self, call):
        self._call = call
        self.names: list[str] = []  # of the tasks

    def options(self, num_returns: str, name: str = "") -> "Method":
        assert num_returns == "streaming"
        self.names.append(name)
        return Method(self._stream)

    def remote(self, *args: Any) -> Any:
        return self._call(*args)

    async def _stream(self, *args: Any):
        async for answer in self._call(*args):
            yield _ready(answer)


async def _ready(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Leaving:
    """An item during which a worker's node goes, with notice, in so many lives."""

    lives: int


class FakeActor:
    """Answers at once, last item first, and dies of an item that is deadly to it; `seen` are the shares that it was given."""

    def __init__(self, index: int, life: int = 0, *, starts: bool = True):
        self.index, self.life, self.starts, self.version = index, life, starts, 0
        self.seen: list[tuple[list, tuple]] = []
        self.killed = False
        self.ready = Method(self._start)
        self.__ray_call__ = Method(lambda function: _ready(f"node {life}"))
        self.echo, self.refuse, self.forget = Method(self._echo), Method(self._refuse), Method(self._forget)
        self.wait, self.answer_and_go = Method(self._wait), Method(self._answer_and_go)
        self.about_to_go: Callable[[], None] = lambda: None
        self.draw = Method(self._draw)
        self.drawing: dict[int, Any] = {}

    async def _start(self) -> None:
        if not self.starts:
            await asyncio.Event().wait()

    async def _echo(self, items: list, *context: Any):
        self.seen.append((items, context))
        for position, item in reversed(list(enumerate(items))):
            await asyncio.sleep(0)
            if item == "deadly" or (item == "deadly once" and not self.life):
                raise ActorDiedError
            if isinstance(item, Leaving) and self.life < item.lives:
                raise RayActorError(preempted=True)
            yield position, (item, self.version)

    async def _refuse(self, items: list):
        raise ModelError("a model", "none", "give one")
        yield

    async def _forget(self, items: list):
        yield 0, "only the first"

    async def _wait(self, items: list):
        """The first of its place waits for ever."""
        self.seen.append((items, ()))
        if not self.life:
            await asyncio.Event().wait()
        for position, item in enumerate(items):
            yield position, (item, self.life)

    async def _answer_and_go(self, items: list):
        for position, item in enumerate(items):
            self.about_to_go()
            yield position, item

    async def _draw(self, items: list, *feed: Any):
        """Goes on with the items of earlier calls, newest first, until so many are left. `seen` has what it held.

        A number as context is the weight of each item.
        """
        *context, first, left = feed
        weight = next((each for each in context if isinstance(each, int)), 1)
        self.drawing.update(enumerate(items, first))
        self.seen.append(([*self.drawing.values()], tuple(context)))
        while weight * len(self.drawing) > left:
            await asyncio.sleep(0)
            position, item = self.drawing.popitem()
            if item == "deadly" or (item == "deadly once" and not self.life):
                raise ActorDiedError
            if item == "refused":
                self.drawing.clear()
                raise ModelError("a model", "none", "give one")
            if item != "lost":
                yield position, (item, self.version)


class FakeRay:
    """What the pool asks of Ray itself."""

    def kill(self, actor: FakeActor) -> None:
        actor.killed = True


@pytest.fixture
def event_loop(monkeypatch) -> Iterator[EventLoop]:
    monkeypatch.setattr(pool_module, "ray", FakeRay())
    made = EventLoop()
    yield made
    made.close()


@pytest.fixture
def pool(event_loop):
    """Makes a pool of so many workers, `starting` of which ever serve, in so many lives; its actors are in the order of their
    beginning.
    """

    def make(
        workers: int = 1, starting: int = 99, least: int | None = None, lives: int = 99, **other
    ) -> tuple[WorkerPool, list[FakeActor]]:
        actors: list[FakeActor] = []

        def spawn(index: int, life: int) -> FakeActor:
            actors.append(FakeActor(index, life, starts=index < starting and life < lives))
            return actors[-1]

        waits = {"batch": 100, "start_timeout_s": 0.3, "call_timeout_s": PATIENCE_S}
        limits = Limits(workers, workers if least is None else least, **(waits | other))
        return WorkerPool("rollout", spawn, limits, event_loop), actors

    return make


def burst(pool: WorkerPool, method: str, items: Iterable, *context: Any, weight: int = 1) -> list[Future]:
    """Items that are all there when a worker next looks."""
    here = threading.Event()
    pool._event_loop.call(here.wait, PATIENCE_S)
    futures = [pool.submit(method, item, *context, weight=weight) for item in items]
    here.set()
    return futures


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"not within {PATIENCE_S:g} s"
        time.sleep(0.01)


def answers(futures: list[Future]) -> list:
    return [future.result(PATIENCE_S) for future in futures]


def test_every_item_gets_its_own_answer_whatever_order_they_come_in(pool):
    made, actors = pool()
    assert answers(burst(made, "echo", range(20), "a plan")) == [(item, 0) for item in range(20)]
    assert sum(len(items) for items, _ in actors[0].seen) == 20
    assert {context for _, context in actors[0].seen} == {("a plan",)}


def test_no_worker_is_given_more_than_a_batch(pool):
    made, actors = pool(batch=8)
    answers(burst(made, "echo", range(9), weight=4))
    assert max(len(items) for items, _ in actors[0].seen) == 2


def test_items_may_come_from_any_thread(pool):
    made, _ = pool(workers=2)
    found: list = []
    threads = [
        threading.Thread(target=lambda start=start: found.extend(answers([made.submit("echo", start + i) for i in range(10)])))
        for start in range(0, 80, 10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(item for item, _ in found) == list(range(80))


def test_a_pool_is_ready_when_the_least_number_serves(pool):
    made, _ = pool(workers=3, starting=2, least=2)
    made.wait_ready()
    assert answers([made.submit("echo", 1)]) == [(1, 0)]


def test_a_pool_asks_for_no_more_than_the_least_until_it_may_grow(pool):
    """A role that took all there is would leave no room for what the others need to begin."""
    made, actors = pool(workers=3, least=2)
    made.wait_ready()
    assert len(actors) == 2
    made.grow()
    answers([made.submit("echo", item) for item in range(9)])
    assert [actor.index for actor in actors] == [0, 1, 2]


def test_a_pool_that_is_not_ready_in_time_says_how_many_serve_and_which_setting_to_lower(pool):
    made, _ = pool(workers=3, starting=1, least=2)
    with pytest.raises(PlacementError, match=r"2 rollout workers that serve within 0\.3 s; found 1 .*rollout\.min_workers"):
        made.wait_ready()


def test_items_for_which_no_worker_comes_back_in_time_fail_with_what_is_missing(pool):
    """All spot nodes are gone, and none comes again."""
    made, _ = pool(lives=1)
    made.wait_ready()
    made.grow()
    with pytest.raises(PlacementError, match=r"1 rollout workers that serve within 0\.3 s; found 0 "):
        made.submit("echo", "deadly").result(PATIENCE_S)


async def update(actor: FakeActor) -> None:
    actor.version += 1


def test_every_worker_is_brought_to_a_version_before_its_next_item(pool):
    made, actors = pool(workers=2)
    made.wait_ready()
    for version in (1, 2):
        made.update(version, update)
        assert [actor.version for actor in actors] == [version] * 2
        assert {served for _, served in answers([made.submit("echo", item) for item in range(8)])} == {version}


def test_a_worker_that_cannot_be_brought_to_the_version_ends_the_pool_with_its_error(pool):
    """Nothing is sampled from weights that were not verified: what waits is refused, and so is what comes."""
    made, _ = pool(workers=2)
    made.wait_ready()

    async def lag(actor: FakeActor) -> None:
        raise WeightSyncError("the new weights", "the old ones", "look")

    with pytest.raises(WeightSyncError, match="the old ones"):
        made.update(1, lag)
    with pytest.raises(WeightSyncError, match="the old ones"):
        made.submit("echo", 1).result(PATIENCE_S)


def test_what_waits_when_a_pool_fails_is_refused(pool, event_loop):
    made, _ = pool(workers=0)
    waiting = burst(made, "echo", range(3))
    event_loop.call(made._fail, ModelError("a model", "none", "give one"))
    for future in waiting:
        with pytest.raises(ModelError):
            future.result(PATIENCE_S)


def test_an_error_of_a_worker_reaches_the_items_that_it_had_and_the_worker_goes_on(pool):
    made, _ = pool()
    with pytest.raises(ModelError, match="give one"):
        made.submit("refuse", 1).result(PATIENCE_S)
    assert answers([made.submit("echo", 1)]) == [(1, 0)]
    assert made.deaths == 0


def test_an_item_without_an_answer_is_an_error_and_not_a_wait_for_ever(pool):
    made, _ = pool()
    first, second = burst(made, "forget", (1, 2))
    assert first.result(PATIENCE_S) == "only the first"
    with pytest.raises(EngineError, match=r"a result for every item of rollout\.forget; found 1 missing"):
        second.result(PATIENCE_S)


def test_what_a_worker_leaves_after_the_pool_has_failed_is_refused_and_does_not_wait_for_ever(pool):
    made, _ = pool(workers=0)
    made._fail(ModelError("a model", "none", "give one"))
    left = WorkItem("echo", 1, ())
    made._retry([left], TimeoutError())
    with pytest.raises(ModelError):
        left.future.result(PATIENCE_S)


def test_what_a_dead_worker_had_goes_to_the_one_that_takes_its_place(pool):
    """The last item is answered first: those after the deadly one were given back, and are not done again."""
    made, actors = pool()
    futures = burst(made, "echo", (0, 1, "deadly once", 3, 4))
    assert answers(futures) == [(0, 0), (1, 0), ("deadly once", 0), (3, 0), (4, 0)]
    first, second = actors
    assert (first.killed, second.killed, second.life, made.deaths) == (True, False, 1, 1)
    assert sorted(map(str, second.seen[0][0])) == ["0", "1", "deadly once"]


def test_a_worker_that_takes_a_place_is_brought_to_the_version_of_the_pool_first(pool):
    made, _ = pool()
    made.wait_ready()
    made.update(1, update)
    assert answers(burst(made, "echo", ("deadly once", 2))) == [("deadly once", 1), (2, 1)]


def test_an_item_that_brings_down_one_worker_after_another_is_refused_by_its_name_and_the_pool_goes_on(pool):
    made, actors = pool(attempts=2)
    with pytest.raises(WorkLost, match=r"survives echo of 'deadly'; found 2 workers were lost"):
        made.submit("echo", "deadly").result(PATIENCE_S)
    assert answers([made.submit("echo", 1)]) == [(1, 0)]
    assert len(actors) == 3


def test_a_task_is_named_after_its_actor_what_it_does_and_what_that_is_for(pool):
    made, actors = pool()
    made.kind = "Sampler"
    assert answers([made.submit("echo", 1, label="round 2 sample")]) == [(1, 0)]
    assert answers([made.submit("echo", 2)]) == [(2, 0)]
    assert sorted(name for actor in actors for name in actor.echo.names) == ["", "Sampler.echo round 2 sample"]


def test_a_worker_on_a_node_that_is_about_to_go_is_given_up_at_once_and_its_items_are_done_elsewhere(pool):
    made, actors = pool()
    futures = burst(made, "wait", range(3))
    made.wait_ready()
    until = time.monotonic() + PATIENCE_S
    while not actors[0].seen and time.monotonic() < until:
        time.sleep(0.01)
    made.leave({"another node"})
    made.leave({"node 0"})
    assert answers(futures) == [(item, 1) for item in range(3)]
    assert actors[0].killed and (made.moves, made.deaths) == (1, 0)


def test_a_worker_whose_node_is_about_to_go_just_as_it_answers_is_given_up_too(pool):
    made, actors = pool()
    made.wait_ready()
    actors[0].about_to_go = lambda: made.leave({"node 0"})
    assert answers(burst(made, "answer_and_go", range(3))) == [0, 1, 2]
    until = time.monotonic() + 5
    while not actors[0].killed and time.monotonic() < until:
        time.sleep(0.01)
    assert actors[0].killed and (made.moves, made.deaths) == (1, 0)


def test_nodes_that_go_one_after_another_are_no_fault_of_an_item_or_of_a_worker(pool):
    made, actors = pool(attempts=3)
    item = Leaving(lives=7)
    assert answers(burst(made, "echo", (1, item))) == [(1, 0), (item, 0)]
    assert (made.moves, made.deaths, actors[-1].life) == (7, 0, 7)
    assert all(len(items) == 2 for actor in actors for items, _ in actor.seen), "a suspect would have been alone"


def test_workers_that_are_released_end_which_is_no_death_and_others_come_with_new_names(pool):
    made, actors = pool(workers=2)
    made.wait_ready()
    made.release()
    assert [actor.killed for actor in actors] == [True, True] and made.actors == []
    made.take_back()
    made.wait_ready()
    assert [(actor.index, actor.life) for actor in actors[2:]] == [(0, 1), (1, 1)]
    assert answers([made.submit("echo", 1)]) == [(1, 0)]
    assert (made.deaths, made.moves) == (0, 0)


def test_only_the_least_number_is_taken_back_until_the_pool_may_grow_again(pool):
    made, actors = pool(workers=3, least=1)
    made.wait_ready()
    made.grow()
    wait_until(lambda: len(made.actors) == 3)
    made.release()
    made.take_back()
    made.wait_ready()
    assert (len(actors), len(made.actors)) == (4, 1)
    made.grow()
    wait_until(lambda: len(made.actors) == 3)
    assert sorted((actor.index, actor.life) for actor in actors[3:]) == [(0, 1), (1, 1), (2, 1)]


def test_a_worker_that_is_taken_back_is_brought_to_the_version_of_the_pool_before_its_first_item(pool):
    made, actors = pool()
    made.wait_ready()
    made.update(1, update)
    made.release()
    assert answers([made.submit("echo", 1)]) == [(1, 1)], "an item takes a worker back by itself"
    made.release()
    made.update(2, update)
    assert answers([made.submit("echo", 2)]) == [(2, 1)]
    assert [actor.version for actor in actors] == [1, 1, 1], "the third skips the weights that nobody needs any more"


def test_a_worker_that_is_released_while_it_works_or_starts_loses_nothing(pool):
    made, actors = pool(workers=2, starting=1)
    futures = burst(made, "wait", range(3))
    wait_until(lambda: actors and actors[0].seen)
    made.release()
    assert answers(futures) == [(item, 1) for item in range(3)]
    assert [actor.killed for actor in actors[:2]] == [True, True] and made.deaths == 0


def test_a_pool_that_was_never_released_takes_nobody_back(pool):
    made, actors = pool()
    made.wait_ready()
    made.take_back()
    assert answers([made.submit("echo", 1)]) == [(1, 0)] and len(actors) == 1


def test_released_workers_for_which_no_room_comes_back_are_missed_by_the_push(pool):
    made, _ = pool(lives=1, push_timeout_s=0.1)
    made.wait_ready()
    made.release()
    with pytest.raises(PlacementError, match=r"1 rollout workers that serve within 0\.3 s; found 0 "):
        made.update(1, update)


def test_a_worker_that_does_not_answer_in_time_is_given_up(pool):
    made, actors = pool(call_timeout_s=0.2)
    assert answers([made.submit("wait", 1)]) == [(1, 1)]
    assert actors[0].killed


def test_what_a_push_carries_is_held_for_those_that_join_later_and_let_go_once_the_next_one_has_come(pool):
    class Weights:
        """As large as a model."""

    def loading(weights: Weights):
        async def update(actor: FakeActor) -> None:
            assert weights

        return update

    made, _ = pool(workers=2)
    made.wait_ready()
    first = weakref.ref(carried := Weights())
    made.update(1, loading(carried))
    del carried
    gc.collect()
    assert first() is not None
    made.update(2, loading(Weights()))
    gc.collect()
    assert first() is None


def test_a_worker_gets_more_items_before_all_that_it_has_are_done(pool):
    made, actors = pool(batch=8, refill=2)
    assert answers(burst(made, "draw", range(40), "a plan")) == [(item, 0) for item in range(40)]
    held = [len(items) for items, _ in actors[0].seen]
    assert held[:17] == [8] * 17 and held[17:] == [6, 4, 2]


def test_more_items_are_no_heavier_than_what_has_become_free(pool):
    made, actors = pool(batch=8, refill=2)
    assert answers(burst(made, "draw", range(9), 4, weight=4)) == [(item, 0) for item in range(9)]
    assert max(len(items) for items, _ in actors[0].seen) == 2


def test_items_of_another_context_go_to_a_worker_beside_those_that_it_has(pool):
    made, actors = pool(batch=4, refill=1)
    asked = [*burst(made, "draw", range(4), "a plan"), *burst(made, "draw", range(4, 8), "greedy")]
    assert answers(asked) == [(item, 0) for item in range(8)]
    assert all(len(items) <= 4 for items, _ in actors[0].seen)


def test_new_weights_wait_until_a_worker_has_no_items_and_it_gets_no_more_before_them(pool):
    made, _ = pool(batch=8, refill=1)
    made.wait_ready()

    async def load(actor: FakeActor) -> None:
        assert not actor.drawing
        actor.version += 1

    futures = burst(made, "draw", range(40))
    futures[7].result(PATIENCE_S)
    made.update(1, load)
    versions = [version for _, version in answers(futures)]
    assert set(versions) <= {0, 1} and answers([made.submit("draw", 1)]) == [(1, 1)]


def test_what_a_dead_worker_had_from_several_calls_goes_to_the_one_that_takes_its_place(pool):
    made, actors = pool(batch=4, refill=1)
    items = [*range(6), "deadly once", *range(7, 12)]
    assert answers(burst(made, "draw", items)) == [(item, 0) for item in items]
    assert [actor.killed for actor in actors] == [True, False] and made.deaths == 1


def test_an_item_that_brought_down_two_workers_is_alone_in_the_third(pool):
    made, actors = pool(batch=4, refill=1, attempts=3)
    futures = burst(made, "draw", ["deadly", *range(1, 8)])
    with pytest.raises(WorkLost, match="survives draw of 'deadly'"):
        futures[0].result(PATIENCE_S)
    assert answers(futures[1:]) == [(item, 0) for item in range(1, 8)]
    assert ["deadly"] in [items for items, _ in actors[2].seen]


def test_an_error_of_a_worker_reaches_all_items_that_it_has_and_the_worker_goes_on_with_others(pool):
    made, _ = pool(batch=4, refill=1)
    refused = burst(made, "draw", [0, "refused", 2])
    assert refused[2].result(PATIENCE_S) == (2, 0)
    for future in refused[:2]:
        with pytest.raises(ModelError):
            future.result(PATIENCE_S)
    assert answers(burst(made, "draw", range(5))) == [(item, 0) for item in range(5)]


def test_an_item_that_a_worker_forgets_is_an_error_also_where_it_may_leave_some_for_later(pool):
    made, _ = pool(batch=4, refill=1)
    with pytest.raises(EngineError, match=r"a result for every item of rollout\.draw"):
        made.submit("draw", "lost").result(PATIENCE_S)
