"""Results come in the items' order, with a bound on what is under way, and work that was lost is missing, never 0."""

from concurrent.futures import Future

import pytest

from flame_ray.commands.factuality_pool import FactualityWorkers
from flame_ray.errors import DataError, WorkLost
from flame_ray.rewards.factuality.reward import FactTask, Task
from flame_ray.types import Fact, Missing, Prompt, ResponseId, VerdictLabel
from tests.builders import make_fact_score, make_response

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
    return Task(Prompt(f"line-{number}", "?"), make_response("!", round=0, prompt=f"line-{number}"))


def test_a_response_that_brought_down_its_workers_is_missing_and_the_others_are_scored():
    def answer(asked):
        if asked.prompt.id == "line-2":
            raise LOST
        return make_fact_score()

    pool = Pool(answer)
    found = list(FactualityWorkers(pool, 2).scores((number, task(number)) for number in (1, 2, 3)))
    assert [number for number, _ in found] == [1, 2, 3]
    assert found[1][1] == Missing(ResponseId(0, "line-2", 0), "worker lost")
    assert found[0][1] == found[2][1] == make_fact_score()


def test_a_claim_that_brought_down_its_workers_is_an_error_and_no_verdict():
    def answer(claim):
        raise LOST

    (verdict,) = FactualityWorkers(Pool(answer), 2).verdicts([FactTask(Fact("a", 0))])
    assert verdict.label is VerdictLabel.ERROR


def test_an_error_that_a_person_must_see_is_raised():
    def answer(each):
        raise DataError("a", "b", "c")

    with pytest.raises(DataError):
        list(FactualityWorkers(Pool(answer), 2).verdicts([FactTask(Fact("a", 0))]))
