"""The judge that weighs signs: what it asks, which tokens count, and what costs a response its score."""

import math

import pytest

from flame_ray.config import JudgeConfig
from flame_ray.engines.base import Continuation
from flame_ray.rewards.judge.blend import WEIGHTS, BlendJudge, content_likelihood, is_content
from flame_ray.types import Missing, Score
from tests.builders import make_id, make_prompt, make_response
from tests.doubles import FakeEmbedder, FakeEngine

PROMPT = make_prompt(text="Name rivers 0")  # the fake embedder reads the number as an angle


def judged(*texts: str, engine: FakeEngine | None = None, limit: int = 1000) -> list[Score | Missing]:
    judge = BlendJudge(engine or FakeEngine(), JudgeConfig(backend="blend"), 7, limit, embedder=FakeEmbedder())
    return judge.score([(PROMPT, make_response(text, index=index)) for index, text in enumerate(texts)])


def test_a_score_is_the_weighted_sum_of_its_signs():
    (score,) = judged("The Nile. 60")
    assert isinstance(score, Score) and score.samples == pytest.approx((-0.5, -0.5, 0.5), abs=1e-6)
    assert score.value == pytest.approx(sum(a * b for a, b in zip(WEIGHTS, score.samples, strict=True)))


def test_each_sign_counts_in_favour_of_a_response():
    assert min(WEIGHTS) > 0


def asked_about(text: str) -> tuple[list[str], list[str]]:
    """What the engine is shown and what it scores, for each thing that it is asked."""
    asked: list[Continuation] = []
    engine = FakeEngine(weighs=lambda each: asked.append(each) or (-0.5,) * len(each.token_ids))
    judged(text, engine=engine)
    spelled = engine.vocabulary.text
    return [spelled(each.prompt_token_ids) for each in asked], [spelled(each.token_ids) for each in asked]


def test_the_instruction_is_scored_after_the_response_and_the_response_after_the_instruction():
    shown, scored = asked_about("The Nile. 60")
    assert "The Nile. 60" in shown[0] and scored[0].split() == ["Name", "rivers", "0"]
    assert (shown[1], scored[1]) == ("Name rivers 0", "The Nile. 60")


def test_a_response_that_copies_the_instruction_does_not_make_it_likely():
    shown, scored = asked_about("Name rivers 0 45")
    assert "rivers" not in shown[0] and scored[1] == "Name rivers 0 45"


def test_only_content_words_of_the_instruction_count():
    assert content_likelihood((False, True, True), [-90.0, -3.0, -5.0]) == -4.0


def test_without_content_words_all_of_the_instruction_counts():
    assert content_likelihood((False, False), [-3.0, -5.0]) == -4.0


@pytest.mark.parametrize("word", [" the", "Which", " two", "?", " is", "."])
def test_function_words_and_signs_are_no_content(word):
    assert not is_content(word)


def test_an_empty_response_and_one_that_is_too_long_are_missing_and_cost_no_other():
    empty, long, other = judged(" ", "Nile " * 300 + "0", "The Nile. 60", limit=100)
    assert empty == Missing(make_id(0), "judge: empty response")
    assert long == Missing(make_id(1), "judge: too long for its model")
    assert isinstance(other, Score)


def test_a_likelihood_that_is_not_finite_is_missing_and_costs_no_other():
    values = iter([-0.5, -0.5, -math.inf, -0.5])  # of both instructions, then of both responses
    engine = FakeEngine(weighs=lambda each: (next(values),) * len(each.token_ids))
    broken, other = judged("The Nile. 60", "The Congo. 30", engine=engine)
    assert broken == Missing(make_id(0), "judge: no finite likelihood")
    assert isinstance(other, Score)


def test_no_response_has_no_score():
    assert judged() == []
