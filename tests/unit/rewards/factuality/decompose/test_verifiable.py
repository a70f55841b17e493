"""Every decomposer marks the sentences without a checkable claim, and its facts have the index of their sentence."""

import pytest

from flame_ray.rewards.factuality.decompose import RuleDecomposer
from flame_ray.rewards.factuality.decompose.rule import ResponseLevelDecomposer
from flame_ray.types import Sentence
from tests.builders import make_response


@pytest.fixture(scope="module", params=["rule", "sentence"])
def decomposer(request):
    return RuleDecomposer(request.param)


def decomposed(decomposer, text, finish_reason="stop", question=""):
    (found,) = decomposer.decompose([question], [make_response(text, finish_reason=finish_reason)])
    return found


def marks(found):
    return [(sentence.text, sentence.verifiable) for sentence in found.sentences_S]


@pytest.mark.parametrize(
    "nothing",
    [
        "Hello!",
        "Is it large?",
        "I'm sorry, but I cannot tell you more.",
        "It is a beautiful place with a long and fascinating history.",
        "I love it.",
    ],
)
def test_a_sentence_without_a_checkable_claim_is_not_verifiable(decomposer, nothing):
    found = decomposed(decomposer, f"Peru borders Chile. {nothing} Peru exports copper.")
    assert marks(found) == [("Peru borders Chile.", True), (nothing, False), ("Peru exports copper.", True)]
    assert [fact.sentence for fact in found.facts_F] == [0, 2]


def test_a_repeated_sentence_is_verifiable_but_has_no_fact(decomposer):
    found = decomposed(decomposer, "Peru borders Chile. Chile borders Peru.")
    assert marks(found) == [("Peru borders Chile.", True), ("Chile borders Peru.", True)]
    assert [fact.sentence for fact in found.facts_F] == [0]


def test_each_item_of_a_list_is_a_sentence_and_an_unfinished_end_is_not(decomposer):
    text = "Hello!\n\nThe countries that border Peru are:\n\n1. Bolivia\n2. Chile\n\nIs it large? It exports copper."
    found = decomposed(decomposer, f"{text} Its capital is Lim", "length")
    assert marks(found) == [
        ("Hello!", False),
        ("The countries that border Peru are Bolivia", True),
        ("The countries that border Peru are Chile", True),
        ("Is it large?", False),
        ("It exports copper.", True),
    ]
    said = [(fact.text.split()[-1], fact.sentence) for fact in found.facts_F]
    assert said == [("Bolivia", 1), ("Chile", 2), ("copper", 4)]


def test_an_empty_response_has_no_sentences(decomposer):
    assert decomposed(decomposer, " \n").sentences_S == decomposed(ResponseLevelDecomposer(), " \n").sentences_S == ()


def test_the_response_level_decomposer_has_one_sentence():
    assert decomposed(ResponseLevelDecomposer(), "Hello! Peru borders Chile. ").sentences_S == (
        Sentence("Hello! Peru borders Chile.", verifiable=True),
    )
    assert decomposed(ResponseLevelDecomposer(), "Hello! Is it?").sentences_S == (Sentence("Hello! Is it?", verifiable=False),)
