"""Scores -> pairs, against cases worked out by hand and a slow reference that looks at every two responses."""

import math
import random
from collections import Counter

import pytest

from flame_ray.config import PairsConfig
from flame_ray.pairs import build_pairs, compact
from flame_ray.report.summary import truncated_share
from flame_ray.types import FactScore, Pair, PairSet, Prompt, Score, ScoredGroup, ScoredResponse, VerdictLabel
from tests.builders import make_pair, make_response, make_scored, make_verdict

FACTS = Prompt("peru", "Which countries border Peru?", fact_based=True)
POEM = Prompt("poem", "Write a poem.", fact_based=False)
ANY_GAP = PairsConfig(max_judge_gap=None)
FACTUALITY = PairsConfig(max_judge_gap=None, kinds=("factuality",))
INSTRUCTION = PairsConfig(kinds=("instruction",))


def scored(
    index: int,
    judge: float | None = 0.0,
    fact: tuple[int, int] | None = None,
    *,
    missing_fact: bool = False,
    prompt: Prompt = FACTS,
    text: str | None = None,
    finish_reason: str = "stop",
) -> ScoredResponse:
    """Response `index` of a prompt; judge None is a judge that failed, fact is (supported, unsupported)."""
    said = f"answer {index}" if text is None else text
    response = make_response(said, prompt=prompt.id, index=index, finish_reason=finish_reason)
    supported, unsupported = fact or (0, 0)
    labels = [VerdictLabel.SUPPORTED] * supported + [VerdictLabel.CONTRADICTED] * unsupported
    facts = "checker failed" if missing_fact else None if fact is None else labels
    return make_scored(response, judge="judge failed" if judge is None else judge, facts=facts)


def pairs_of(prompt: Prompt, scored_G: list[ScoredResponse], config: PairsConfig) -> PairSet:
    """The pairs of a round of one prompt."""
    return build_pairs([ScoredGroup(prompt, tuple(scored_G))], config)


def indexes(pair: Pair) -> tuple[int, int]:
    return pair.chosen.id.index, pair.rejected.id.index


def only(pairs: PairSet) -> Pair:
    assert len(pairs.pairs_D) == 1, pairs
    return pairs.pairs_D[0]


def stating(index: int, relevant: int, irrelevant: int, wrong: int) -> ScoredResponse:
    """A response with so many true facts that answer the prompt, true ones that do not, and false ones."""
    true = [make_verdict(relevant=place < relevant) for place in range(relevant + irrelevant)]
    facts = [*true, *(make_verdict(VerdictLabel.CONTRADICTED, relevant=False) for _ in range(wrong))]
    return make_scored(make_response(f"answer {index}", index=index), facts=facts)


def test_true_facts_that_nobody_asked_for_win_only_if_they_count():
    padded, plain = stating(0, relevant=1, irrelevant=6, wrong=1), stating(1, relevant=2, irrelevant=0, wrong=1)
    assert indexes(only(pairs_of(FACTS, [padded, plain], FACTUALITY))) == (0, 1)
    pair = only(pairs_of(FACTS, [padded, plain], PairsConfig(max_judge_gap=None, kinds=("factuality",), count_relevant=True)))
    assert (indexes(pair), pair.chosen_score, pair.rejected_score) == ((1, 0), 2 / 3, 1 / 2)


def test_a_response_of_true_facts_that_nobody_asked_for_loses_to_any_relevant_one():
    config = PairsConfig(max_judge_gap=None, kinds=("factuality",), count_relevant=True, recall_at=2, gamma=3.0)
    beside, wrong, relevant = stating(0, 0, 3, 0), stating(1, 0, 0, 2), stating(2, 1, 0, 3)
    pair = only(pairs_of(FACTS, [beside, relevant], config))
    assert (indexes(pair), pair.rejected_score) == ((2, 0), 0.0)
    assert not pairs_of(FACTS, [beside, wrong], config).pairs_D


def test_the_instruction_pair_joins_the_highest_and_the_lowest_judge_score():
    pair = only(pairs_of(POEM, [scored(i, s, prompt=POEM) for i, s in enumerate([2.0, 4.5, 1.0, 3.0])], ANY_GAP))
    assert (pair.kind, indexes(pair), pair.chosen_score, pair.rejected_score) == ("instruction", (1, 2), 4.5, 1.0)


