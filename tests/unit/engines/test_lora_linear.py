"""Layers whose adapter is added in place, against PEFT's own."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from flame_ray.config import LearnerConfig
from flame_ray.config import LoraConfig as OurLora
from flame_ray.engines import policy
from flame_ray.engines.lora_linear import add_adapters_in_place
from flame_ray.engines.merging import exact_sums
from flame_ray.engines.models import reference

SHAPE = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}


def adapted(dtype=torch.float32, **options):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=50, attention_bias=True, initializer_range=0.2, **SHAPE))
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=6, target_modules="all-linear", **options)).to(dtype)
    for name, value in model.named_parameters():
        if ".lora_B." in name:
            nn.init.normal_(value, std=0.2)
    return model


def run(model):
    """Logits [2, 9, 50], and the gradients of the adapter by name."""
    torch.manual_seed(1)
    logits = model(input_ids=torch.randint(0, 50, (2, 9)), use_cache=False).logits
    (logits.float().square().sum() / 100).backward()
    return logits, {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_outputs_and_gradients_are_pefts(dtype, limit):
    theirs = adapted(dtype)
    ours = copy.deepcopy(theirs)
    add_adapters_in_place(ours)
    (logits, gradients), (wanted, of_theirs) = run(ours), run(theirs)
    torch.testing.assert_close(logits, wanted, rtol=limit, atol=limit)
    assert gradients.keys() == of_theirs.keys() and all(".lora_" in name for name in gradients)
    for name, value in gradients.items():
        torch.testing.assert_close(value, of_theirs[name], rtol=limit, atol=limit, msg=name)


def test_in_bfloat16_a_layer_is_nearer_to_float32_than_pefts():
    layers = [next(each for each in adapted(torch.bfloat16).modules() if hasattr(each, "lora_A")) for _ in range(3)]
    add_adapters_in_place(layers[0])
    inputs = torch.randn(200, 24, dtype=torch.bfloat16)
    ours, theirs, exact = layers[0](inputs), layers[1](inputs), layers[2].float()(inputs.float())
    error, of_theirs = ((each.float() - exact).square().mean().item() for each in (ours, theirs))
    assert error < of_theirs


def test_without_its_adapter_a_layer_gives_the_base_models_bits():
    model = adapted(torch.bfloat16)
    add_adapters_in_place(model)
    ids = torch.randint(0, 50, (2, 9))
    with torch.no_grad(), model.disable_adapter():
        off = model(input_ids=ids).logits
        for name, value in model.named_parameters():
            if ".lora_B." in name:
                value.zero_()
    with torch.no_grad():
        assert model(input_ids=ids).logits.equal(off)


def test_a_model_may_change_the_outputs_in_place():
    """As OLMo does, which cuts what its projections give."""
    layer = next(each for each in adapted().modules() if hasattr(each, "lora_A"))
    inputs = torch.randn(2, 5, 24)
    wanted = layer(inputs).clamp(-0.1, 0.1)
    add_adapters_in_place(layer)
    outputs = layer(inputs).clamp_(-0.1, 0.1)
    outputs.sum().backward()
    torch.testing.assert_close(outputs, wanted)


def test_layers_that_drop_out_go_on_as_peft_has_them():
    model = adapted(lora_dropout=0.5)
    add_adapters_in_place(model)
    assert not any("forward" in vars(each) for each in model.modules() if hasattr(each, "lora_A"))


def test_after_exact_sums_layers_compute_in_place_again():
    model = adapted(torch.bfloat16)
    add_adapters_in_place(model)
    before = run(model)[0]
    with torch.no_grad(), exact_sums(model):
        assert not model(input_ids=torch.zeros(1, 3, dtype=torch.long)).logits.isnan().any()
    assert run(model)[0].equal(before)


@pytest.mark.parametrize(("stage", "is_in_place"), [(0, True), (2, True), (3, False)])
def test_a_policy_computes_so_but_under_zero_3(tmp_path, stage, is_in_place):
    LlamaForCausalLM(LlamaConfig(vocab_size=50, **SHAPE)).save_pretrained(tmp_path)
    learner = LearnerConfig(dtype="float32", lora=OurLora(r=2, alpha=2), zero_stage=stage)
    model = policy.load_policy(reference(str(tmp_path)), learner)
    layers = [each for each in model.modules() if hasattr(each, "lora_A")]
    assert layers and all(("forward" in vars(each)) == is_in_place for each in layers)
