"""What a job is said to take, against numbers worked out by hand and measured ones."""

from dataclasses import replace
from pathlib import Path

import pytest

from flame_ray.config import Config, LoraConfig
from flame_ray.config.load import load_config, parse_config
from flame_ray.doctor.checks import GIB
from flame_ray.doctor.estimate import (
    FACTUALITY_PROCESS,
    PARSER,
    SMALL_CHECKER,
    checkpoint_bytes,
    engine_memory,
    estimate,
    kv_bytes,
)
from flame_ray.doctor.learner_memory import lora_parameters
from flame_ray.doctor.memory import DRIVER, GPU_PROCESS_HOST, RAY, Memory
from flame_ray.doctor.shape import model_shape
from tests.unit.doctor.samples import LLAMA_70B, SEVEN_B, SMOLLM2, TINY

JOBS = sorted((Path(__file__).parents[3] / "jobs").glob("*.yaml"))


def test_a_token_of_the_kv_cache_is_two_tensors_a_layer():
    assert kv_bytes(TINY, 2) == 2 * 2 * 2 * 2 * 2
    assert kv_bytes(model_shape(LLAMA_70B), 2) == 327_680


def test_an_engine_on_a_cpu_takes_whole_gib_for_its_cache_and_on_a_gpu_one_sequence():
    rollout = Config().rollout
    for asked, given in ((0.2, 1), (1.4, 1), (2.6, 3)):
        memory = engine_memory(TINY, rollout.model_copy(update={"kv_cache_gib": asked}), 2, 512)
        assert (memory.weights, memory.kv_cache) == (2000, given * GIB)
    assert engine_memory(TINY, rollout.model_copy(update={"gpus": 1.0}), 2, 512).kv_cache == 512 * 32


def test_a_plan_adds_every_actor_the_driver_ray_and_one_copy_of_the_weights():
    config = parse_config({"factuality": {"workers": 3}, "rollout": {"workers": 2}}, "here")
    plan = estimate(config, TINY, TINY, corpus_bytes=100)
    assert plan.need("factuality").host.total == FACTUALITY_PROCESS + 1000
    alone = sum(need.host.total for need in plan.needs) + plan.need("rollout").host.total
    assert plan.host == alone + 2 * plan.need("factuality").host.total + 2000 + DRIVER + RAY


@pytest.mark.parametrize(("settings", "more"), [({"decompose": "parse"}, PARSER), ({"checker": "small"}, SMALL_CHECKER)])
def test_a_parser_and_a_model_in_the_factuality_worker_are_counted(settings, more):
    plan = estimate(parse_config({"factuality": settings}, "here"), TINY, TINY)
    assert plan.need("factuality").host.total == FACTUALITY_PROCESS + more


def test_the_estimate_for_the_quickstart_is_no_less_than_was_measured_and_not_a_quarter_more():
    shape = model_shape(SMOLLM2)
    plan = estimate(load_config(JOBS[0].with_name("quickstart.yaml")), shape, shape)
    for role, measured in {"learner": 4.25, "rollout": 3.56, "judge": 3.75}.items():
        assert measured <= plan.need(role).host.total / GIB <= 1.25 * measured, role


def test_checkpoints_are_adapters_and_states_or_whole_models():
    lora = lora_parameters(TINY, LoraConfig())
    rounds = {"run": {"rounds": 5}}
    assert checkpoint_bytes(parse_config(rounds, ""), TINY) == 5 * 14 * lora
    kept = parse_config({"run": {"rounds": 5, "keep_checkpoints": 2, "save_merged": True}}, "")
    assert checkpoint_bytes(kept, TINY) == 3 * (14 * lora + 2000)  # the third is being written before the first goes
    assert checkpoint_bytes(parse_config(rounds | {"learner": {"lora": None}}, ""), TINY) == 5 * (12_000 + 2000)


def test_states_inside_a_round_are_counted_at_their_most():
    tree = {"run": {"rounds": 1}, "prompts": {"per_round": 20}, "learner": {"lora": None, "checkpoint_steps": 2}}
    assert checkpoint_bytes(parse_config(tree, ""), TINY) == 14_000 + 2 * 12_000  # 40 pairs are 5 steps: 2 states


def test_a_split_engine_divides_weights_and_cache_and_a_cache_no_further_than_its_key_heads():
    def engine(split: int, gpus: float) -> Memory:
        role = Config().rollout.model_copy(update={"tensor_parallel": split, "gpus": gpus})
        return engine_memory(TINY, role, 2, 512)

    for split, weights, cache in ((1, 2000, 512 * 32), (2, 1000, 512 * 16), (4, 500, 512 * 16)):
        part = engine(split, split)
        assert (part.weights, part.kv_cache) == (weights, cache)
        assert replace(part, weights=0, kv_cache=0) == replace(engine(1, 1), weights=0, kv_cache=0)
    assert engine(2, 0) == engine(1, 0)


def test_a_split_engine_is_a_process_a_gpu():
    need = estimate(parse_config({"rollout": {"gpus": 4, "tensor_parallel": 4}}, ""), TINY, TINY).need("rollout")
    assert (need.split, need.host.total, need.device.weights) == (4, 4 * GPU_PROCESS_HOST, 500)
    judge = estimate(parse_config({"judge": {"gpus": 2}}, ""), TINY, TINY).need("judge")
    assert (judge.split, judge.host.total) == (1, GPU_PROCESS_HOST)


def test_verifiers_count_where_a_stage_asks_one_with_their_own_length_and_model():
    asked = {"factuality": {"checker": "llm"}, "verifier": {"workers": 2, "max_length": 8192}}
    of_policy, of_another = (estimate(parse_config(asked, "here"), TINY, TINY, 0, shape) for shape in (None, SEVEN_B))
    assert [need.role for need in of_policy.needs] == ["rollout", "factuality", "judge", "verifier", "learner"]
    verifier, judge = of_policy.need("verifier"), of_policy.need("judge")
    assert verifier.workers == 2 and verifier.host.weights == judge.host.weights
    assert verifier.host.logits > judge.host.logits  # the longer question
    assert of_another.need("verifier").host.weights > 10 * verifier.host.weights
    assert "verifier" not in [need.role for need in estimate(Config(), TINY, TINY).needs]
