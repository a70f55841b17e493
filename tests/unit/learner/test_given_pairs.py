"""Pairs of a file become those of a round, with the tokens that the model's chat gives them."""

import math

from flame_ray.learner.data import pair_examples
from flame_ray.learner.given_pairs import given_pair_set
from flame_ray.prompts.given_pairs import GivenPair, GivenPairs
from flame_ray.types import ResponseId
from tests.unit.learner.test_demonstrations import Letters


def made(*pairs: GivenPair, max_length: int = 99, held_out: frozenset[str] = frozenset(), **left_out: int):
    return given_pair_set(GivenPairs(pairs, left_out), Letters(), max_length, held_out)


def test_a_pair_has_the_tokens_of_its_prompt_and_of_both_answers():
    (pair,) = made(GivenPair("p", "c", "r", "instruction", (2.0, None), (0.5, None))).pairs_D
    assert (pair.chosen.prompt_token_ids, pair.chosen.token_ids) == ((0, 112), (99, 0))
    assert (pair.rejected.prompt_token_ids, pair.rejected.token_ids) == ((0, 112), (114, 0))
    assert (pair.kind, pair.chosen_score, pair.chosen.truncated) == ("instruction", 2.0, False)
    assert math.isnan(pair.rejected_score)
    assert (pair.chosen_facts.factuality, pair.rejected_facts, pair.fact_gap) == (0.5, None, None)


def test_pairs_of_one_prompt_share_its_weight_and_equal_answers_are_one_response():
    pairs = made(GivenPair("p", "c", "r"), GivenPair("q", "c", "r"), GivenPair("p", "c", "s")).pairs_D
    assert sorted(example.weight for example in pair_examples(pairs)) == [0.5, 0.5, 1.0]
    assert [pair.prompt_id for pair in pairs] == sorted(pair.prompt_id for pair in pairs)
    first, second = (pair for pair in pairs if pair.chosen.prompt_token_ids == (0, 112))
    assert first.chosen is second.chosen
    assert [pair.rejected.id for pair in (first, second)] == [ResponseId(1, first.prompt_id, index) for index in (1, 2)]


def test_an_answer_that_was_cut_off_has_no_token_that_ends_it_and_is_another_than_a_whole_one():
    whole, cut = (made(GivenPair("p", "c", "r", truncated=(False, cut))).pairs_D[0].rejected for cut in (False, True))
    assert (whole.token_ids, whole.finish_reason) == ((114, 0), "stop")
    assert (cut.token_ids, cut.truncated) == ((114,), True)
    pairs = made(GivenPair("p", "c", "r"), GivenPair("p", "c", "r", truncated=(False, True))).pairs_D
    assert pairs[0].rejected.id != pairs[1].rejected.id


def test_what_is_too_long_or_held_out_is_left_out_and_counted_beside_what_the_file_lacked():
    pairs = [GivenPair("p", "c", "r"), GivenPair("p", "c", "rr"), GivenPair("Held  OUT", "c", "r")]
    found = made(*pairs, max_length=4, held_out=frozenset({"held out"}), ties=3)
    assert [pair.rejected.text for pair in found.pairs_D] == ["r"]
    assert found.dropped == {"file: held-out prompt": 1, "file: ties": 3, "file: too long": 1}
