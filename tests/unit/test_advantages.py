"""Scores -> single responses with advantages, or the best of each group, against cases worked out by hand."""

import random
from collections.abc import Sequence

import pytest

from flame_ray.advantages import choose_best, grade, ternary_reward
from flame_ray.config import PairsConfig
from flame_ray.types import FACTUALITY, INSTRUCTION, PairSet, ScoredResponse, VerdictLabel
from tests.builders import make_fact_score, make_prompt, make_response, make_scored, make_scored_group

SUPPORTED, CONTRADICTED = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED
NOT_FOUND, SAYS_NOTHING, ERROR = VerdictLabel.NOT_FOUND, VerdictLabel.SAYS_NOTHING, VerdictLabel.ERROR
FACTS = make_prompt("peru", fact_based=True)


def said(index: int, facts: Sequence | str, *, text: str | None = None, finish_reason: str = "stop", prompt: str = "peru"):
    response = make_response(text or f"answer {index}", index=index, finish_reason=finish_reason, prompt=prompt)
    return make_scored(response, facts=facts)


def graded(*scored: ScoredResponse, prompt=FACTS, config: PairsConfig = PairsConfig()) -> PairSet:  # noqa: B008  (it is frozen)
    return grade([make_scored_group(*scored, prompt=prompt)], config)


def by_index(found: PairSet) -> dict[int, tuple[float, float]]:
    return {each.response.id.index: (each.reward, each.advantage) for each in found.graded_D}


@pytest.mark.parametrize(
    ("facts", "reward"),
    [
        ([SUPPORTED], 1.0),
        ([CONTRADICTED], -1.0),
        ([NOT_FOUND], -1.0),
        ([], 0.0),
        ([SAYS_NOTHING], 0.0),
        ([SUPPORTED, SUPPORTED, CONTRADICTED], 1 / 3),
        ([SUPPORTED, SAYS_NOTHING, ERROR], 1.0),
        ([ERROR, SAYS_NOTHING], None),
    ],
)
def test_a_true_fact_earns_one_a_false_one_costs_one_and_to_abstain_is_worth_nothing(facts, reward):
    assert ternary_reward(make_fact_score(*facts)) == (None if reward is None else pytest.approx(reward))


def test_a_response_that_states_only_what_does_not_count_has_no_reward():
    assert ternary_reward(make_fact_score(NOT_FOUND, not_found_counts=False)) is None


def test_an_advantage_is_the_distance_from_the_groups_mean_in_standard_deviations():
    """Rewards 1, -1, 0, 0: the mean is 0, and the deviation the root of (1 + 1) / 4."""
    found = graded(said(0, [SUPPORTED]), said(1, [CONTRADICTED]), said(2, []), said(3, [SUPPORTED, CONTRADICTED]))
    assert [each.reward for each in found.graded_D] == [1.0, -1.0, 0.0, 0.0]
    assert [each.advantage for each in found.graded_D] == pytest.approx([2**0.5, -(2**0.5), 0.0, 0.0])
    assert (found.pairs_D, found.dropped, found.responses, found.truncated) == ((), {}, 4, 0)
    assert found.counts.by_kind == {"ternary": 4}


def test_to_abstain_is_worth_more_than_the_others_where_they_are_wrong_and_less_where_they_are_right():
    for label, sign in ((CONTRADICTED, 1), (SUPPORTED, -1)):
        found = by_index(graded(said(0, []), said(1, [label]), said(2, [label])))
        assert found[0][1] * sign > 0 > found[1][1] * sign


def test_a_group_without_spread_gives_nothing_and_is_counted():
    assert graded(said(0, [SUPPORTED]), said(1, [SUPPORTED] * 2)) == PairSet((), {"ternary: no spread": 1}, responses=2)
    thirds = [SUPPORTED, CONTRADICTED, CONTRADICTED]
    assert graded(said(0, thirds), said(1, thirds * 2)).dropped == {"ternary: no spread": 1}