def test_the_factuality_pair_joins_the_highest_and_the_lowest_precision():
    group = [scored(0, fact=(1, 1)), scored(1, fact=(1, 3)), scored(2, fact=(3, 1)), scored(3, fact=(2, 2))]
    pair = only(pairs_of(FACTS, group, FACTUALITY))
    assert (pair.kind, indexes(pair), pair.chosen_score, pair.rejected_score) == ("factuality", (2, 1), 0.75, 0.25)


def test_a_fact_based_prompt_gives_one_pair_of_each_kind():
    group = [scored(0, 5.0, (0, 2)), scored(1, 1.0, (2, 0))]
    pairs = pairs_of(FACTS, group, ANY_GAP)
    assert {pair.kind: indexes(pair) for pair in pairs.pairs_D} == {"instruction": (0, 1), "factuality": (1, 0)}
    assert pairs.dropped == {}
    assert pairs.counts.by_kind == {"instruction": 1, "factuality": 1}


@pytest.mark.parametrize("fact_based", [False, None])
def test_a_prompt_that_needs_no_facts_gives_no_factuality_pair_and_no_factuality_count(fact_based):
    prompt = Prompt("poem", "Write a poem.", fact_based=fact_based)
    pairs = pairs_of(prompt, [scored(0, 1.0, (2, 0), prompt=prompt), scored(1, 2.0, (0, 2), prompt=prompt)], ANY_GAP)
    assert only(pairs).kind == "instruction"
    assert pairs.dropped == {}


def test_only_the_kinds_that_the_settings_name_are_made():
    group = [scored(0, 5.0, (0, 2)), scored(1, 1.0, (2, 0))]
    assert only(pairs_of(FACTS, group, INSTRUCTION)).kind == "instruction"
    assert only(pairs_of(FACTS, group, FACTUALITY)).kind == "factuality"


def test_equal_scores_are_a_tie_of_their_kind():
    group = [scored(0, 3.0, (1, 1)), scored(1, 3.0, (2, 2))]
    pairs = pairs_of(FACTS, group, ANY_GAP)
    assert pairs == PairSet((), {"instruction: tie": 1, "factuality: tie": 1}, responses=2)


def test_responses_that_are_all_wrong_are_a_tie_however_much_they_say():
    assert pairs_of(FACTS, [scored(0, fact=(0, 1)), scored(1, fact=(0, 5))], FACTUALITY).dropped == {"factuality: tie": 1}


def test_a_truncated_response_is_never_chosen():
    group = [scored(0, 9.0, finish_reason="length"), scored(1, 2.0), scored(2, 1.0)]
    pairs = pairs_of(FACTS, group, INSTRUCTION)
    assert indexes(only(pairs)) == (1, 2)
    assert pairs.dropped == {}
    assert pairs_of(FACTS, group[:2], INSTRUCTION).dropped == {"instruction: best responses truncated": 1}


def test_a_truncated_response_may_be_rejected_unless_the_settings_leave_it_out():
    group = [scored(0, 0.5, finish_reason="length"), scored(1, 2.0), scored(2, 1.0)]
    assert indexes(only(pairs_of(FACTS, group, INSTRUCTION))) == (1, 0)
    without = pairs_of(FACTS, group, PairsConfig(kinds=("instruction",), drop_truncated=True))
    assert indexes(only(without)) == (1, 2)
    assert without.dropped == {"response: truncated": 1}


def test_of_several_pairs_a_prompt_each_has_a_whole_response_as_chosen():
    group = [scored(i, fact=(4 - i, i), finish_reason="length" if i % 2 else "stop") for i in range(4)]
    pairs = pairs_of(FACTS, group, PairsConfig(max_judge_gap=None, kinds=("factuality",), factuality_per_prompt=9))
    assert {indexes(pair) for pair in pairs.pairs_D} == {(0, 3), (0, 2), (0, 1), (2, 3)}


def test_among_equal_responses_the_order_does_not_make_a_truncated_one_the_reason():
    equal = [scored(0, 1.0, finish_reason="length"), scored(1, 1.0)]
    for group in (equal, equal[::-1]):
        assert pairs_of(FACTS, group, INSTRUCTION).dropped == {"instruction: tie": 1}


