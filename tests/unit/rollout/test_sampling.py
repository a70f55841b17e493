"""Every sample has its own random stream, whoever draws it and when."""

import random
from dataclasses import replace

import pytest

from flame_ray.engines.base import Sample, SampleRequest
from flame_ray.rollout.sampling import OpenGroup, SamplingPlan, greedy_plan, requests, sample_seed, to_response
from flame_ray.types import Prompt, ResponseId
from tests.builders import make_sample

PROMPTS_P = [Prompt(f"set/{i}", f"question {i}") for i in range(7)]
PLAN = SamplingPlan(round=2, seed=11, samples=3, max_tokens=16, temperature=0.7, top_p=0.9, top_k=20)


def asked(prompts_P: list[Prompt], plan: SamplingPlan = PLAN) -> dict[ResponseId, SampleRequest]:
    """What one worker asks its engine for these prompts, by sample."""
    return {id: each for prompt in prompts_P for id, each in requests(prompt, (PROMPTS_P.index(prompt), 1), plan).items()}


def test_ids_run_index_by_index():
    assert [str(id) for id in requests(PROMPTS_P[1], (1,), PLAN)] == ["2/set/1/0", "2/set/1/1", "2/set/1/2"]


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_every_sample_is_asked_for_alike_however_the_prompts_are_split_over_workers(workers):
    shuffled = random.Random(workers).sample(PROMPTS_P, len(PROMPTS_P))
    split: dict[ResponseId, SampleRequest] = {}
    for worker in range(workers):
        split |= asked(shuffled[worker::workers])
    assert split == asked(PROMPTS_P)


def test_all_samples_of_a_round_have_different_seeds():
    seeds = [request.seed for request in asked(PROMPTS_P).values()]
    assert len(set(seeds)) == len(seeds) == 21


@pytest.mark.parametrize(
    ("seed", "id"),
    [
        (12, ResponseId(2, "a", 0)),
        (11, ResponseId(3, "a", 0)),
        (11, ResponseId(2, "b", 0)),
        (11, ResponseId(2, "a", 1)),
        (112, ResponseId(2, "a", 0)),
        (1, ResponseId(12, "a", 0)),
    ],
)
def test_the_seed_differs_by_run_round_prompt_and_index(seed, id):
    assert sample_seed(seed, id) != sample_seed(11, ResponseId(2, "a", 0))


def test_the_seed_is_the_same_on_every_machine_and_fits_63_bits():
    assert sample_seed(7, ResponseId(1, "peru/borders", 0)) == 8777336166194629862
    seeds = [sample_seed(seed, ResponseId(1, "x", index)) for seed in range(50) for index in range(50)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == len(seeds)


def test_a_request_carries_the_plan_and_its_own_prompts_tokens():
    request = asked(PROMPTS_P)[ResponseId(2, "set/3", 1)]
    assert request == SampleRequest((3, 1), 16, 0.7, 0.9, 20, sample_seed(11, ResponseId(2, "set/3", 1)))


def test_greedy_has_one_sample_a_prompt_and_no_seed():
    requests_P = asked(PROMPTS_P, greedy_plan(4, max_tokens=9))
    assert list(requests_P) == [ResponseId(4, prompt.id, 0) for prompt in PROMPTS_P]
    assert all((request.seed, request.temperature, request.max_tokens) == (None, 0.0, 9) for request in requests_P.values())


def test_a_lower_temperature_that_is_not_zero_keeps_the_same_streams():
    cooler = asked(PROMPTS_P, replace(PLAN, temperature=0.1))
    assert [request.seed for request in cooler.values()] == [request.seed for request in asked(PROMPTS_P).values()]


def test_a_response_keeps_the_samplers_own_tokens_and_is_stamped_with_its_weights():
    id = ResponseId(2, "set/0", 1)
    sample = Sample("Hello", (5, 6), "length")
    response = to_response(id, SampleRequest((0, 1), 2), sample, weight_version=3)
    assert (response.id, response.text, response.finish_reason, response.weight_version) == (id, "Hello", "length", 3)
    assert (response.prompt_token_ids, response.token_ids) == ((0, 1), (5, 6))


@pytest.mark.parametrize("seed", range(5))
def test_samples_in_any_order_become_a_group_that_holds_them_by_index(seed):
    group = open_group(PROMPTS_P[3])
    shuffled = random.Random(seed).sample([*group.requests_G], 3)
    *before, found = [group.put(id, make_sample(f"answer {id}")) for id in shuffled]
    assert before == [None, None] and found is not None and found.prompt == PROMPTS_P[3]
    assert [response.id for response in found.responses_G] == [ResponseId(2, "set/3", index) for index in range(3)]
    assert all(response.text == f"answer {response.id}" and response.weight_version == 4 for response in found.responses_G)


def open_group(prompt: Prompt) -> OpenGroup:
    return OpenGroup(prompt, requests(prompt, (1,), PLAN), weight_version=4)
