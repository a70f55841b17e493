"""Which of two responses counts as the better one: precision, F1@K, length penalty, smallest gaps and largest losses."""

import pytest

from flame_ray.config import PairsConfig
from flame_ray.pairs import build_pairs, f_at
from flame_ray.types import Pair, PairSet, Prompt, ScoredGroup, ScoredResponse, VerdictLabel
from tests.builders import make_response, make_scored

PERU = Prompt("peru", "Which countries border Peru?", fact_based=True)
FACTUALITY = PairsConfig(max_judge_gap=None, kinds=("factuality",))


def stated(index: int, supported: int, unsupported: int, judge: float = 0.0) -> ScoredResponse:
    """Response `index`, with so many facts that the evidence supports and so many that it does not."""
    labels = [VerdictLabel.SUPPORTED] * supported + [VerdictLabel.CONTRADICTED] * unsupported
    return make_scored(make_response(f"answer {index}", index=index), judge=judge, facts=labels)


def unchecked(index: int, judge: float) -> ScoredResponse:
    return make_scored(make_response(f"answer {index}", index=index), judge=judge, facts="checker failed")


def pairs_of(scored_G: list[ScoredResponse], config: PairsConfig) -> PairSet:
    return build_pairs([ScoredGroup(PERU, tuple(scored_G))], config)


def indexes(pair: Pair) -> tuple[int, int]:
    return pair.chosen.id.index, pair.rejected.id.index


def only(pairs: PairSet) -> Pair:
    assert len(pairs.pairs_D) == 1, pairs
    return pairs.pairs_D[0]


# Precision


def test_among_equal_precision_the_response_that_states_more_is_chosen():
    group = [stated(0, 1, 0), stated(1, 5, 0), stated(2, 3, 0), stated(3, 1, 1)]
    for order in (group, group[::-1]):
        assert indexes(only(pairs_of(order, FACTUALITY))) == (1, 3)


def test_among_responses_that_are_all_wrong_the_one_with_most_errors_is_rejected():
    group = [stated(0, 0, 1), stated(1, 0, 4), stated(2, 1, 1)]
    assert indexes(only(pairs_of(group, FACTUALITY))) == (2, 1)


def test_several_factuality_pairs_a_prompt_are_taken_widest_gap_first():
    group = [stated(index, supported, 4 - supported) for index, supported in enumerate([0, 4, 2, 1])]
    config = PairsConfig(max_judge_gap=None, factuality_per_prompt=3, kinds=("factuality",))
    pairs = pairs_of(group, config).pairs_D
    assert [(pair.chosen_score, pair.rejected_score) for pair in pairs] == [(1.0, 0.0), (1.0, 0.25), (0.5, 0.0)]


def test_a_prompt_gives_one_instruction_pair_however_many_factuality_pairs_are_asked_for():
    group = [stated(index, 1, 0, judge) for index, judge in enumerate([0.1, 0.5, 0.3, 0.9])]
    pairs = pairs_of(group, PairsConfig(factuality_per_prompt=4, kinds=("instruction",))).pairs_D
    assert [(pair.chosen_score, pair.rejected_score) for pair in pairs] == [(0.9, 0.1)]


# F1@K


@pytest.mark.parametrize(
    ("supported", "facts", "f1"),
    [
        (2, 2, 2 / 3),  # precision 1, recall 2/4
        (3, 4, 3 / 4),  # precision 3/4, recall 3/4
        (6, 8, 6 / 7),  # precision 3/4, recall 1 and no more
        (4, 4, 1.0),
        (1, 1, 2 / 5),  # precision 1, recall 1/4
        (0, 4, 0.0),
    ],
)
def test_f1_at_four_is_what_precision_and_recall_give_by_hand(supported, facts, f1):
    assert f_at(4, 1.0, supported, facts) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("supported", "facts", "f"),
    [
        (1, 1, 5 / 6),  # 1.25 x 1 x 0.5 / (0.25 + 0.5)
        (2, 4, 5 / 9),  # 1.25 x 0.5 x 1 / (0.125 + 1)
        (1, 2, 1 / 2),  # precision and recall alike: F is they
        (0, 2, 0.0),
    ],
)
def test_with_a_weight_of_a_half_precision_counts_for_more_than_recall(supported, facts, f):
    assert f_at(2, 0.5, supported, facts) == pytest.approx(f)


def test_by_f1_the_response_that_says_most_that_is_true_wins_where_by_precision_the_short_one_does():
    group = [stated(0, 2, 0), stated(1, 6, 2), stated(2, 1, 3)]
    assert indexes(only(pairs_of(group, FACTUALITY))) == (0, 2)
    pair = only(pairs_of(group, FACTUALITY.model_copy(update={"recall_at": 4})))
    assert indexes(pair) == (1, 2)
    assert (pair.chosen_score, pair.rejected_score) == (pytest.approx(6 / 7), pytest.approx(1 / 4))


def test_by_f1_an_abstention_is_still_neither_chosen_nor_rejected():
    config = FACTUALITY.model_copy(update={"recall_at": 4})
    assert indexes(only(pairs_of([stated(0, 0, 0), stated(1, 0, 2), stated(2, 1, 1)], config))) == (2, 1)


