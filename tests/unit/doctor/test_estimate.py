"""What a job is said to take, against numbers worked out by hand, measured ones, and the tensors that torch saves."""

from dataclasses import replace
from pathlib import Path

import pytest

from flame_ray.config import Config, LearnerConfig, LoraConfig
from flame_ray.config.load import load_config, parse_config
from flame_ray.doctor.checks import GIB
from flame_ray.doctor.estimate import (
    BYTES,
    DRIVER,
    FACTUALITY_PROCESS,
    GPU_PROCESS_HOST,
    LEARNER_PROCESS,
    RAY,
    SMALL_CHECKER,
    Memory,
    activation_bytes,
    checkpoint_bytes,
    engine_memory,
    estimate,
    kv_bytes,
    learner_memory,
    logit_bytes,
    lora_parameters,
    model_states,
)
from flame_ray.doctor.models import SMOLLM2_SHAPE, model_shape
from flame_ray.engines.short_attention import NAME
from tests.unit.doctor.samples import LLAMA_70B, SEVEN_B, TINY

JOBS = sorted((Path(__file__).parents[3] / "jobs").glob("*.yaml"))


def test_a_token_of_the_kv_cache_is_two_tensors_a_layer():
    assert kv_bytes(TINY, 2) == 2 * 2 * 2 * 2 * 2
    assert kv_bytes(model_shape(LLAMA_70B), 2) == 327_680


def test_an_engine_on_a_cpu_takes_what_is_set_for_its_cache_and_on_a_gpu_one_sequence():
    rollout = Config().rollout
    for asked in (0.25, 3):
        memory = engine_memory(TINY, rollout.model_copy(update={"kv_cache_gib": asked}), 2, 512)
        assert (memory.weights, memory.kv_cache) == (2000, asked * GIB)
    assert engine_memory(TINY, rollout.model_copy(update={"gpus": 1.0}), 2, 512).kv_cache == 512 * 32


def test_a_plan_adds_every_actor_the_driver_ray_and_one_copy_of_the_weights():
    config = parse_config({"factuality": {"workers": 3}, "rollout": {"workers": 2}}, "here")
    plan = estimate(config, TINY, TINY, corpus_bytes=100)
    assert plan.need("factuality").host.total == FACTUALITY_PROCESS + 1000
    alone = sum(need.host.total for need in plan.needs) + plan.need("rollout").host.total
    assert plan.host == alone + 2 * plan.need("factuality").host.total + 2000 + DRIVER + RAY


@pytest.mark.parametrize(("settings", "more"), [({"checker": "small"}, SMALL_CHECKER)])
def test_a_parser_and_a_model_in_the_factuality_worker_are_counted(settings, more):
    plan = estimate(parse_config({"factuality": settings}, "here"), TINY, TINY)
    assert plan.need("factuality").host.total == FACTUALITY_PROCESS + more


def test_the_estimate_for_the_quickstart_is_no_less_than_was_measured_and_not_a_quarter_more():
    """Of four pairs in a pass. Of eight, 4.17 GiB was measured: their responses are seldom all different and all long."""
    quickstart = JOBS[0].with_name("quickstart.yaml")
    plan = estimate(load_config(quickstart), SMOLLM2_SHAPE, SMOLLM2_SHAPE)
    assert plan.need("learner").host.total / GIB >= 4.17
    plan = estimate(load_config(quickstart, ("learner.micro_batch_pairs=4",)), SMOLLM2_SHAPE, SMOLLM2_SHAPE)
    for role, measured in {"learner": 4.25, "rollout": 3.56, "judge": 3.75}.items():
        assert measured <= plan.need(role).host.total / GIB <= 1.25 * measured, role


def test_checkpoints_are_adapters_and_states_or_whole_models():
    lora = lora_parameters(TINY, LoraConfig())
    rounds = {"run": {"rounds": 5}}
    assert checkpoint_bytes(parse_config(rounds, ""), TINY) == 5 * 14 * lora
    kept = parse_config({"run": {"rounds": 5, "keep_checkpoints": 2, "save_merged": True}}, "")
    assert checkpoint_bytes(kept, TINY) == 3 * (14 * lora + 2000)  # the third is being written before the first goes
    averaged = parse_config(rounds | {"learner": {"reference": "average"}}, "")
    assert checkpoint_bytes(averaged, TINY) == 5 * 18 * lora
    best = parse_config({"run": {"rounds": 5, "keep_checkpoints": 2, "select": "best"}}, "")
    assert checkpoint_bytes(best, TINY) == 4 * 14 * lora  # the best round stays, too
    assert checkpoint_bytes(parse_config(rounds | {"learner": {"lora": None}}, ""), TINY) == 5 * (12_000 + 2000)


@pytest.mark.parametrize(
    "length",
    [{"epochs": 1}, {"epochs": 9}, {"steps": 500}, {"seconds": 14_400}, {"steps": 500, "loss": "nll"}],
    ids=str,
)
def test_however_long_a_round_is_one_more_state_lies_beside_the_newest_inside_it(length):
    tree = {"run": {"rounds": 1}, "learner": {"lora": None, "checkpoint_steps": 2} | length}
    assert checkpoint_bytes(parse_config(tree, ""), TINY) == 14_000 + 12_000
    assert checkpoint_bytes(parse_config({"run": {"rounds": 1}, "learner": {"lora": None} | length}, ""), TINY) == 14_000


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


def learner(**settings) -> LearnerConfig:
    return LearnerConfig.model_validate(
        {"dtype": "bfloat16", "lora": None, "batch_pairs": 8, "micro_batch_pairs": 1} | settings
    )


