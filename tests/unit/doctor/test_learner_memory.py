"""What a rank is said to take, against numbers worked out by hand, the ZeRO paper's, and the tensors that torch saves."""

import pytest

from flame_ray.config import LearnerConfig, LoraConfig
from flame_ray.doctor.learner_memory import (
    LEARNER_PROCESS,
    activation_bytes,
    learner_memory,
    logit_bytes,
    lora_parameters,
    model_states,
)
from flame_ray.doctor.memory import BYTES, GPU_PROCESS_HOST
from flame_ray.doctor.shape import ModelShape, model_shape
from tests.unit.doctor.samples import SMOLLM2, TINY


def learner(**settings) -> LearnerConfig:
    return LearnerConfig.model_validate({"lora": None, "batch_pairs": 8, "micro_batch_pairs": 1} | settings)


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
    assert lora_parameters(model_shape(SMOLLM2), LoraConfig(r=16)) == 4_884_480  # as PEFT counts them


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
@pytest.mark.parametrize(("attention", "on_gpu"), [("sdpa", True), ("eager", False)])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_activations_are_what_torch_saves_for_a_layer(dtype, attention, on_gpu, checkpointing):
    shape = ModelShape(0, 64, 4, 4, 2, 16, 192, 32)
    args = (2, 64, BYTES[dtype], checkpointing, on_gpu)
    two_layers = activation_bytes(shape, *args) - activation_bytes(ModelShape(0, 64, 2, 4, 2, 16, 192, 32), *args)
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
    assert learner_memory(TINY, learner(lora={}, reference="initial"), 10, 9)[1].weights == 2000
