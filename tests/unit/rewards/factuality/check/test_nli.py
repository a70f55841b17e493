"""The checker that reads entailment: whose window decides, and which models it takes."""

import math
from itertools import pairwise

import pytest

from flame_ray.errors import ModelError
from flame_ray.rewards.factuality.check.nli import PREMISE_CHARACTERS, NliChecker, premises_of
from flame_ray.types import Claim, Fact, Passage, VerdictLabel
from tests.doubles import FakeScorer

SUPPORTED, CONTRADICTED, NOT_FOUND = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND
THREE = ("contradiction", "entailment", "neutral")
PERU = Passage("pe", "Peru", "Lima is the capital of Peru.")
KENYA = Passage("ke", "Kenya", "Nairobi lies in Kenya.")


def scores(says, labels=THREE):
    """`says` gives the probability of each label for (premise, hypothesis)."""
    return FakeScorer(lambda *pair: [math.log(max(share, 1e-9)) for share in says(*pair)], labels)


def check(says, *passages, fact="The capital of Peru is Lima", labels=THREE, **settings):
    return NliChecker(scores(says, labels), "model", **settings).check([Claim(Fact(fact, 0), passages)])[0]


def test_any_premise_can_support():
    verdict = check(lambda premise, _: (0.1, 0.8, 0.1) if "Nairobi" in premise else (0.9, 0.05, 0.05), PERU, KENYA)
    assert (verdict.label, verdict.score, verdict.passage_id) == (SUPPORTED, pytest.approx(0.8), "ke")


def test_only_the_premise_that_matches_best_can_contradict():
    of_peru = check(lambda premise, _: (0.7, 0.2, 0.1) if "Lima" in premise else (0.0, 0.3, 0.7), KENYA, PERU)
    assert (of_peru.label, of_peru.score, of_peru.passage_id) == (CONTRADICTED, pytest.approx(0.3), "pe")
    of_kenya = check(lambda premise, _: (0.9, 0.05, 0.05) if "Nairobi" in premise else (0.1, 0.1, 0.8), KENYA, PERU)
    assert (of_kenya.label, of_kenya.passage_id) == (NOT_FOUND, None)


def test_a_best_match_that_is_unsure_does_not_contradict():
    assert check(lambda *_: (0.45, 0.1, 0.45), PERU).label is NOT_FOUND


def test_a_fact_without_evidence_is_not_found_and_nothing_is_scored():
    assert check(lambda *_: 1 / 0).label is NOT_FOUND
    assert check(lambda *_: 1 / 0, Passage("x", "Peru", " \n ")).label is NOT_FOUND


def test_claims_are_answered_in_their_order_and_a_pair_is_scored_once():
    scorer = scores(lambda _, fact: (0.0, float(fact[-1]) / 10, 1 - float(fact[-1]) / 10))
    claims = [Claim(Fact(f"fact {digit}", 0), (PERU, PERU)) for digit in (3, 9, 3)]
    found = NliChecker(scorer, "model").check(claims)
    assert [round(verdict.score, 4) for verdict in found] == [0.3, 0.9, 0.3]
    assert len(scorer.pairs) == 2


@pytest.mark.parametrize(
    ("labels", "shares", "label"),
    [
        (("ENTAILMENT", "NEUTRAL", "CONTRADICTION"), (0.9, 0.05, 0.05), SUPPORTED),
        (("neutral", "Contradiction", "Entailment"), (0.1, 0.8, 0.1), CONTRADICTED),
        (("REFUTES", "SUPPORTS", "NOT ENOUGH INFO"), (0.1, 0.1, 0.8), NOT_FOUND),
        (("entailment", "not_entailment"), (0.9, 0.1), SUPPORTED),
        (("not-entailment", "entailment"), (0.9, 0.1), CONTRADICTED),
        (("contradiction", "entailment"), (0.4, 0.6), SUPPORTED),
    ],
)
def test_labels_count_in_any_order_and_spelling(labels, shares, label):
    assert check(lambda *_: shares, PERU, labels=labels).label is label


@pytest.mark.parametrize(
    "labels",
    [("LABEL_0", "LABEL_1"), ("LABEL_0",), (), ("entailment",), ("entailment", "neutral"), ("positive", "negative"),
     ("entailment", "neutral", "contradiction", "other"), ("entailment", "entails", "contradiction"),
     ("entailment", "supported", "contradiction")],
)  # fmt: skip
def test_a_model_of_other_labels_is_refused_with_those_it_has(labels):
    with pytest.raises(ModelError) as error:
        NliChecker(scores(lambda *_: (), labels), "model")
    assert (", ".join(labels) or "none") in str(error.value)


def test_the_threshold_and_the_model_are_in_the_identity():
    scorer = scores(lambda *_: (0.0, 0.6, 0.4))
    assert len({NliChecker(scorer, "a").identity, NliChecker(scorer, "b").identity, NliChecker(scorer, "a", 0.9).identity}) == 3
    assert check(lambda *_: (0.0, 0.6, 0.4), PERU, threshold=0.7).label is NOT_FOUND


# Premises


def texts(text, title="T"):
    return [premise.text.removeprefix(f"{title}. ") for premise in premises_of([Passage("x", title, text)])]


def test_short_evidence_is_one_premise_with_its_title():
    assert [premise.text for premise in premises_of([PERU])] == ["Peru. Lima is the capital of Peru."]


def test_premises_overlap_by_a_sentence_and_hold_all_of_the_evidence():
    sentences = [f"Sentence number {number} says {'something ' * 12}here." for number in range(20)]
    found = texts(" ".join(sentences))
    assert len(found) > 3 and all(len(text) <= PREMISE_CHARACTERS for text in found)
    assert all(any(sentence in text for text in found) for sentence in sentences)
    for before, after in pairwise(found):
        shared = [sentence for sentence in sentences if sentence in before and sentence in after]
        assert len(shared) == 1 and before.endswith(shared[0]) and after.startswith(shared[0])


@pytest.mark.parametrize("text", ["word " * 5000, "字" * 5000, "A. " * 5000, "\x00" * 2000, "a" * PREMISE_CHARACTERS + ". b"])
def test_any_evidence_is_split_into_premises_that_lose_nothing(text):
    found = texts(text)
    assert all(0 < len(premise) <= PREMISE_CHARACTERS for premise in found)
    assert len("".join(found).replace(" ", "")) >= len(text.strip().replace(" ", ""))
