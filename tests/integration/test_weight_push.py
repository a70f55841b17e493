"""After a push, a rollout actor must be an engine freshly started from the saved checkpoint (this catches a stale lm_head)."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import ray
import torch
from peft import LoraConfig, get_peft_model
from ray._private.internal_api import node_stats

from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.config import LearnerConfig
from flame_ray.config.model import cpu_dtype
from flame_ray.engines.base import AdapterFolder, Chunks, Continuation, StoredModel
from flame_ray.engines.merging import MergedWeights
from flame_ray.engines.models import reference
from flame_ray.engines.policy import adapter_weights, load_model, write_adapter
from flame_ray.engines.vllm_engine import VllmOptions
from flame_ray.engines.weight_chunks import to_arrays
from flame_ray.errors import WeightSyncError
from flame_ray.learner.data import pair_examples
from flame_ray.learner.group import LearnerGroup
from flame_ray.rollout.actor import RolloutActor
from flame_ray.rollout.pool import RolloutPool
from flame_ray.rollout.sampling import SamplingPlan, greedy_plan
from flame_ray.types import Response
from flame_ray.weights import Canary, Push
from tests.builders import make_pair, make_prompt
from tests.integration.gate import wait_for

PROMPTS = tuple(
    make_prompt(f"p{k}", text)
    for k, text in enumerate(
        ["Which countries border Peru?", "Describe the climate of Kenya in one sentence.", "Name the capital of Mongolia."]
    )
)
CHUNK_BYTES = 30 * 2**20  # the embeddings are 54 MiB, a layer is 7 MiB: chunks end inside of layers, and one is too large
THREADS = {"runtime_env": {"env_vars": {"OMP_NUM_THREADS": "2"}}, "num_cpus": 0.5}


def options(folder: Path) -> VllmOptions:
    return VllmOptions(reference(str(folder)), cpu_dtype(), 256, 16, 1.0, 0.8, seed=0, receives_weights=True)


def rollout_pool(ray, engine: VllmOptions, event_loop: EventLoop, **variables: str) -> RolloutPool:
    """With one worker, which has these variables in its environment."""
    placed = THREADS | {"runtime_env": {"env_vars": THREADS["runtime_env"]["env_vars"] | variables}}
    remote = ray.remote(RolloutActor).options(**placed)
    pool = WorkerPool("rollout", lambda *_: remote.remote(engine), Limits(1, 1, 16), event_loop)
    pool.wait_ready()
    return RolloutPool(pool)


def ended(ray, rollouts: RolloutPool) -> None:
    actors = rollouts.pool.actors
    rollouts.pool.close()  # first, or it would replace them
    for actor in actors:
        ray.kill(actor)


def answers(rollouts: RolloutPool, plan: SamplingPlan, prompts=PROMPTS) -> list[Response]:
    """Prompt by prompt, whichever is done first."""
    groups = sorted(rollouts.generate(prompts, plan), key=lambda group: group.prompt.id)
    return [response for group in groups for response in group.responses_G]


def likelihood(ray, rollouts: RolloutPool, continuation: Continuation) -> tuple[float, ...]:
    return ray.get(rollouts.pool.actors[0].canary.remote((continuation,)), timeout=120)[0]


@pytest.fixture(scope="module")
def pushed(local_ray, model, tmp_path_factory):
    """One step of DPO at a rate that changes the text, pushed into a running sampler and saved whole."""
    folder = tmp_path_factory.mktemp("checkpoint") / "merged"
    event_loop = EventLoop()
    vllm_cache = tmp_path_factory.mktemp("vllm")
    sampler = rollout_pool(local_ray, options(model), event_loop, VLLM_CACHE_ROOT=str(vllm_cache))
    before = answers(sampler, greedy_plan(0, 40))
    sampled = answers(sampler, SamplingPlan(1, 3, 2, 40, 1.0))
    pairs = [make_pair(sampled[2 * k], sampled[2 * k + 1]) for k in range(len(PROMPTS))]
    # All parameters: an adapter leaves the tied embedding alone, and a head that stays stale would not show.
    config = LearnerConfig(dtype=cpu_dtype(), lora=None, lr=1e-4, lr_final=1e-4, epochs=2, batch_pairs=3, micro_batch_pairs=3)
    placed = {"name": "push", **THREADS}
    learner = LearnerGroup.start(reference(str(model)), config, seed=0, options=placed, chunk_bytes=CHUNK_BYTES)
    sequences = tuple(Continuation(each.prompt_token_ids, each.token_ids) for each in sampled)
    learner_before = learner.canary(sequences)
    learner.train(pair_examples(pairs), round=1)
    expected = learner.canary(sequences)
    learner.save(folder, merged=True)
    weights = Chunks(learner.export())
    chunks, held = len(weights.references), stored_bytes()
    canary = Canary(sequences, expected, {0: learner_before}, tolerance=0.15)
    push = Push(weights, 1, canary, stored=StoredModel(folder))
    del weights
    stale = refusal(push, sampler.pool.actors[0])
    agreement = sampler.push(push)
    learner.stop()
    after = answers(sampler, greedy_plan(0, 40))
    fresh_pool = rollout_pool(local_ray, options(folder), event_loop)
    yield {
        "before": before,
        "after": after,
        "fresh": answers(fresh_pool, greedy_plan(0, 40)),
        "agreement": agreement,
        "chunks": chunks,
        "held": held,
        "stale": stale,
        "vllm_cache": vllm_cache,
        "sampler": sampler,
        "fresh_pool": fresh_pool,
        "ray": local_ray,
    }
    for rollouts in (sampler, fresh_pool):
        ended(local_ray, rollouts)
    event_loop.close()


def refusal(push: Push, actor) -> WeightSyncError | None:
    """What a push says of a sampler that acknowledges new weights and goes on from the old ones."""

    class Method:
        def __init__(self, remote):
            self.remote = remote

    async def acknowledge(weights, version):
        return version

    class Deaf:
        load_weights = Method(acknowledge)
        ready, canary = actor.ready, actor.canary

    try:
        asyncio.run(push.update_worker(Deaf()))
    except WeightSyncError as error:
        return error.with_traceback(None)  # whose frames would hold the weights
    return None


def test_greedy_text_equals_that_of_a_fresh_engine(pushed):
    for pushed_one, fresh in zip(pushed["after"], pushed["fresh"], strict=True):
        assert pushed_one.token_ids == fresh.token_ids and pushed_one.text == fresh.text


def stored_bytes() -> int:
    """What Ray's object store on this node holds."""
    (node,) = ray.nodes()
    return node_stats(node["NodeManagerAddress"], node["NodeManagerPort"]).store_stats.object_store_bytes_used


