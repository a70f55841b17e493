"""The judge of preferences: what it reads together, what is missing, and what the weights that ship prefer."""

import math

import numpy as np
import pytest

from flame_ray.rewards.judge.preference import SHIPPED, PreferenceJudge
from flame_ray.types import Missing, Score
from tests.builders import make_id, make_prompt, make_response


class Scorer:
    """Scores a response by its length, or by `values`, and remembers what it was asked."""

    def __init__(self, values: dict[str, float] | None = None):
        self.values, self.asked = values or {}, []

    def scores(self, asked):
        self.asked += asked
        return [np.array([self.values.get(each, float(len(each))) for each in responses], np.float32) for _, responses in asked]


def test_responses_to_one_instruction_are_read_together_and_come_back_in_order():
    scorer = Scorer()
    first, second = make_prompt("a", text="First?"), make_prompt("b", text="Second?")
    items = [
        (first, make_response("xx", index=0)),
        (second, make_response("x", index=1)),
        (first, make_response("xxx", index=2)),
    ]
    found = PreferenceJudge(scorer).score(items)
    assert scorer.asked == [("First?", ["xx", "xxx"]), ("Second?", ["x"])]
    assert found == [Score(make_id(0), 2.0, (2.0,)), Score(make_id(1), 1.0, (1.0,)), Score(make_id(2), 3.0, (3.0,))]


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_one_response_without_a_finite_score_is_missing_and_costs_no_other(broken):
    judge = PreferenceJudge(Scorer({"b": broken}))
    first, second = judge.score([(make_prompt(), make_response(text, index=index)) for index, text in enumerate("ab")])
    assert (first, second) == (Score(make_id(0), 1.0, (1.0,)), Missing(make_id(1), "judge: no finite score"))


def test_an_empty_response_is_missing_and_is_not_asked_about():
    scorer = Scorer()
    (found,) = PreferenceJudge(scorer).score([(make_prompt(), make_response(" \n", index=0))])
    assert found == Missing(make_id(0), "judge: empty response") and scorer.asked == []


@pytest.fixture(scope="module")
def shipped():
    from flame_ray.engines.preference_reader import PreferenceReader

    return PreferenceReader(SHIPPED)


@pytest.mark.parametrize(
    ("instruction", "better", "worse"),
    [
        (
            "Where is Peru? Answer in one sentence.",
            "Peru is in western South America, on the Pacific.",
            "I like green tea.",
        ),
        ("What is the capital of Kenya?", "The capital of Kenya is Nairobi.", "What is the capital of Kenya?"),
        ("Name two fruits.", "Apples and pears.", "Name two fruits. Name two fruits. Name two fruits."),
        (
            "What are the main exports of Chile?",
            "Chile exports copper, fruit and fish.",
            "Chile Chile Chile.",
        ),
        ("Describe the climate of Iceland.", "Iceland is cool and windy, with mild winters.", "The is of and."),
    ],
)
def test_the_weights_that_ship_prefer_an_answer_to_a_question_repeated_or_another_matter(shipped, instruction, better, worse):
    ((first, second),) = shipped.scores([(instruction, [better, worse])])
    assert first > second