def test_failed_rewards_and_empty_responses_are_left_out_before_the_mean_and_counted():
    found = graded(
        said(0, [SUPPORTED]),
        said(1, "no checker"),
        said(2, [CONTRADICTED], text=" "),
        said(3, [CONTRADICTED]),
        said(4, [ERROR]),
    )
    assert by_index(found) == {0: (1.0, 1.0), 3: (-1.0, -1.0)}
    assert found.dropped == {"response: empty": 1, "reward: no checker": 1}
    few = graded(said(0, [SUPPORTED]), said(1, "no checker"))
    assert few.dropped == {"reward: no checker": 1, "ternary: fewer than two scored responses": 1}


def test_a_truncated_response_counts_in_its_group_and_is_never_reinforced():
    found = graded(
        said(0, [SUPPORTED], finish_reason="length"), said(1, [SUPPORTED]), said(2, [CONTRADICTED], finish_reason="length")
    )
    assert set(by_index(found)) == {1, 2}
    assert by_index(found)[1] == pytest.approx((1.0, 0.5**0.5))  # rewards 1, 1, -1: (1 - 1/3) / (8/9)^0.5
    assert (found.dropped, found.truncated) == ({"ternary: truncated response above the mean": 1}, 2)
    left_out = graded(
        said(0, [SUPPORTED], finish_reason="length"),
        said(1, [SUPPORTED]),
        said(2, [CONTRADICTED]),
        config=PairsConfig(drop_truncated=True),
    )
    assert by_index(left_out) == {1: (1.0, 1.0), 2: (-1.0, -1.0)}
    assert left_out.dropped == {"response: truncated": 1}


@pytest.mark.parametrize("fact_based", [False, None])
def test_a_prompt_that_needs_no_facts_gives_nothing_and_is_counted(fact_based):
    prompt = make_prompt("poem", fact_based=fact_based)
    found = graded(said(0, [SUPPORTED], prompt="poem"), said(1, [CONTRADICTED], prompt="poem"), prompt=prompt)
    assert found == PairSet((), {"ternary: prompt needs no facts": 1}, responses=2)


def test_groups_in_any_order_give_the_same_responses_in_the_order_of_their_prompts():
    prompts = [make_prompt(name, fact_based=True) for name in ("a", "b", "c")]
    groups_P = [
        make_scored_group(said(0, [SUPPORTED], prompt=each.id), said(1, [CONTRADICTED], prompt=each.id), prompt=each)
        for each in prompts
    ]
    found = grade(groups_P, PairsConfig())
    assert [each.prompt_id for each in found.graded_D] == ["a", "a", "b", "b", "c", "c"]
    assert grade(iter(random.Random(1).sample(groups_P, 3)), PairsConfig()) == found


def test_the_token_ids_of_all_responses_are_one_object_each_and_a_prompt_s_tokens_one_for_its_group():
    def side(prompt: str, index: int, label: VerdictLabel) -> ScoredResponse:
        tokens = {"prompt_tokens": [int("1000")], "tokens": [int("2000")]}
        return make_scored(make_response(f"answer {index}", prompt=prompt, index=index, **tokens), facts=[label])

    groups_P = [
        make_scored_group(side(name, 0, SUPPORTED), side(name, 1, CONTRADICTED), prompt=make_prompt(name, fact_based=True))
        for name in ("a", "b")
    ]
    first, second, third, _ = (each.response for each in grade(groups_P, PairsConfig()).graded_D)
    assert first.prompt_token_ids is second.prompt_token_ids
    assert first.token_ids[0] is second.token_ids[0] is third.token_ids[0]


# The best of each group


def judged(index: int, judge: float | str | None, facts: Sequence | str = (), **made) -> ScoredResponse:
    """A response with both rewards: the judge's score or why there is none, and the verdicts on its facts."""
    checked = said(index, facts, **made)
    return make_scored(checked.response, judge=judge, facts=checked.rewards[FACTUALITY])


def best(*scored: ScoredResponse, prompt=FACTS, **settings) -> PairSet:
    return choose_best([make_scored_group(*scored, prompt=prompt)], PairsConfig(**{"max_judge_gap": None, **settings}))