def test_the_object_store_holds_the_model_for_the_push_and_not_for_the_round(pushed, model):
    size = sum(file.stat().st_size for file in model.glob("*.safetensors"))
    assert pushed["held"] > size / 2.1  # bfloat16, or float32 as in the file
    wait_for(lambda: stored_bytes() < size / 10)


def test_the_weights_came_in_several_chunks(pushed):
    assert pushed["chunks"] > 5


def test_an_engine_on_a_new_machine_starts_no_process_that_imports_vllm_again_to_look_at_its_model(pushed):
    """What such a process finds, vLLM stores in its cache."""
    assert not (pushed["vllm_cache"] / "modelinfos").exists()


def test_the_push_changed_the_text(pushed):
    assert [r.token_ids for r in pushed["before"]] != [r.token_ids for r in pushed["after"]]


def test_any_text_is_as_likely_under_both(pushed):
    """Scored, not sampled: the head's stale weights show here even where greedy text happens to agree."""
    for response in pushed["before"]:
        continuation = Continuation(response.prompt_token_ids, response.token_ids)
        mine, fresh = (likelihood(pushed["ray"], pushed[name], continuation) for name in ("sampler", "fresh_pool"))
        assert mine == pytest.approx(fresh, abs=1e-6)


def test_responses_carry_the_new_version(pushed):
    assert {response.weight_version for response in pushed["after"]} == {1}


