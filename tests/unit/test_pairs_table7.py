"""The other ways of the paper's table 7 to make pairs: every pair over a gap, and one weighted reward."""

from itertools import permutations

import pytest

from flame_ray.config import PairsConfig
from flame_ray.pairs import build_pairs
from flame_ray.types import Pair, PairSet, ScoredGroup, ScoredResponse, VerdictLabel
from tests.builders import make_prompt, make_response, make_scored

FACTS = make_prompt("peru", fact_based=True)
POEM = make_prompt("poem", "Write a poem.", fact_based=False)
EVERY = PairsConfig(kinds=("factuality",), min_fact_gap=0.2, factuality_per_prompt=None, max_judge_gap=0.5)
WEIGHTED = PairsConfig(kinds=("weighted",))


def of_ten(index: int, supported: int, judge: float | str = 3.0, *, finish_reason: str = "stop") -> ScoredResponse:
    """A response with so many of its ten facts supported."""
    labels = [VerdictLabel.SUPPORTED] * supported + [VerdictLabel.CONTRADICTED] * (10 - supported)
    return make_scored(make_response(f"answer {index}", index=index, finish_reason=finish_reason), judge=judge, facts=labels)


def pairs_of(scored_G: list[ScoredResponse], config: PairsConfig, prompt=FACTS) -> PairSet:
    return build_pairs([ScoredGroup(prompt, tuple(scored_G))], config)


def indexes(pairs: PairSet) -> list[tuple[int, int]]:
    return [(pair.chosen.id.index, pair.rejected.id.index) for pair in pairs.pairs_D]


# Every pair over a gap


def test_every_two_responses_whose_precision_differs_by_the_gap_are_a_pair_widest_first():
    group = [of_ten(0, 10), of_ten(1, 8), of_ten(2, 7), of_ten(3, 2)]
    pairs = pairs_of(group, EVERY)
    assert indexes(pairs) == [(0, 3), (1, 3), (2, 3), (0, 2), (0, 1)]  # 0.8, 0.6, 0.5, 0.3, 0.2; 0.8 - 0.7 is too little
    assert pairs.dropped == {}


def test_a_pair_whose_sides_the_judge_tells_apart_is_left_out_and_the_others_stay():
    group = [of_ten(0, 10, 4.0), of_ten(1, 8, 3.0), of_ten(2, 4, 3.5)]
    assert indexes(pairs_of(group, EVERY)) == [(0, 2), (1, 2)]  # 0 and 1 differ by 1.0, the others by 0.5


def test_a_limit_counts_the_pairs_that_no_filter_drops():
    group = [of_ten(0, 10, 5.0), of_ten(1, 9, 3.0), of_ten(2, 5, 3.0), of_ten(3, 2, 3.0)]
    assert indexes(pairs_of(group, EVERY.model_copy(update={"factuality_per_prompt": 2}))) == [(1, 3), (1, 2)]


def test_with_a_limit_of_one_the_widest_pair_is_taken_or_none_as_in_the_paper():
    group = [of_ten(0, 10, 5.0), of_ten(1, 9, 3.0), of_ten(2, 2, 3.0)]
    pairs = pairs_of(group, EVERY.model_copy(update={"factuality_per_prompt": 1}))
    assert pairs == PairSet((), {"factuality: judge gap too large": 1}, responses=3)


def test_a_prompt_whose_pairs_are_all_dropped_gives_the_reason_of_the_widest():
    group = [of_ten(0, 10, 5.0), of_ten(1, 9, 3.0), of_ten(2, 8, 1.0)]
    assert pairs_of(group, EVERY).dropped == {"factuality: judge gap too large": 1}
    assert pairs_of([of_ten(0, 10), of_ten(1, 9)], EVERY).dropped == {"factuality: gap too small": 1}


def test_of_every_pair_the_chosen_response_is_whole():
    group = [of_ten(0, 10, finish_reason="length"), of_ten(1, 8), of_ten(2, 2, finish_reason="length")]
    assert indexes(pairs_of(group, EVERY)) == [(1, 2)]


# One weighted reward


def only(pairs: PairSet) -> Pair:
    (pair,) = pairs.pairs_D
    return pair


def test_the_weighted_pair_is_ordered_by_the_judges_score_and_five_times_the_precision():
    """3 + 5 x 0.8 = 7; 5 + 5 x 0.2 = 6; 1 + 5 x 0.9 = 5.5: neither reward alone has this order."""
    for group in permutations([of_ten(0, 8, 3.0), of_ten(1, 2, 5.0), of_ten(2, 9, 1.0)]):
        pair = only(pairs_of(list(group), WEIGHTED))
        assert (pair.kind, pair.chosen.id.index, pair.rejected.id.index) == ("weighted", 0, 2)
        assert (pair.chosen_score, pair.rejected_score) == pytest.approx((7.0, 5.5))


@pytest.mark.parametrize(("weight", "chosen"), [(3.0, 1), (4.0, 0)])  # 3 + 0.8 w against 5 + 0.2 w: equal at w = 10/3
def test_the_weight_of_factuality_is_a_setting(weight, chosen):
    group = [of_ten(0, 8, 3.0), of_ten(1, 2, 5.0)]
    assert only(pairs_of(group, WEIGHTED.model_copy(update={"fact_weight": weight}))).chosen.id.index == chosen


def test_where_a_prompt_needs_no_facts_the_judge_alone_orders_the_pair_which_counts_as_one_for_instructions():
    group = [make_scored(make_response(f"poem {i}", prompt="poem", index=i), judge=judge) for i, judge in enumerate((2.0, 3.0))]
    pair = only(pairs_of(group, WEIGHTED, POEM))
    assert (pair.kind, pair.chosen_score, pair.rejected_score) == ("instruction", 3.0, 2.0)


def test_a_response_without_both_rewards_is_in_no_weighted_pair():
    unchecked = make_scored(make_response("unchecked", index=1), judge=9.0, facts="checker failed")
    silent = make_scored(make_response("silent", index=2), judge=9.0, facts=[])
    pairs = pairs_of([of_ten(0, 8), unchecked, silent, of_ten(3, 2, "judge failed"), of_ten(4, 5)], WEIGHTED)
    assert indexes(pairs) == [(0, 4)]
    assert pairs.dropped == {"reward: checker failed": 1, "reward: judge failed": 1}
    few = pairs_of([of_ten(0, 8), unchecked], WEIGHTED)
    assert few.dropped["weighted: fewer than two scored responses"] == 1


def test_the_judges_filter_is_none_of_weighted_pairs_and_the_smallest_gap_is_in_the_judges_unit():
    group = [of_ten(0, 6, 5.0), of_ten(1, 6, 3.5)]
    assert indexes(pairs_of(group, WEIGHTED)) == [(0, 1)]
    assert pairs_of(group, WEIGHTED.model_copy(update={"min_judge_gap": 1.75})).dropped == {"weighted: gap too small": 1}
    assert pairs_of([of_ten(0, 6), of_ten(1, 6)], WEIGHTED).dropped == {"weighted: tie": 1}


def test_a_truncated_response_is_never_the_chosen_side_of_a_weighted_pair():
    group = [of_ten(0, 10, finish_reason="length"), of_ten(1, 8), of_ten(2, 2)]
    assert indexes(pairs_of(group, WEIGHTED)) == [(1, 2)]
