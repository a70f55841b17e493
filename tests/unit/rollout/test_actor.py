"""A rollout worker around an engine that finishes its samples in an order of its own."""

from dataclasses import replace

from flame_ray.rollout.actor import RolloutActor
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.types import Prompt, ResponseId
from tests.doubles import FakeEngine

PROMPTS_P = [Prompt("a", "one"), Prompt("b", "one two")]
PLAN = SamplingPlan(round=2, seed=11, samples=2, max_tokens=16, temperature=0.7)


class ChangingEngine(FakeEngine):
    """Says what it was asked; weights that come in while it samples belong to the next call."""

    def sample(self, requests):
        for place, sample in super().sample(requests):
            request = requests[place]
            yield place, replace(sample, text=f"{len(request.prompt_token_ids)} words, seed {request.seed}")
            self.weight_version = 5


def worker() -> RolloutActor:
    """An actor as its constructor leaves it, but for the engine."""
    actor = RolloutActor.__new__(RolloutActor)
    actor._engine = ChangingEngine(weight_version=4)
    return actor


def test_each_group_comes_with_its_prompts_place_as_soon_as_it_is_whole():
    found = list(worker().generate(PROMPTS_P, PLAN))
    assert [(place, group.prompt.id) for place, group in found] == [(1, "b"), (0, "a")]
    for _, group in found:
        assert [response.id for response in group.responses_G] == [ResponseId(2, group.prompt.id, index) for index in (0, 1)]
        assert {response.text.split(",")[0] for response in group.responses_G} == {f"{len(group.prompt.text.split())} words"}
        assert len({response.text for response in group.responses_G}) == 2


def test_all_samples_of_a_call_carry_the_version_that_was_there_when_it_began():
    responses = [response for _, group in worker().generate(PROMPTS_P, PLAN) for response in group.responses_G]
    assert {response.weight_version for response in responses} == {4}