def test_the_truncated_responses_of_a_round_are_counted_whether_or_not_they_enter_a_pair():
    cut = [scored(i, float(i), finish_reason="length") for i in range(3)]
    groups_P = [ScoredGroup(FACTS, (*cut, scored(3, 5.0))), ScoredGroup(POEM, (scored(0, 1.0, prompt=POEM),))]
    for drop in (True, False):
        pairs = build_pairs(groups_P, PairsConfig(drop_truncated=drop))
        assert (pairs.responses, pairs.truncated, truncated_share(pairs.counts)) == (5, 3, 0.6)
    assert truncated_share(build_pairs([], INSTRUCTION).counts) is None


def test_a_response_that_was_said_before_is_counted_once_as_a_duplicate():
    group = [scored(0, 1.0, text="same"), scored(1, 9.0, text="same"), scored(2, 2.0)]
    pairs = pairs_of(FACTS, group, INSTRUCTION)
    assert indexes(only(pairs)) == (2, 0)
    assert pairs.dropped == {"response: duplicate": 1}


def test_a_whole_response_is_no_duplicate_of_one_that_was_cut_short():
    group = [scored(0, 1.0, text="same", finish_reason="length"), scored(1, 1.0, text="same"), scored(2, 2.0)]
    pairs = pairs_of(FACTS, group, INSTRUCTION)
    assert indexes(only(pairs)) == (2, 1)
    assert pairs.dropped == {"response: duplicate": 1}


def test_the_same_text_under_two_prompts_is_no_duplicate():
    groups_P = [
        ScoredGroup(prompt, tuple(scored(i, float(i), text=text, prompt=prompt) for i, text in enumerate(["same", "other"])))
        for prompt in (FACTS, POEM)
    ]
    pairs = build_pairs(groups_P, INSTRUCTION)
    assert [pair.prompt_id for pair in pairs.pairs_D] == ["peru", "poem"]
    assert pairs.dropped == {}


def test_an_empty_response_enters_no_pair():
    group = [scored(0, 9.0, text=" \n"), scored(1, 2.0), scored(2, 1.0)]
    pairs = pairs_of(FACTS, group, INSTRUCTION)
    assert indexes(only(pairs)) == (1, 2)
    assert pairs.dropped == {"response: empty": 1}


def test_a_prompt_with_one_usable_response_is_counted():
    pairs = pairs_of(FACTS, [scored(0, 1.0), scored(1, 2.0, text="")], INSTRUCTION)
    assert pairs == PairSet((), {"instruction: fewer than two usable responses": 1, "response: empty": 1}, responses=2)


def test_a_prompt_without_any_response_is_counted():
    assert pairs_of(FACTS, [], FACTUALITY).dropped == {"factuality: fewer than two usable responses": 1}


def test_a_missing_factuality_reward_is_never_taken_for_zero():
    group = [scored(0, fact=(1, 4)), scored(1, missing_fact=True), scored(2, fact=(4, 1))]
    pair = only(pairs_of(FACTS, group, FACTUALITY))
    assert (indexes(pair), pair.chosen_score, pair.rejected_score) == ((2, 0), 0.8, 0.2)


def test_a_missing_judge_reward_is_never_taken_for_zero():
    pair = only(pairs_of(FACTS, [scored(0, 0.2), scored(1, None), scored(2, 0.8)], INSTRUCTION))
    assert (indexes(pair), pair.chosen_score, pair.rejected_score) == ((2, 0), 0.8, 0.2)
    pair = only(pairs_of(FACTS, [scored(0, -0.2), scored(1, None), scored(2, -0.8)], INSTRUCTION))
    assert indexes(pair) == (0, 2)


def test_a_prompt_with_one_reward_left_is_counted_and_each_failed_reward_under_its_reason():
    group = [scored(0, None, (1, 1)), scored(1, 3.0, missing_fact=True)]
    assert pairs_of(FACTS, group, ANY_GAP) == PairSet(
        (),
        {
            "factuality: fewer than two scored responses": 1,
            "instruction: fewer than two scored responses": 1,
            "reward: checker failed": 1,
            "reward: judge failed": 1,
        },
        responses=2,
    )


def test_a_failed_reward_is_counted_even_where_the_other_responses_make_a_pair():
    pairs = pairs_of(FACTS, [scored(0, 1.0), scored(1, 2.0), scored(2, None), scored(3, None)], INSTRUCTION)
    assert indexes(only(pairs)) == (1, 0)
    assert pairs.dropped == {"reward: judge failed": 2}


