"""A judge worker around an engine that answers from a list."""

import math

import pytest

from flame_ray.config import JudgeConfig
from flame_ray.engines.base import Sample
from flame_ray.prompts.classify import NO, YES
from flame_ray.rewards.judge.actor import JudgeActor
from flame_ray.types import Group, JudgeScore, Missing, Prompt, Response, ResponseId

PROMPT = Prompt("peru", "Which countries border Peru?")


class FakeEngine:
    """One token a word; `answers` are the log-probabilities of the instruction after each response."""

    weight_version = 0

    def __init__(self, answers):
        self.answers = answers

    def render(self, messages):
        return self.encode(messages[-1]["content"])

    def encode(self, text):
        return tuple(range(len(text.split())))

    def logprobs(self, continuations):
        assert len(continuations) == len(self.answers)
        return self.answers


class GradingEngine(FakeEngine):
    """`answers` are the judgements, one after the other; the last one asked for is done first."""

    def sample(self, requests):
        assert len(requests) == len(self.answers)
        self.requests = requests
        for place in reversed(range(len(requests))):
            yield place, Sample(self.answers[place], (1,), (-0.1,), "stop")


class ChoosingEngine(FakeEngine):
    """`answers` are the log-probabilities of yes and no for each prompt."""

    def encode(self, text):
        return {YES: (11, 1), NO: (22,)}.get(text) or super().encode(text)

    def choices(self, prompts, token_ids):
        assert len(prompts) == len(self.answers) and token_ids == (11, 22)
        return self.answers


def judge(engine: FakeEngine, limit: int = 1000, **settings) -> JudgeActor:
    """An actor as its constructor leaves it, but for the engine."""
    actor = JudgeActor.__new__(JudgeActor)
    actor._engine, actor._config = engine, JudgeConfig(**{"backend": "backtranslation", **settings})
    actor._seed, actor._limit = 7, limit
    return actor


def response(index: int, text: str = "Chile does.") -> Response:
    return Response(ResponseId(1, "peru", index), text, (1,), (2,), (-0.1,), "stop", 0)


def group(*responses: Response) -> Group:
    return Group(PROMPT, responses)


def scores(actor: JudgeActor, *groups: Group) -> list[tuple]:
    """The scores of each group, which come with their places and in their order."""
    found = list(actor.score(groups))
    assert [place for place, _ in found] == list(range(len(groups)))
    return [scores_G for _, scores_G in found]


def test_scores_come_back_in_groups_and_in_order():
    actor = judge(FakeEngine([(-1.0, -3.0), (-4.0,), (-0.5,)]))
    found = scores(actor, group(response(0), response(1)), group(response(2)))
    assert [[score.value for score in scores_G] for scores_G in found] == [[-2.0, -4.0], [-0.5]]
    assert [score.response_id.index for scores_G in found for score in scores_G] == [0, 1, 2]


@pytest.mark.parametrize("broken", [(), (-1.0, math.nan), (-math.inf,)])
def test_one_response_without_a_finite_score_is_missing_and_costs_no_other(broken):
    actor = judge(FakeEngine([(-1.0,), broken, (-2.0,)]))
    ((first, second, third),) = scores(actor, group(*(response(i) for i in range(3))))
    assert (first.value, third.value) == (-1.0, -2.0)
    assert isinstance(second, Missing) and second.response_id.index == 1 and second.reason.startswith("judge: ")


def test_an_empty_response_is_missing_and_is_not_asked_about():
    ((empty, other),) = scores(judge(FakeEngine([(-1.0,)])), group(response(0, " "), response(1)))
    assert empty == Missing(ResponseId(1, "peru", 0), "judge: empty response")
    assert isinstance(other, JudgeScore)


def test_a_response_that_does_not_fit_the_judges_model_is_missing_and_is_not_asked_about():
    actor = judge(FakeEngine([(-1.0,)]), limit=300)
    ((long, other),) = scores(actor, group(response(0, "Chile " * 300), response(1)))
    assert isinstance(long, Missing) and long.reason == "judge: too long for its model"
    assert isinstance(other, JudgeScore)


def rubric(*texts: str, **settings) -> JudgeActor:
    return judge(GradingEngine(texts), backend="rubric", samples=2, max_tokens=10, **settings)


def test_a_response_is_graded_by_the_mean_of_its_own_judgements_whatever_order_they_come_in():
    actor = rubric("Score: 1", "Score: 2", "Score: 4", "Score: 5")
    ((first, second),) = scores(actor, group(response(0), response(1)))
    assert (first.value, first.samples) == (1.5, (1.0, 2.0))
    assert (second.value, second.samples) == (4.5, (4.0, 5.0))


def test_each_judgement_has_a_random_stream_of_its_own():
    actor = rubric(*["Score: 1"] * 4)
    scores(actor, group(response(0), response(1)))
    assert len({request.seed for request in actor._engine.requests}) == 4


def test_a_response_without_a_readable_judgement_is_missing_and_one_readable_is_enough():
    actor = rubric("no idea", "Score: 9", "no idea", "Score: 3")
    ((unread, read),) = scores(actor, group(response(0), response(1)))
    assert unread == Missing(ResponseId(1, "peru", 0), "judge: no score in its answer")
    assert (read.value, read.samples) == (3.0, (3.0,))


def test_a_response_too_long_to_grade_takes_no_judgement_from_the_others():
    actor = rubric("Score: 2", "Score: 4", limit=500)
    ((long, other),) = scores(actor, group(response(0, "Chile " * 500), response(1)))
    assert long == Missing(ResponseId(1, "peru", 0), "judge: too long for its model")
    assert other.value == 3.0


def test_a_prompt_is_classified_by_the_likelihood_of_the_two_answers():
    actor = judge(ChoosingEngine([(-1.0, -1.0), (0.0, -50.0), (-50.0, 0.0)]))
    found = list(actor.classify([PROMPT] * 3))
    assert found == [(0, 0.5), (1, pytest.approx(1.0)), (2, pytest.approx(0.0, abs=1e-9))]
