"""After a push, a rollout actor must be an engine freshly started from the saved checkpoint (this catches a stale lm_head)."""

from pathlib import Path

import pytest

from flame_ray.config import LearnerConfig
from flame_ray.engines.base import Continuation
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.errors import WeightSyncError
from flame_ray.learner.group import LearnerGroup
from flame_ray.rollout.actor import RolloutActor
from flame_ray.rollout.pool import RolloutPool
from flame_ray.rollout.sampling import SamplingPlan, greedy_plan
from flame_ray.runtime.pool import ActorPool
from flame_ray.types import Pair, PairKind, Prompt
from flame_ray.weights import sync_weights, take_canary

PROMPTS = tuple(
    Prompt(f"p{k}", text)
    for k, text in enumerate(
        ["Which countries border Peru?", "Describe the climate of Kenya in one sentence.", "Name the capital of Mongolia."]
    )
)
THREADS = {"runtime_env": {"env_vars": {"OMP_NUM_THREADS": "2"}}, "num_cpus": 0.5}


def options(folder: Path) -> VllmOptions:
    return VllmOptions(str(folder), "bfloat16", 256, 16, 1.0, 0.8, seed=0, receives_weights=True)


def rollout_pool(ray, folder: Path) -> RolloutPool:
    actor = ray.remote(RolloutActor).options(**THREADS).remote(options(folder))
    return RolloutPool(ActorPool("rollout", [actor], timeout_s=300), batch_sequences=16)


@pytest.fixture(scope="module")
def pushed(local_ray, model, tmp_path_factory):
    """One step of DPO at a rate that changes the text, pushed into a running sampler and saved whole."""
    folder = tmp_path_factory.mktemp("checkpoint") / "merged"
    sampler = rollout_pool(local_ray, model)
    before = sampler.generate(PROMPTS, greedy_plan(0, 40), lambda count: None)
    sampled = sampler.generate(PROMPTS, SamplingPlan(1, 3, 2, 40, 1.0), lambda count: None)
    pairs = [Pair(PairKind.FACTUALITY, sampled[2 * k], sampled[2 * k + 1], 1.0, 0.0) for k in range(len(PROMPTS))]
    # All parameters: an adapter leaves the tied embedding alone, and a head that stays stale would not show.
    config = LearnerConfig(lora=None, lr=1e-4, lr_final=1e-4, epochs=2, batch_pairs=3, micro_batch_pairs=3)
    learner = LearnerGroup.start(str(model), config, seed=0, options={"name": "push", **THREADS}, timeout_s=300)
    canary = take_canary(learner, sampler, Continuation(sampled[0].prompt_token_ids, sampled[0].token_ids))
    learner.train(pairs, round=1)
    stale = canary_failure(learner, sampler, canary)
    gap = sync_weights(learner, sampler, version=1, canary=canary, tolerance=0.15)
    learner.save(folder, merged=True)
    learner.stop()
    after = sampler.generate(PROMPTS, greedy_plan(0, 40), lambda count: None)
    fresh_pool = rollout_pool(local_ray, folder)
    fresh = fresh_pool.generate(PROMPTS, greedy_plan(0, 40), lambda count: None)
    return {
        "before": before,
        "after": after,
        "fresh": fresh,
        "gap": gap,
        "stale": stale,
        "sampler": sampler,
        "fresh_pool": fresh_pool,
    }


def canary_failure(learner, sampler, canary) -> WeightSyncError | None:
    """What sync_weights says of a sampler that acknowledges new weights and goes on from the old ones."""

    class Deaf:
        def load_weights(self, chunks, version):
            return [version]

        def canary(self, continuation):
            return sampler.canary(continuation)

    try:
        sync_weights(learner, Deaf(), version=1, canary=canary, tolerance=0.15)
    except WeightSyncError as error:
        return error
    return None


def test_greedy_text_and_log_probabilities_equal_those_of_a_fresh_engine(pushed):
    for pushed_one, fresh in zip(pushed["after"], pushed["fresh"], strict=True):
        assert pushed_one.token_ids == fresh.token_ids and pushed_one.text == fresh.text
        assert pushed_one.logprobs == pytest.approx(fresh.logprobs, abs=1e-6)


def test_the_push_changed_the_text(pushed):
    assert [r.token_ids for r in pushed["before"]] != [r.token_ids for r in pushed["after"]]


def test_any_text_is_as_likely_under_both(pushed):
    """Scored, not sampled: the head's stale weights show here even where greedy text happens to agree."""
    for response in pushed["before"]:
        continuation = Continuation(response.prompt_token_ids, response.token_ids)
        assert pushed["sampler"].canary(continuation)[0] == pytest.approx(
            pushed["fresh_pool"].canary(continuation)[0], abs=1e-6
        )


def test_responses_carry_the_new_version(pushed):
    assert {response.weight_version for response in pushed["after"]} == {1}


def test_the_canary_agrees_within_the_noise_of_bfloat16(pushed):
    assert 0 <= pushed["gap"] < 0.15


def test_a_sampler_that_keeps_the_old_weights_stops_the_run(pushed):
    assert isinstance(pushed["stale"], WeightSyncError) and "canary" in str(pushed["stale"])


def test_a_sample_depends_on_its_own_seed_and_not_on_its_batch(pushed):
    plan = SamplingPlan(round=5, seed=11, samples=2, max_tokens=12, temperature=1.0)
    together = pushed["sampler"].generate(PROMPTS, plan, lambda count: None)
    alone = pushed["sampler"].generate(PROMPTS[1:2], plan, lambda count: None)
    first = {str(response.id): response.token_ids[0] for response in together}
    assert all(first[str(response.id)] == response.token_ids[0] for response in alone)