@pytest.mark.parametrize(("stage", "gigabytes"), [(0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_model_states_are_those_of_figure_1_of_the_zero_paper(stage, gigabytes):
    """7.5 billion parameters on 64 ranks; of our 16 bytes of optimizer states the paper counts 12."""
    weights, gradients, optimizer = model_states(7_500_000_000, 7_500_000_000, 64, stage, 2)
    assert (weights + gradients + optimizer * 12 / 16) / 1e9 == pytest.approx(gigabytes, abs=0.05)


def test_frozen_parameters_have_neither_gradients_nor_states():
    assert model_states(1000, 10, 2, 1, 2) == (2000, 20, 80)  # 10 x 16 over two ranks


def test_adapters_have_r_rows_and_columns_on_every_linear_layer():
    per_layer = 4 * 16 + 2 * (8 + 4) - 2 * 16 + 3 * (8 + 16)  # q and o: 8 + 8; k and v: 8 + 4; three of the MLP: 8 + 16
    assert lora_parameters(TINY, LoraConfig(r=5)) == 5 * 2 * per_layer
    assert lora_parameters(SMOLLM2_SHAPE, LoraConfig(r=16)) == 4_884_480  # as PEFT counts them


def test_logits_and_their_gradient_cover_the_response_and_one_column():
    assert logit_bytes(TINY, rows=2, response=9, e=2) == 100 * 4 * 2 * 10


def saved_bytes(layers: int, dtype: str, attention: str, checkpointing: bool) -> int:
    """What torch keeps for the backward pass of a small Llama, without its parameters; two sequences of 64."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=32,
    )
    model = LlamaForCausalLM(config).to(getattr(torch, dtype))
    model.set_attn_implementation(attention)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    kept, own = [], {parameter.untyped_storage().data_ptr() for parameter in model.train().parameters()}
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        model(input_ids=torch.zeros(2, 64, dtype=torch.long), use_cache=False, logits_to_keep=1)
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in kept}
    return sum(size for pointer, size in storages.items() if pointer not in own)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(("attention", "on_gpu"), [("sdpa", True), (NAME, True), ("eager", False)])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_activations_are_what_torch_saves_for_a_layer(dtype, attention, on_gpu, checkpointing):
    shape = replace(TINY, hidden=64, layers=4, head_size=16, intermediate=192)
    args = (2, 64, BYTES[dtype], checkpointing, on_gpu)
    two_layers = activation_bytes(shape, *args) - activation_bytes(replace(shape, layers=2), *args)
    saved = saved_bytes(4, dtype, attention, checkpointing) - saved_bytes(2, dtype, attention, checkpointing)
    assert saved == pytest.approx(two_layers, rel=0.02)


def test_activations_by_hand_with_the_layer_at_work_on_top():
    token = 2 * (4 * 8 + 2 * 8 + 2 * 4 + 4 * 16) + 8 * 8
    assert activation_bytes(TINY, 3, 10, 2, False, True) == 3 * 3 * 10 * token
    assert activation_bytes(TINY, 3, 10, 2, True, True) == 2 * (3 * 10 * 2 * 8) + 3 * 10 * token


def test_long_sequences_on_a_cpu_are_not_charged_for_plain_attention():
    short, long = (activation_bytes(TINY, 1, length, 2, False, False) for length in (256, 100_000))
    assert short > activation_bytes(TINY, 1, 256, 2, False, True)
    assert long == activation_bytes(TINY, 1, 100_000, 2, False, True)


def test_a_rank_on_a_cpu_holds_everything_on_the_machine():
    device, host = learner_memory(TINY, learner(zero_stage=0), 10, 9)
    assert device.total == 0
    assert (host.weights, host.gradients, host.optimizer) == (2000, 2000, 16_000)
    assert (host.logits, host.other) == (100 * 4 * 2 * 10, LEARNER_PROCESS)


def test_a_rank_on_a_gpu_still_loads_the_whole_model_into_the_machine():
    device, host = learner_memory(TINY, learner(gpus=1, workers=4, zero_stage=3), 10, 9)
    assert (device.weights, device.gradients, device.optimizer) == (500, 500, 4000)
    assert (host.weights, host.optimizer, host.other) == (2000, 0, GPU_PROCESS_HOST)


def test_offload_moves_states_and_then_weights_to_the_machine():
    for offload, weights in (("optimizer", 500), ("parameters", 0)):
        device, host = learner_memory(TINY, learner(gpus=1, workers=4, zero_stage=3, offload=offload), 10, 9)
        assert (device.weights, device.gradients, device.optimizer, host.optimizer) == (weights, 0, 0, 4000)


def test_a_frozen_reference_of_full_training_is_a_second_copy_that_nothing_divides():
    plain, second = (
        learner_memory(TINY, learner(workers=2, zero_stage=3, reference=which), 10, 9)[1] for which in ("round", "initial")
    )
    assert (plain.weights, second.weights) == (1000, 3000)
    average = learner_memory(TINY, learner(workers=2, zero_stage=3, reference="average"), 10, 9)[1]
    assert (average.weights, average.other - second.other) == (3000, 4000)
    assert learner_memory(TINY, learner(lora={}, reference="initial"), 10, 9)[1].weights == 2000


def test_an_engine_and_a_learner_have_no_sequence_beyond_the_models_positions():
    short = replace(SEVEN_B, positions=512)
    sections = {"rollout": {"gpus": 1, "max_tokens": 64}, "judge": {"gpus": 1}, "learner": {"gpus": 1}}
    plans = [
        estimate(parse_config(sections | {"model": {"max_length": most}}, "here"), shape, shape)
        for most, shape in ((512, SEVEN_B), (4096, short), (4096, SEVEN_B))
    ]
    assert plans[0].needs == plans[1].needs != plans[2].needs