def test_the_canary_agrees_within_the_noise_of_bfloat16(pushed):
    assert 0 <= pushed["agreement"].gap < 0.15


def test_the_sampler_moved_as_far_as_the_learner(pushed):
    """Nothing is merged here: both compute with the same numbers."""
    assert pushed["agreement"].slope == pytest.approx(1.0, abs=0.05)
    assert "moved as the learner did (slope" in str(pushed["agreement"])


def test_a_sampler_that_keeps_the_old_weights_stops_the_run(pushed):
    assert isinstance(pushed["stale"], WeightSyncError) and "canary" in str(pushed["stale"])


def test_a_sample_depends_on_its_own_seed_and_not_on_its_batch(pushed):
    plan = SamplingPlan(round=5, seed=11, samples=2, max_tokens=12, temperature=1.0)
    together, alone = answers(pushed["sampler"], plan), answers(pushed["sampler"], plan, PROMPTS[1:2])
    first = {str(response.id): response.token_ids[0] for response in together}
    assert all(first[str(response.id)] == response.token_ids[0] for response in alone)


def test_a_sampler_that_joins_later_merges_a_rounds_adapter_into_the_initial_model_itself(pushed, model, tmp_path):
    """Its weights are those that the learner would have sent: of the tied model, in bfloat16."""
    base = load_model(reference(str(model)), "bfloat16")
    adapted = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    for name, value in adapted.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=0.01)
    write_adapter(adapted, adapter_weights(adapted, lambda parameters: nullcontext()), tmp_path, reference(str(model)))
    merged = MergedWeights(adapted, lambda parameters: nullcontext())
    sent = Chunks(tuple(ray.put(to_arrays(chunk, "bfloat16")) for chunk in merged.chunks(CHUNK_BYTES)))
    (sampler,) = pushed["sampler"].pool.actors
    response = pushed["before"][0]
    text = Continuation(response.prompt_token_ids, response.token_ids)
    found = []
    for version, weights in ((2, sent), (3, StoredModel(Path(model))), (4, StoredModel(tmp_path, "bfloat16"))):
        ray.get(sampler.load_weights.remote(weights, version), timeout=120)
        found.append(likelihood(ray, pushed["sampler"], text))
    assert found[0] == pytest.approx(found[2], abs=1e-6) and found[0] != pytest.approx(found[1], abs=1e-2)


@pytest.mark.long
def test_an_adapter_is_added_in_the_sampler_and_taken_away_again(local_ray, model, tmp_path):
    """The canary has sequences of several lengths; the second push is that of a roll-back to the initial model."""
    event_loop = EventLoop()
    engine = replace(options(model), dtype="float32", adapter_rank=16)
    sampler = rollout_pool(local_ray, engine, event_loop)
    sampled = answers(sampler, SamplingPlan(1, 3, 2, 40, 1.0))
    sequences = tuple(Continuation(each.prompt_token_ids, each.token_ids) for each in sampled)
    pairs = [make_pair(sampled[2 * k], sampled[2 * k + 1]) for k in range(len(PROMPTS))]
    config = LearnerConfig(dtype="float32", lr=1e-3, lr_final=1e-3, epochs=2, batch_pairs=3, micro_batch_pairs=3)
    learner = LearnerGroup.start(reference(str(model)), config, seed=0, options={"name": "adapter", **THREADS})
    initial = learner.canary(sequences, added=True)
    learner.train(pair_examples(pairs), round=1)
    trained = learner.canary(sequences, added=True)
    learner.save(tmp_path / "adapter")
    learner.stop()
    adapter, earlier = AdapterFolder(str(tmp_path / "adapter")), {0: initial, 1: trained}
    pushes = [(1, trained), (0, initial)]
    found = [sampler.push(Push(adapter, version, Canary(sequences, now, earlier, 0.01))) for version, now in pushes]
    ended(local_ray, sampler)
    event_loop.close()
    assert all(agreement.gap < 1e-3 and agreement.learner_moved > 0.1 for agreement in found)
    assert [agreement.slope for agreement in found] == pytest.approx([1.0, 1.0], abs=0.01)
