"""What waits for a worker, and who gets how much of it."""

import asyncio

import pytest

from flame_ray.cluster import task_queue as queue_module
from flame_ray.cluster.task_queue import TaskQueue, WorkItem

MANY = 1000


def work(item, method="score", context=(), weight=1, urgent=False) -> WorkItem:
    return WorkItem(method, item, context, weight, urgent)


def queue(*items: WorkItem) -> TaskQueue:
    made = TaskQueue()
    for each in items:
        made.put(each)
    return made


def taken(items: list[WorkItem]) -> list:
    return [each.payload for each in items]


def take(waiting: TaskQueue, most: int = MANY) -> list:
    return taken(asyncio.run(asyncio.wait_for(waiting.take(most), 5)))


def test_items_are_taken_in_the_order_in_which_they_came():
    waiting = queue(*(work(i) for i in range(3)))
    assert take(waiting) == [0, 1, 2]


def test_a_worker_that_is_alone_without_work_takes_a_whole_batch():
    """The others are at work: the last items, cut small for them, would cost each of them one more batch."""
    waiting = queue(*(work(i) for i in range(7)))
    assert [take(waiting, most=4) for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("items", "shares"),
    [(7, [[0, 1, 2], [3, 4], [5, 6]]), (3, [[0], [1], [2]]), (12, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])],
)
def test_a_burst_is_shared_equally_among_those_without_work(items, shares):
    async def scenario() -> list[list]:
        waiting = TaskQueue()
        takers = await idle(waiting, 3)
        for item in range(items):
            waiting.put(work(item))
        return await results(takers)

    assert asyncio.run(scenario()) == shares


def test_a_share_is_as_heavy_as_a_batch_at_most():
    waiting = queue(*(work(i, weight=4) for i in range(5)))
    assert [take(waiting, most=10) for _ in range(3)] == [[0, 1], [2, 3], [4]]


def test_an_item_heavier_than_a_batch_goes_alone():
    waiting = queue(work(0, weight=40), work(1, weight=40))
    assert [take(waiting, most=10) for _ in range(2)] == [[0], [1]]


@pytest.mark.parametrize("other", [{"method": "classify"}, {"context": ("another plan",)}, {"weight": 2}])
def test_only_items_of_one_method_context_and_weight_go_together(other):
    waiting = queue(work(0), work(1, **other), work(2, **other))
    assert [take(waiting) for _ in range(2)] == [[0], [1, 2]]


def test_items_that_were_there_at_two_deaths_go_alone_so_that_the_one_that_is_the_cause_takes_no_other_with_it():
    waiting = queue(*(work(i) for i in range(4)))
    for number, deaths in ((11, 1), (10, 1), (21, 2), (20, 2)):
        waiting.put_back(suspect := work(number))
        suspect.attempts = deaths
    assert [take(waiting) for _ in range(4)] == [[20], [21], [10, 11], [0, 1, 2, 3]]


def test_a_worker_that_has_items_takes_more_only_if_they_fit_and_none_is_suspect():
    waiting = queue(work(0, weight=4), work(1, weight=4))
    assert [taken(waiting.take_more(most)) for most in (3, 7, 4, 99)] == [[], [0], [1], []]
    waiting.put_back(suspect := work(2))
    suspect.attempts = queue_module.SUSPECT
    assert waiting.take_more(MANY) == [] and take(waiting) == [2]


def test_urgent_items_go_first():
    waiting = queue(work(0), work(1, urgent=True), work(2), work(3, urgent=True))
    assert [take(waiting) for _ in range(2)] == [[1, 3], [0, 2]]


def test_what_a_dead_worker_left_is_first_in_line_even_before_what_is_urgent():
    waiting = queue(work(0), work(1, urgent=True))
    for left in (work(8), work(7)):  # the pool puts them back last one first
        waiting.put_back(left)
    assert take(waiting) == [7, 8, 1]
    assert take(waiting) == [0]


