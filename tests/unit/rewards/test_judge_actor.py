"""A judge worker around an engine that answers from a list."""

import math

import pytest

from flame_ray.config import JudgeConfig
from flame_ray.rewards.judge_actor import JudgeActor
from flame_ray.types import JudgeScore, Missing, Prompt, Response, ResponseId

PROMPT = Prompt("peru", "Which countries border Peru?")


class FakeEngine:
    """One token a word; `answers` are the log-probabilities of the instruction after each response."""

    weight_version = 0

    def __init__(self, answers):
        self.answers = answers

    def render(self, messages):
        return self.encode(messages[0]["content"])

    def encode(self, text):
        return tuple(range(len(text.split())))

    def logprobs(self, continuations):
        assert len(continuations) == len(self.answers)
        return self.answers


def judge(*answers, limit: int = 1000) -> JudgeActor:
    """An actor as its constructor leaves it, but for the engine."""
    actor = JudgeActor.__new__(JudgeActor)
    actor._engine, actor._config = FakeEngine(answers), JudgeConfig(backend="backtranslation")
    actor._seed, actor._limit = 0, limit
    return actor


def response(index: int, text: str = "Chile does.") -> Response:
    return Response(ResponseId(1, "peru", index), text, (1,), (2,), (-0.1,), "stop", 0)


def test_scores_come_back_in_groups_and_in_order():
    found = judge((-1.0, -3.0), (-4.0,), (-0.5,)).score([(PROMPT, [response(0), response(1)]), (PROMPT, [response(2)])])
    assert [[score.value for score in group] for group in found] == [[-2.0, -4.0], [-0.5]]
    assert [score.response_id.index for group in found for score in group] == [0, 1, 2]


@pytest.mark.parametrize("broken", [(), (-1.0, math.nan), (-math.inf,)])
def test_one_response_without_a_finite_score_is_missing_and_costs_no_other(broken):
    ((first, second, third),) = judge((-1.0,), broken, (-2.0,)).score([(PROMPT, [response(i) for i in range(3)])])
    assert (first.value, third.value) == (-1.0, -2.0)
    assert isinstance(second, Missing) and second.response_id.index == 1 and second.reason.startswith("judge: ")


def test_an_empty_response_is_missing_and_is_not_asked_about():
    ((empty, other),) = judge((-1.0,)).score([(PROMPT, [response(0, " "), response(1)])])
    assert empty == Missing(ResponseId(1, "peru", 0), "judge: empty response")
    assert isinstance(other, JudgeScore)


def test_a_response_that_does_not_fit_the_judges_model_is_missing_and_is_not_asked_about():
    ((long, other),) = judge((-1.0,), limit=300).score([(PROMPT, [response(0, "Chile " * 300), response(1)])])
    assert isinstance(long, Missing) and long.reason == "judge: too long for its model"
    assert isinstance(other, JudgeScore)
