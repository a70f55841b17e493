"""The back-translation judge: what it asks, how its answers become scores, and what a copied instruction is worth."""

import math

import pytest

from flame_ray.rewards.judge.backtranslation import (
    BacktranslationJudge,
    backtranslation_messages,
    backtranslation_score,
    strip_quoted,
)
from flame_ray.types import Missing, Score
from tests.builders import make_id, make_prompt, make_response
from tests.doubles import FakeEngine


def judged(*texts: str, likelihoods: list[tuple[float, ...]], limit: int = 1000) -> list[Score | Missing]:
    """`likelihoods`: the instruction's log-probabilities after each response that is asked about."""
    left = iter(likelihoods)
    judge = BacktranslationJudge(FakeEngine(weighs=lambda asked: next(left), max_length=limit))
    found = judge.score([(make_prompt(), make_response(text, index=index)) for index, text in enumerate(texts)])
    assert next(left, None) is None
    return found


def test_a_score_is_the_mean_log_probability_of_the_instruction_after_the_response():
    first, second = judged("Chile.", "Brazil.", likelihoods=[(-1.0, -3.0), (-4.0,)])
    assert (first, second) == (Score(make_id(0), -2.0, (-2.0,)), Score(make_id(1), -4.0, (-4.0,)))


@pytest.mark.parametrize("broken", [(), (-1.0, math.nan), (-math.inf,)])
def test_one_response_without_a_finite_score_is_missing_and_costs_no_other(broken):
    first, second, third = judged("a", "b", "c", likelihoods=[(-1.0,), broken, (-2.0,)])
    assert (first.value, third.value) == (-1.0, -2.0)
    assert second == Missing(make_id(1), "judge: no finite likelihood")


def test_an_empty_response_is_missing_and_is_not_asked_about():
    empty, other = judged(" ", "Chile.", likelihoods=[(-1.0,)])
    assert empty == Missing(make_id(0), "judge: empty response")
    assert isinstance(other, Score)


def test_a_response_that_does_not_fit_the_judges_model_is_missing_and_is_not_asked_about():
    long, other = judged("Chile " * 300, "Chile.", likelihoods=[(-1.0,)], limit=300)
    assert long == Missing(make_id(0), "judge: too long for its model")
    assert isinstance(other, Score)


def test_backtranslation_shows_the_response():
    (message,) = backtranslation_messages("100 %s of {them}")
    assert message["role"] == "user" and "100 %s of {them}" in message["content"]


def test_the_backtranslation_score_is_the_mean_a_token():
    assert backtranslation_score([-1.0, -2.0, -6.0]) == -3.0


@pytest.mark.parametrize("bad", [[], [-1.0, math.nan], [-1.0, -math.inf]])
def test_without_a_token_or_with_one_that_is_not_finite_there_is_no_score(bad):
    assert backtranslation_score(bad) is None


QUESTION = "What is the capital of Peru, and what kind of government does it have?"


@pytest.mark.parametrize(
    ("response", "left"),
    [
        (QUESTION + " Lima.", "… Lima."),
        (QUESTION.upper(), "…"),
        ('You asked: "' + QUESTION + '" It is Lima.', 'You asked: "… It is Lima.'),
        (
            "Lima. What is the capital of Peru? Lima, and what kind of government does it have? A republic.",
            "Lima. … Lima, … A republic.",
        ),
        ("The capital of Peru is Lima.", "… is Lima."),
        ("Peru: the capital is Lima, and it is a republic.", "Peru: the capital is Lima, and it is a republic."),
        ("", ""),
    ],
)
def test_runs_of_words_that_are_copied_from_the_instruction_become_an_ellipsis(response, left):
    assert strip_quoted(QUESTION, response) == left


def test_an_instruction_shorter_than_a_run_is_cut_out_whole():
    assert strip_quoted("Why?", "Why? Because.") == "… Because."
    assert strip_quoted("Name a fish.", "Name a fish: cod. A fish is fine.") == "… cod. A fish is fine."


def test_an_instruction_without_words_removes_nothing():
    assert strip_quoted("???", "??? What do you mean?") == "??? What do you mean?"
