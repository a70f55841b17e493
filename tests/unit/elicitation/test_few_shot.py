"""The text of a few-shot prompt, and what is left out of one that is too long."""

import pytest

from flame_ray.elicitation.few_shot import STOP, can_be_shown, few_shot_prompt, fitted_prompt
from flame_ray.types import Demonstration
from tests.builders import make_passage, make_prompt


def make_shown(question, answer="Yes."):
    return Demonstration(make_prompt(question, question), answer, "seeds")


NEAREST = [make_shown("Q1?", "A1."), make_shown("Q2?", "A2.")]


def words(text):
    return len(text.split())


def test_the_nearest_example_stands_right_before_the_instruction_and_the_text_ends_where_the_answer_begins():
    assert few_shot_prompt("Q?", NEAREST) == (
        "### Instruction:\nQ2?\n\n### Response:\nA2.\n\n"
        "### Instruction:\nQ1?\n\n### Response:\nA1.\n\n"
        "### Instruction:\nQ?\n\n### Response:\n"
    )


def test_passages_stand_between_the_examples_and_the_instruction_the_best_one_first():
    passages = [make_passage("Lima is its capital.", title="Peru"), make_passage("Quito is its capital.", title="Ecuador")]
    assert few_shot_prompt("Q?", NEAREST[:1], passages).endswith(
        "A1.\n\n### Passage:\nPeru: Lima is its capital.\n\n### Passage:\nEcuador: Quito is its capital.\n\n"
        "### Instruction:\nQ?\n\n### Response:\n"
    )


def test_without_examples_the_instruction_stands_alone():
    assert few_shot_prompt("Q?", []) == "### Instruction:\nQ?\n\n### Response:\n"


@pytest.mark.parametrize("passages", [(), (make_passage(),)])
def test_what_would_follow_an_answer_in_the_prompt_ends_a_sample(passages):
    text = few_shot_prompt("Q?", NEAREST, passages)
    after = text.partition("A1.")[2].lstrip("\n")
    assert any(f"\n{after}".startswith(stop) for stop in STOP)


@pytest.mark.parametrize(
    ("limit", "shots", "passages"),
    [(99, 2, 2), (29, 2, 2), (28, 1, 2), (23, 1, 2), (22, 0, 2), (17, 0, 2), (16, 0, 1), (11, 0, 1), (10, 0, 0), (5, 0, 0)],
)
def test_the_farthest_examples_then_the_last_passages_are_left_out_of_a_prompt_that_is_too_long(limit, shots, passages):
    """Five words for the instruction, six for an example, six for a passage."""
    evidence = [make_passage("A b c.", title="T")] * 2
    found = fitted_prompt("Q?", NEAREST, evidence, words, limit)
    assert (found.shots, found.passages) == (shots, passages)
    assert (found.shots_left_out, found.passages_left_out) == (2 - shots, 2 - passages)
    assert words(found.text) == 5 + 6 * shots + 6 * passages <= limit
    assert ("A1." in found.text, "A2." in found.text) == (shots > 0, shots > 1)


def test_an_instruction_that_alone_is_too_long_has_no_prompt():
    assert fitted_prompt("Q?", NEAREST, (), words, 4) is None


@pytest.mark.parametrize(
    ("text", "can"),
    [("In Peru.", True), ("# Lima\n### Response time", True), ("a\n### Response:\nb", False), ("### Passage:", False)],
)
def test_a_text_with_the_headings_of_the_prompt_is_not_shown(text, can):
    assert can_be_shown(make_shown("Q?", text)) is can
    assert can_be_shown(make_shown(text)) is can
