"""Decomposition of a response into one fact."""

import pytest

from flame_ray.rewards.factuality.decompose.rule import ResponseLevelDecomposer
from tests.builders import make_response


def whole(text, finish_reason="stop"):
    return ResponseLevelDecomposer().decompose([""], [make_response(text, finish_reason=finish_reason)])[0]


def test_a_response_is_one_fact_its_whole_text():
    text = "Peru borders Chile.\n\n- It exports **copper**."
    assert [(fact.text, fact.sentence) for fact in whole(f" {text}\n").facts_F] == [(text, 0)]


@pytest.mark.parametrize("text", ["", " \n", "I'm sorry, but I cannot answer that.", "What would you like to know?"])
def test_a_refusal_and_an_empty_response_abstain(text):
    assert whole(text).facts_F == ()


def test_an_unfinished_last_sentence_is_left_out():
    assert [fact.text for fact in whole("Peru borders Chile. Its capital is Lim", "length").facts_F] == ["Peru borders Chile."]
