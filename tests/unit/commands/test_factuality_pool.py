"""Results come in the items' order, with a bound on what is under way, and work that was lost is missing, never 0."""

import io
import time
from concurrent.futures import Future

import pytest
from rich.console import Console

from flame_ray.commands.factuality_pool import FactualityWorkers, Pace, in_their_order
from flame_ray.errors import DataError, WorkLost
from flame_ray.report.progress import Screen
from flame_ray.rewards.factuality.reward import Task
from flame_ray.types import Audit, Claim, Fact, Missing, Prompt, Response, ResponseId, VerdictLabel

LOST = WorkLost("a", "b", "c")


class Pool:
    """Answers an item at once, with what `answer` returns or raises; notes what was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def submit(self, method, item):
        self.asked.append((method, item))
        future = Future()
        try:
            future.set_result(self.answer(item))
        except Exception as error:  # a pool gives whatever its worker raises
            future.set_exception(error)
        return future


def task(number):
    return Task(Prompt(f"line-{number}", "?"), Response(ResponseId(0, f"line-{number}", 0), "!", (), (), (), "stop", 0))


def test_the_order_is_that_of_the_items_however_they_finish():
    futures = [Future() for _ in range(4)]
    for index in (2, 0, 3, 1):
        futures[index].set_result(index)
    assert [future.result() for _, future in in_their_order(lambda i: futures[i], range(4), window=2)] == [0, 1, 2, 3]


def test_no_more_than_the_window_is_read_ahead_of_an_endless_file():
    read = []

    def endless():
        for number in range(10**9):
            read.append(number)
            yield number

    given = in_their_order(lambda number: Future(), endless(), window=5)
    assert next(given)[0] == 0
    assert len(read) == 5
    assert next(given)[0] == 1
    assert len(read) == 6


def test_what_is_done_is_given_out_before_the_window_is_full():
    done = Future()
    done.set_result(None)
    read = []
    given = in_their_order(lambda number: done, (read.append(n) or n for n in range(100)), window=50)
    next(given)
    assert len(read) == 1


def test_a_response_that_brought_down_its_workers_is_missing_and_the_others_are_scored():
    def answer(asked):
        if asked.prompt.id == "line-2":
            raise LOST
        return Audit("scored")

    pool = Pool(answer)
    found = list(FactualityWorkers(pool, 2).audits((number, task(number)) for number in (1, 2, 3)))
    assert [number for number, _ in found] == [1, 2, 3]
    assert found[1][1] == Audit(Missing(ResponseId(0, "line-2", 0), "worker lost"))
    assert found[0][1].score == found[2][1].score == "scored"


def test_a_claim_that_brought_down_its_workers_is_an_error_and_no_verdict():
    def answer(claim):
        raise LOST

    (verdict,) = FactualityWorkers(Pool(answer), 2).verdicts([Claim(Fact("a", 0), ())])
    assert verdict.label is VerdictLabel.ERROR


def test_an_error_that_a_person_must_see_is_raised():
    def answer(each):
        raise DataError("a", "b", "c")

    with pytest.raises(DataError):
        list(FactualityWorkers(Pool(answer), 2).verdicts([Claim(Fact("a", 0), ())]))


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal():
    written = io.StringIO()
    with Pace(Screen(Console(file=written)), "score", "lines", 9, every_s=0.05) as pace:
        pace.at(1)
        time.sleep(0.06)
        pace.at(2)
        pace.at(3)
    assert written.getvalue() == "score: 2 of 9 lines after 0 s\n"