def test_a_response_that_is_dropped_is_counted_once_and_not_for_its_failed_reward_too():
    group = [scored(0, 1.0), scored(1, 2.0), scored(2, None, finish_reason="length"), scored(3, None, text="")]
    config = PairsConfig(kinds=("instruction",), drop_truncated=True)
    assert pairs_of(FACTS, group, config).dropped == {"response: empty": 1, "response: truncated": 1}


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_judge_score_that_is_not_finite_is_neither_chosen_nor_rejected(broken):
    for order in ([broken, 1.0, 2.0], [1.0, broken, 2.0], [2.0, 1.0, broken]):
        pair = only(pairs_of(FACTS, [scored(i, value) for i, value in enumerate(order)], INSTRUCTION))
        assert (pair.chosen_score, pair.rejected_score) == (2.0, 1.0)


def test_a_response_that_abstains_is_neither_chosen_nor_rejected_for_factuality():
    group = [scored(0, fact=(0, 0)), scored(1, fact=(1, 1)), scored(2, fact=(2, 0))]
    assert indexes(only(pairs_of(FACTS, group, FACTUALITY))) == (2, 1)
    assert pairs_of(FACTS, group[:2], FACTUALITY).dropped == {"factuality: fewer than two scored responses": 1}


@pytest.mark.parametrize(("judge_gap", "kept"), [(0.25, True), (0.5, True), (0.75, False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_factuality_pair_is_dropped_where_the_judge_differs_by_more_than_the_gap(judge_gap, kept, sign):
    group = [scored(0, 3.0, (2, 0)), scored(1, 3.0 + sign * judge_gap, (0, 2))]
    pairs = pairs_of(FACTS, group, PairsConfig(max_judge_gap=0.5, kinds=("factuality",)))
    assert (len(pairs.pairs_D) == 1) is kept
    assert pairs.dropped == ({} if kept else {"factuality: judge gap too large": 1})


def test_the_judge_gap_is_no_filter_of_instruction_pairs():
    assert only(pairs_of(POEM, [scored(0, 1.0, prompt=POEM), scored(1, 5.0, prompt=POEM)], PairsConfig(max_judge_gap=0.5)))


def test_a_factuality_pair_whose_judge_failed_is_dropped_only_where_the_gap_is_asked_for():
    group = [scored(0, None, (2, 0)), scored(1, 3.0, (0, 2))]
    config = PairsConfig(max_judge_gap=0.5, kinds=("factuality",))
    assert pairs_of(FACTS, group, config).dropped == {"factuality: judge missing": 1, "reward: judge failed": 1}
    assert indexes(only(pairs_of(FACTS, group, FACTUALITY))) == (0, 1)


def test_a_pair_of_two_prompts_rounds_or_of_one_sample_with_itself_is_refused():
    a, b = scored(0).response, scored(1, prompt=POEM).response
    with pytest.raises(ValueError, match="one prompt in one round"):
        Pair("instruction", a, b, 1.0, 0.0)
    with pytest.raises(ValueError, match="one prompt in one round"):
        Pair("instruction", a, a, 1.0, 0.0)
    later = make_response("later", round=2, index=1)
    with pytest.raises(ValueError, match="one prompt in one round"):
        Pair("instruction", a, later, 1.0, 0.0)


def random_round(rng: random.Random) -> list[ScoredGroup]:
    """Groups with shuffled responses of every sort: wrong, cut, empty, said twice, unjudged, unchecked, abstaining."""
    prompts_P = [Prompt(f"prompt {i}", "?", fact_based=rng.choice([True, False])) for i in range(rng.randint(1, 8))]
    return [ScoredGroup(prompt, random_responses(prompt, rng)) for prompt in prompts_P]


def random_responses(prompt: Prompt, rng: random.Random) -> tuple[ScoredResponse, ...]:
    scored_G = [
        scored(
            index,
            judge=rng.choice([None, 1.0, 1.5, 2.0, 4.0]),
            fact=(rng.randint(0, 3), rng.randint(0, 3)) if prompt.fact_based else None,
            missing_fact=bool(prompt.fact_based) and rng.random() < 0.2,
            prompt=prompt,
            text=rng.choice(["", "same", f"answer {index}", f"answer {index}"]),
            finish_reason=rng.choice(["stop", "stop", "stop", "length"]),
        )
        for index in range(rng.randint(0, 5))
    ]
    return tuple(rng.sample(scored_G, len(scored_G)))


def test_every_prompt_gives_a_pair_or_a_reason_of_each_kind_and_no_pair_mixes_prompts():
    rng = random.Random(3)
    seen: Counter[str] = Counter()
    for _ in range(400):
        groups_P = random_round(rng)
        drop = rng.random() < 0.5
        pairs = build_pairs(groups_P, PairsConfig(max_judge_gap=1.0, min_fact_gap=0.4, max_fact_loss=0.2, drop_truncated=drop))
        for kind, due in (
            ("instruction", len(groups_P)),
            ("factuality", sum(bool(group.prompt.fact_based) for group in groups_P)),
        ):
            reasons = sum(count for reason, count in pairs.dropped.items() if reason.startswith(f"{kind}: "))
            assert pairs.counts.by_kind.get(kind, 0) + reasons == due
        for pair in pairs.pairs_D:
            assert pair.chosen.id.prompt_id == pair.rejected.id.prompt_id == pair.prompt_id
            assert pair.chosen.id.round == pair.rejected.id.round
            assert pair.chosen_score > pair.rejected_score
            assert pair.chosen.text != pair.rejected.text
            assert pair.chosen.finish_reason == "stop"
        seen.update(pairs.dropped)
    assert set(seen) == {  # the loop met every reason
        "response: empty",
        "response: truncated",
        "response: duplicate",
        "instruction: tie",
        "instruction: less factual",
        "instruction: best responses truncated",
        "instruction: fewer than two usable responses",
        "instruction: fewer than two scored responses",
        "factuality: tie",
        "factuality: fewer than two usable responses",
        "factuality: fewer than two scored responses",
        "factuality: gap too small",
        "factuality: judge missing",
        "factuality: judge gap too large",
        "factuality: best responses truncated",
        "reward: judge failed",
        "reward: checker failed",
    }


def test_the_gap_of_every_pair_is_the_widest_of_all_two_usable_responses():
    """The slow reference: every ordered two of a prompt's distinct responses that have the reward, the first of them whole."""
    rng = random.Random(5)
    for _ in range(200):
        groups_P = random_round(rng)
        if any(len({s.response.text for s in group.scored_G}) < len(group.scored_G) for group in groups_P):
            continue  # which of two equal texts counts is another test's matter
        by_prompt = {group.prompt.id: group.scored_G for group in groups_P}
        for pair in build_pairs(groups_P, ANY_GAP).pairs_D:
            values: list[tuple[float, bool]] = []
            for each in by_prompt[pair.prompt_id]:
                score, whole = each.rewards[pair.kind], each.response.finish_reason == "stop"
                if each.response.text and isinstance(score, Score):
                    values.append((score.value, whole))
                elif each.response.text and isinstance(score, FactScore) and score.verdicts:
                    values.append((score.precision, whole))
            widest = max(a - b for a, whole in values if whole for b, _ in values)
            assert pair.chosen_score - pair.rejected_score == pytest.approx(widest)


def test_groups_in_any_order_and_from_any_stream_give_the_same_pairs_in_the_order_of_their_prompts():
    rng = random.Random(7)
    config = PairsConfig(max_judge_gap=2.0, factuality_per_prompt=3, max_fact_loss=0.5)
    for _ in range(50):
        groups_P = random_round(rng)
        pairs = build_pairs(groups_P, config)
        for _ in range(3):
            shuffled = build_pairs(iter(rng.sample(groups_P, len(groups_P))), config)
            assert shuffled == pairs
            assert list(shuffled.dropped) == list(pairs.dropped)
        names = [pair.prompt_id for pair in pairs.pairs_D]
        assert names == sorted(names)


def test_compact_pairs_are_equal_and_hold_each_response_each_prompt_and_each_token_id_once():
    def side(index: int):
        return make_response("text", index=index, prompt_tokens=[int("1000")], tokens=[int("2000"), int("3000") + index])

    pairs_D = [make_pair(side(0), side(1)), make_pair(side(0), side(2), kind="instruction")]
    first, second = compact(pairs_D)
    assert [first, second] == pairs_D
    assert first.chosen is second.chosen
    assert first.chosen.prompt_token_ids is first.rejected.prompt_token_ids
    assert first.chosen.token_ids[0] is second.rejected.token_ids[0]