def chosen(found: PairSet) -> list[tuple[str, int, float]]:
    return [(each.kind, each.response.id.index, each.reward) for each in found.graded_D]


def test_of_a_prompt_that_needs_facts_the_best_by_each_reward_is_chosen_and_of_another_one_the_best_by_the_judge():
    scored = judged(0, 1.0, [SUPPORTED]), judged(1, 3.0, [CONTRADICTED]), judged(2, 2.0, [SUPPORTED, CONTRADICTED])
    found = best(*scored)
    assert chosen(found) == [(INSTRUCTION, 1, 3.0), (FACTUALITY, 0, 1.0)]
    assert (found.pairs_D, found.dropped, found.responses) == ((), {}, 3)
    assert found.counts.by_kind == {INSTRUCTION: 1, FACTUALITY: 1}
    poem = make_prompt("peru", fact_based=False)
    assert chosen(best(*scored, prompt=poem)) == [(INSTRUCTION, 1, 3.0)]
    assert chosen(best(*scored, kinds=["factuality"])) == [(FACTUALITY, 0, 1.0)]
    only_facts = best(*scored, prompt=poem, kinds=["factuality"])
    assert (only_facts.graded_D, only_facts.dropped) == ((), {"factuality: prompt needs no facts": 1})


def test_the_best_of_equally_true_responses_is_the_one_that_states_more():
    found = best(judged(0, 1.0, [SUPPORTED]), judged(1, 1.0, [SUPPORTED] * 2), judged(2, 1.0, [CONTRADICTED]))
    assert chosen(found) == [(FACTUALITY, 1, 1.0)] and found.dropped == {"instruction: tie": 1}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({}, "tie"), ({"min_judge_gap": 1.5, "min_fact_gap": 0.6}, "gap too small")],
    ids=["equal", "close"],
)
def test_a_group_without_spread_has_no_best_and_is_counted(settings, reason):
    higher = 2.0 if settings else 1.0
    facts = [SUPPORTED, CONTRADICTED] if settings else [SUPPORTED]
    found = best(judged(0, higher, [SUPPORTED]), judged(1, 1.0, facts), **settings)
    assert found == PairSet((), {f"factuality: {reason}": 1, f"instruction: {reason}": 1}, responses=2)


def test_a_truncated_response_is_never_the_best_however_it_is_scored():
    cut_off = judged(0, 9.0, [SUPPORTED] * 3, finish_reason="length")
    found = best(cut_off, judged(1, 2.0, [SUPPORTED]), judged(2, 1.0, [CONTRADICTED]))
    assert chosen(found) == [(INSTRUCTION, 1, 2.0), (FACTUALITY, 1, 1.0)] and found.truncated == 1
    alone = best(cut_off, judged(1, 1.0, [CONTRADICTED]))
    assert alone.graded_D == ()
    assert alone.dropped == {"factuality: best responses truncated": 1, "instruction: best responses truncated": 1}


def test_a_reward_that_failed_is_no_score_and_an_empty_response_is_no_response():
    found = best(judged(0, "no judge", [SUPPORTED]), judged(1, -5.0, "no checker"), judged(2, -6.0, [CONTRADICTED]))
    assert chosen(found) == [(INSTRUCTION, 1, -5.0), (FACTUALITY, 0, 1.0)]
    assert found.dropped == {"reward: no checker": 1, "reward: no judge": 1}
    empty = best(judged(0, 9.0, [SUPPORTED], text=" "), judged(1, 1.0, [SUPPORTED]))
    assert empty.graded_D == () and empty.dropped["response: empty"] == 1
    assert choose_best([], PairsConfig()) == PairSet((), {})


def test_a_prompt_has_one_best_by_factuality_however_many_pairs_it_may_give():
    scored = judged(0, 1.0, [SUPPORTED]), judged(1, 1.0, [SUPPORTED, CONTRADICTED]), judged(2, 1.0, [CONTRADICTED])
    assert chosen(best(*scored, factuality_per_prompt=None)) == [(FACTUALITY, 0, 1.0)]
