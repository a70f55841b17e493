"""Which facts people read: the same prompts in every round, as evenly as it goes, in an order that tells nothing."""

from collections import Counter
from itertools import pairwise

import pytest

from flame_ray.evaluation.audit.draw import draw
from tests.builders import make_held_out_fact


def facts_of(counts):
    """Facts of two rounds: prompt -> how many each answer states."""
    return [
        make_held_out_fact(f"{prompt} {round} {place}", round=round, prompt=prompt, place=place)
        for prompt, pair in counts.items()
        for round, count in zip((0, 2), pair, strict=True)
        for place in range(count)
    ]


EVEN = facts_of({f"p{i:02d}": (4, 4) for i in range(20)})


def prompts(drawn, round):
    return Counter(fact.prompt_id for fact in drawn if fact.round == round)


def test_a_round_with_fewer_facts_gives_them_all():
    drawn = draw(EVEN, per_round=81, seed=0)
    assert len(drawn) == len(EVEN) and set(drawn) == set(EVEN)


def test_each_round_gives_as_many_as_asked_and_none_twice():
    drawn = draw(EVEN, per_round=33, seed=0)
    assert Counter(fact.round for fact in drawn) == {0: 33, 2: 33}
    assert len(set(drawn)) == 66


def test_the_rounds_share_their_prompts_and_no_prompt_gives_a_second_fact_before_each_gave_one():
    few, more = draw(EVEN, per_round=7, seed=0), draw(EVEN, per_round=33, seed=0)
    assert prompts(few, 0) == prompts(few, 2) and set(prompts(few, 0).values()) == {1}
    assert prompts(more, 0) == prompts(more, 2)
    assert Counter(prompts(more, 0).values()) == {1: 7, 2: 13}


def test_prompts_with_facts_in_only_one_round_come_last():
    some = facts_of({**{f"p{i}": (3, 3) for i in range(5)}, **{f"q{i}": (3, 0) for i in range(5)}})
    drawn = draw(some, per_round=6, seed=0)
    assert prompts(drawn, 2).keys() == {f"p{i}" for i in range(5)}
    assert prompts(drawn, 2).keys() < prompts(drawn, 0).keys() and sum(prompts(drawn, 0).values()) == 6


def test_a_fact_that_both_rounds_state_is_drawn_from_both():
    """Whatever else the answers say, and wherever they say it."""
    same = [make_held_out_fact(text, round=0, place=i) for i, text in enumerate("abcd")]
    same += [make_held_out_fact(text, round=2, place=i) for i, text in enumerate("dcba")]
    for seed in range(10):
        first, second = draw(same, per_round=1, seed=seed)
        assert first.text == second.text


def test_the_same_seed_draws_the_same_sheet_and_another_one_another():
    assert draw(EVEN, 10, seed=0) == draw(list(reversed(EVEN)), 10, seed=0)
    assert set(draw(EVEN, 10, seed=0)) != set(draw(EVEN, 10, seed=1))


def test_each_fact_of_an_answer_and_each_prompt_has_the_same_chance():
    taken = Counter((fact.prompt_id, fact.place) for seed in range(400) for fact in draw(EVEN, 5, seed) if fact.round == 0)
    assert sum(taken.values()) == 2000
    assert sum(count for (_, place), count in taken.items() if place == 0) == pytest.approx(500, abs=80)
    assert sum(count for (prompt, _), count in taken.items() if prompt == "p00") == pytest.approx(100, abs=35)


def test_the_order_tells_neither_round_nor_prompt():
    """Neighbours are of the same round about half of the time, and of the same prompt rarely."""
    drawn = draw(facts_of({f"p{i:02d}": (5, 5) for i in range(100)}), 500, seed=3)
    pairs = list(pairwise(drawn))
    assert sum(a.round == b.round for a, b in pairs) == pytest.approx(len(pairs) / 2, abs=70)
    assert sum(a.prompt_id == b.prompt_id for a, b in pairs) < 30
    assert sum(fact.round == 0 for fact in drawn[:200]) == pytest.approx(100, abs=30)
