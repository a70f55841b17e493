"""Pairs keep what is known of their sides' facts, and are turned round where the less factual side is chosen."""

import pytest

from flame_ray.config import PairsConfig
from flame_ray.pairs import build_pairs, factual_first
from flame_ray.types import Sentence, SideFacts, VerdictLabel
from tests.builders import (
    make_fact_score,
    make_pair,
    make_pair_set,
    make_response,
    make_scored,
    make_scored_group,
    make_verdict,
)

SUPPORTED, CONTRADICTED, NOT_FOUND = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND


def said(index: int, judge: float, facts, prompt: str = "peru"):
    return make_scored(make_response(f"answer {index}", index=index, prompt=prompt), judge=judge, facts=facts)


def test_a_pair_of_either_kind_knows_the_factuality_of_its_sides():
    group = make_scored_group(said(0, 3.0, [SUPPORTED, CONTRADICTED]), said(1, 2.0, [SUPPORTED]))
    (pair,) = build_pairs([group], PairsConfig(kinds=("instruction",))).pairs_D
    assert (pair.chosen_facts, pair.rejected_facts) == (SideFacts(0.5), SideFacts(1.0))
    assert pair.fact_gap == -0.5


def test_factuality_is_measured_as_pairs_are_ranked():
    """By F1@2: 2 x 0.5 x 0.5 / (0.5 + 0.5) and 2 x 1 x 0.5 / (1 + 0.5)."""
    group = make_scored_group(said(0, 3.0, [SUPPORTED, CONTRADICTED]), said(1, 2.0, [SUPPORTED]))
    (pair,) = build_pairs([group], PairsConfig(kinds=("instruction",), recall_at=2)).pairs_D
    assert (pair.chosen_facts.factuality, pair.rejected_facts.factuality) == pytest.approx((0.5, 2 / 3))


def test_a_side_keeps_its_sentences_with_what_the_verdicts_say_of_them():
    sentences = [
        Sentence(text, True) for text in ("Sure!", "All true.", "Half true.", "Half wrong.", "Wrong.", "Says nothing.")
    ]
    labels = [(1, SUPPORTED), (1, SUPPORTED), (2, SUPPORTED), (2, CONTRADICTED), (3, CONTRADICTED), (3, SUPPORTED)]
    labels += [(4, NOT_FOUND), (5, VerdictLabel.SAYS_NOTHING)]
    verdicts = [make_verdict(label, sentence=place) for place, label in labels]
    for counts, last in ((True, False), (False, None)):
        score = make_fact_score(*verdicts, sentences=sentences, not_found_counts=counts)
        group = make_scored_group(said(0, 3.0, score), said(1, 2.0, [SUPPORTED]))
        (pair,) = build_pairs([group], PairsConfig(kinds=("instruction",))).pairs_D
        assert [each.text for each in pair.chosen_facts.sentences_S] == [each.text for each in sentences]
        assert [each.holds for each in pair.chosen_facts.sentences_S] == [None, True, False, False, last, None]


@pytest.mark.parametrize("facts", [None, "checker failed", []], ids=["not checked", "failed", "states nothing"])
def test_there_is_no_gap_where_a_side_has_no_score(facts):
    group = make_scored_group(said(0, 3.0, facts), said(1, 2.0, [SUPPORTED]))
    (pair,) = build_pairs([group], PairsConfig(kinds=("instruction",))).pairs_D
    assert pair.fact_gap is None
    assert pair.chosen_facts == (SideFacts(None) if facts == [] else None)


def test_a_pair_that_prefers_the_less_factual_side_is_turned_round_with_all_that_belongs_to_a_side():
    pair = make_pair(kind="instruction", scores=(4.0, 1.0), factuality=(0.25, 0.75))
    (turned,) = factual_first(make_pair_set(pair)).pairs_D
    assert (turned.chosen, turned.rejected, turned.kind) == (pair.rejected, pair.chosen, "instruction")
    assert (turned.chosen_score, turned.rejected_score, turned.fact_gap, turned.flipped) == (1.0, 4.0, 0.5, True)


@pytest.mark.parametrize("factuality", [(0.75, 0.25), (0.5, 0.5), None, (None, 0.5), (0.5, None)])
def test_any_other_pair_stays_as_it_is(factuality):
    pairs = make_pair_set(make_pair(factuality=factuality), dropped={"factuality: tie": 2}, responses=9, truncated=1)
    assert factual_first(pairs) == pairs


def test_a_truncated_response_is_not_chosen_by_turning_round_either_and_the_pair_is_counted():
    cut = make_response("cut", index=1, finish_reason="length")
    pairs = make_pair_set(
        make_pair(kind="instruction", factuality=(0.0, 1.0), rejected=cut), make_pair(), dropped={"response: empty": 1}
    )
    found = factual_first(pairs)
    assert found.pairs_D == pairs.pairs_D[1:]
    assert found.dropped == {"instruction: more factual side truncated": 1, "response: empty": 1}
    assert found.counts.by_kind == {"factuality": 1}