def test_what_is_cleared_is_given_back_and_waits_no_more():
    waiting = queue(work(0), work(1, urgent=True))
    assert taken(waiting.clear()) == [1, 0]
    assert waiting.clear() == []


async def idle(waiting: TaskQueue, count: int) -> list[asyncio.Task]:
    """So many workers that wait, in the order in which they came."""
    takers = [asyncio.ensure_future(waiting.take(MANY)) for _ in range(count)]
    await asyncio.sleep(0)
    return takers


async def results(takers: list[asyncio.Task]) -> list[list]:
    return [taken(await asyncio.wait_for(taker, 5)) for taker in takers]


def test_a_burst_is_shared_out_among_those_that_wait():
    async def scenario() -> list[list]:
        waiting = TaskQueue()
        takers = await idle(waiting, 2)
        for item in range(4):
            waiting.put(work(item))
        return await results(takers)

    assert asyncio.run(scenario()) == [[0, 1], [2, 3]]


def test_items_that_come_in_one_by_one_in_a_short_while_are_taken_together(monkeypatch):
    monkeypatch.setattr(queue_module, "LINGER_S", 0.2)

    async def scenario() -> list[list]:
        waiting = TaskQueue()
        takers = await idle(waiting, 1)
        for item in range(5):
            waiting.put(work(item))
            await asyncio.sleep(0)
        return await results(takers)

    assert asyncio.run(scenario()) == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("ticks", [0, 1, 2, 5])
def test_a_worker_that_goes_after_it_was_called_leaves_the_call_to_another(ticks):
    """A node that goes in the moment between an item's call and its taking: nobody else would come for the item."""

    async def scenario() -> list[list]:
        waiting = TaskQueue()
        gone, there = await idle(waiting, 2)
        waiting.put(work(0))
        for _ in range(ticks):
            await asyncio.sleep(0)
        gone.cancel()
        return await results([there])

    assert asyncio.run(scenario()) == [[0]]


def test_an_item_that_is_put_back_wakes_a_worker_that_waits():
    async def scenario() -> list[list]:
        waiting = TaskQueue()
        takers = await idle(waiting, 1)
        waiting.put_back(work(0))
        return await results(takers)

    assert asyncio.run(scenario()) == [[0]]


def test_wake_all_makes_every_idle_worker_return_without_items_even_if_one_has_come_meanwhile():
    """They load new weights first, before their next item."""

    async def scenario() -> tuple[list[list], list[WorkItem]]:
        waiting = TaskQueue()
        takers = await idle(waiting, 3)
        waiting.wake_all()
        waiting.put(work(0))
        found = await results(takers)
        return found, await waiting.take(MANY)

    found, after = asyncio.run(scenario())
    assert (found, taken(after)) == ([[], [], []], [0])


def test_a_worker_that_has_gone_while_it_waited_swallows_no_call():
    async def scenario() -> list[list]:
        waiting = TaskQueue()
        gone, there = await idle(waiting, 2)
        gone.cancel()
        await asyncio.sleep(0)
        waiting.put(work(0))
        return await results([there])

    assert asyncio.run(scenario()) == [[0]]


def test_what_one_share_leaves_goes_to_the_next_worker_that_waits():
    async def scenario() -> list[list]:
        waiting = TaskQueue()
        takers = await idle(waiting, 2)
        waiting.put(work(0))
        waiting.put(work(1, method="classify"))
        return await results(takers)

    assert sorted(asyncio.run(scenario())) == [[0], [1]]


def test_an_answer_that_nobody_waits_for_any_more_is_dropped():
    for answer in (lambda each: each.set_result("result"), lambda each: each.set_exception(KeyError("late"))):
        each = work(0)
        each.future.cancel()
        answer(each)
        assert each.future.cancelled()


def test_an_answer_reaches_who_waits():
    settled, refused = work(0), work(1)
    settled.set_result("result")
    refused.set_exception(KeyError("no"))
    assert settled.future.result(0) == "result"
    with pytest.raises(KeyError):
        refused.future.result(0)