def test_the_length_penalty_prefers_several_facts_to_a_single_true_one():
    """gamma 3: 1 of 1 is worth exp(-2) = 0.135, 2 of 4 is worth 0.5."""
    group = [stated(0, 1, 0), stated(1, 2, 2)]
    assert indexes(only(pairs_of(group, FACTUALITY))) == (0, 1)
    pair = only(pairs_of(group, FACTUALITY.model_copy(update={"gamma": 3.0})))
    assert indexes(pair) == (1, 0)
    assert (pair.chosen_score, pair.rejected_score) == pytest.approx((0.5, 0.1353), abs=1e-4)


# Smallest gaps


@pytest.mark.parametrize(("smallest", "kept"), [(0.0, True), (0.25, True), (0.5, True), (0.75, False)])
def test_a_factuality_pair_must_differ_by_the_smallest_fact_gap(smallest, kept):
    pairs = pairs_of([stated(0, 3, 1), stated(1, 1, 3)], FACTUALITY.model_copy(update={"min_fact_gap": smallest}))
    assert (len(pairs.pairs_D) == 1) is kept
    assert pairs.dropped == ({} if kept else {"factuality: gap too small": 1})


def test_a_gap_of_exactly_the_smallest_is_kept_however_the_division_rounds():
    assert 10 / 10 - 9 / 10 < 0.1
    config = FACTUALITY.model_copy(update={"min_fact_gap": 0.1})
    assert indexes(only(pairs_of([stated(0, 10, 0), stated(1, 9, 1)], config))) == (0, 1)
    assert pairs_of([stated(0, 11, 0), stated(1, 10, 1)], config).dropped == {"factuality: gap too small": 1}


def test_further_pairs_must_reach_the_smallest_gap_too_and_the_prompt_needs_no_reason():
    group = [stated(index, supported, 4 - supported) for index, supported in enumerate([0, 4, 1])]
    config = PairsConfig(max_judge_gap=None, min_fact_gap=0.5, factuality_per_prompt=9, kinds=("factuality",))
    pairs = pairs_of(group, config)
    assert [(pair.chosen_score, pair.rejected_score) for pair in pairs.pairs_D] == [(1.0, 0.0), (1.0, 0.25)]
    assert pairs.dropped == {}


@pytest.mark.parametrize(("smallest", "kept"), [(0.4, True), (0.6, False)])
def test_judge_scores_nearer_than_the_smallest_judge_gap_are_a_tie(smallest, kept):
    pairs = pairs_of([stated(0, 1, 0, 1.0), stated(1, 1, 0, 1.5)], PairsConfig(kinds=("instruction",), min_judge_gap=smallest))
    assert (len(pairs.pairs_D) == 1) is kept
    assert pairs.dropped == ({} if kept else {"instruction: gap too small": 1})


# The largest loss of factuality


def instruction(**settings) -> PairsConfig:
    return PairsConfig(kinds=("instruction",), **settings)


@pytest.mark.parametrize(("largest", "kept"), [(None, True), (0.75, True), (0.5, True), (0.25, False), (0.0, False)])
def test_an_instruction_pair_may_lose_no_more_precision_than_the_largest_loss(largest, kept):
    """The judge likes the answer that is right in 1 of 4 facts better than the one that is right in 3 of 4."""
    pairs = pairs_of([stated(0, 1, 3, judge=2.0), stated(1, 3, 1, judge=1.0)], instruction(max_fact_loss=largest))
    assert (len(pairs.pairs_D) == 1) is kept
    assert pairs.dropped == ({} if kept else {"instruction: less factual": 1})


def test_an_instruction_pair_that_gains_factuality_is_kept():
    assert indexes(only(pairs_of([stated(0, 3, 1, 2.0), stated(1, 1, 3, 1.0)], instruction(max_fact_loss=0.0)))) == (0, 1)


def test_the_loss_is_measured_as_factuality_is_ranked():
    """1 of 1 against 3 of 4: by precision a gain, by F1@4 a loss of 0.75 - 0.4."""
    group = [stated(0, 1, 0, judge=2.0), stated(1, 3, 1, judge=1.0)]
    assert indexes(only(pairs_of(group, instruction(max_fact_loss=0.3)))) == (0, 1)
    assert pairs_of(group, instruction(max_fact_loss=0.3, recall_at=4)).dropped == {"instruction: less factual": 1}
    assert indexes(only(pairs_of(group, instruction(max_fact_loss=0.36, recall_at=4)))) == (0, 1)


@pytest.mark.parametrize("chosen", [unchecked(0, 2.0), stated(0, 0, 0, 2.0)], ids=["check failed", "states nothing"])
def test_without_two_factuality_scores_there_is_no_loss_to_forbid(chosen):
    pairs = pairs_of([chosen, stated(1, 4, 0, 1.0)], instruction(max_fact_loss=0.0))
    assert indexes(only(pairs)) == (0, 1)


def test_the_largest_loss_is_no_filter_of_factuality_pairs():
    config = PairsConfig(max_judge_gap=None, max_fact_loss=0.0)
    pairs = pairs_of([stated(0, 1, 3, judge=2.0), stated(1, 3, 1, judge=1.0)], config)
    assert indexes(only(pairs)) == (1, 0)
    assert pairs.dropped == {"instruction: less factual": 1}
