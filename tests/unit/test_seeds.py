"""Every role of a run, and every run, draws its own random numbers."""

import itertools

import pytest

from flame_ray.rewards.judge.rubric import judgement_seed
from flame_ray.rollout.sampling import sample_seed
from flame_ray.seeds import derived_seed
from flame_ray.types import ResponseId

IDS = [ResponseId(round, prompt, index) for round, prompt, index in itertools.product((1, 2, 11), ("a", "b", "1"), range(6))]


def test_the_judge_never_draws_with_the_seed_of_the_policy_whatever_the_run_seed():
    policy = {sample_seed(seed, id) for seed in range(7, 12) for id in IDS}
    judge = {judgement_seed(seed, id, k) for seed in range(7, 12) for id in IDS for k in range(3)}
    assert policy.isdisjoint(judge)


def test_runs_with_neighbouring_seeds_share_no_judgement_and_no_sample():
    judgements = [judgement_seed(seed, id, k) for seed in range(7, 12) for id in IDS for k in range(3)]
    samples = [sample_seed(seed, id) for seed in range(7, 12) for id in IDS]
    assert len(set(judgements)) == len(judgements) and len(set(samples)) == len(samples)


def test_places_that_are_written_alike_have_different_seeds():
    places = [(1, 23), (12, 3), ("1", 23), ("1, 23",), (1, 23, 0), (), ("",)]
    assert len({derived_seed(0, "role", *place) for place in places}) == len(places)


@pytest.mark.parametrize("bits", [32, 63])
def test_a_seed_has_so_many_bits_at_most_and_uses_them(bits):
    seeds = [derived_seed(seed, "engine", bits=bits) for seed in range(200)]
    assert all(0 <= seed < 2**bits for seed in seeds)
    assert max(seeds) > 2 ** (bits - 1) > min(seeds)
    assert len(set(seeds)) == len(seeds)
