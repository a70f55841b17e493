"""Attention over short rows, against transformers' own."""

from pathlib import Path

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Olmo2ForCausalLM,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)
from transformers.models.llama.modeling_llama import eager_attention_forward

from flame_ray.engines import policy
from flame_ray.engines.short_attention import NAME, attend, kernel_for_short_rows

SHAPE = {"hidden_size": 48, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2}


class Plain:
    training = False

    def __init__(self, heads_to_a_key: int):
        self.num_key_value_groups = heads_to_a_key


def inputs(dtype: torch.dtype, rows: int = 2, keys: int = 2, width: int = 8):
    """Rows of 6 heads. In the first one, 4 columns are padding. Rows lie as a model makes them."""
    torch.manual_seed(0)
    shapes = ((6, 8), (keys, 8), (keys, width))
    made = [torch.randn(rows, 17, *shape, dtype=dtype).transpose(1, 2).requires_grad_() for shape in shapes]
    sees = torch.ones(17, 17, dtype=torch.bool).tril().repeat(rows, 1, 1, 1)
    sees[0, :, :, :4] = False
    return made, policy.additive(sees, dtype), torch.randn(rows, 17, 6, width, dtype=dtype)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 2e-6), (torch.bfloat16, 0.04)])
@pytest.mark.parametrize(("rows", "keys", "width"), [(2, 2, 8), (1, 6, 8), (2, 6, 8), (1, 1, 8), (2, 2, 5)])
def test_outputs_and_gradients_are_those_of_plain_attention(dtype, limit, rows, keys, width):
    found = []
    for kernel in (attend, eager_attention_forward):
        made, mask, grad = inputs(dtype, rows, keys, width)
        before = mask.clone()
        outputs, _ = kernel(Plain(6 // keys), *made, mask, scaling=8**-0.5)
        outputs.backward(grad)
        assert mask.equal(before)
        found.append([outputs, *(each.grad for each in made)])
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=limit, atol=limit)


def test_rows_may_share_a_mask():
    made, mask, _ = inputs(torch.float32)
    both, alone = (attend(Plain(3), *made, each, scaling=1.0)[0] for each in (mask[1:], mask[1:].repeat(2, 1, 1, 1)))
    assert both.equal(alone)


def test_in_bfloat16_it_is_nearer_to_float32_than_plain_attention():
    """The scores are rounded once, not three times."""
    errors = []
    for kernel, dtype in ((attend, torch.bfloat16), (eager_attention_forward, torch.bfloat16)):
        made, mask, _ = inputs(dtype)
        exact, _ = eager_attention_forward(Plain(3), *(each.float() for each in made), mask.float(), scaling=0.35)
        outputs, _ = kernel(Plain(3), *made, mask, scaling=0.35)
        errors.append((outputs.float() - exact).square().mean().item())
    assert errors[0] <= errors[1]


@pytest.mark.parametrize("family", [LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, Olmo2ForCausalLM])
def test_models_with_plain_attention_take_it(family):
    assert kernel_for_short_rows(family) == NAME


def test_a_model_that_caps_its_scores_keeps_its_own():
    model = Gemma2ForCausalLM(Gemma2Config(vocab_size=50, head_dim=8, **SHAPE))
    policy.suit_attention(model, 20)
    assert model.config._attn_implementation == "eager"
    policy.suit_attention(model, 257)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rows_are_short_up_to_the_limit_of_their_dtype(dtype):
    model = LlamaForCausalLM(LlamaConfig(vocab_size=50, **SHAPE)).to(getattr(torch, dtype))
    chosen = {}
    for columns in (policy.SHORT_COLUMNS[dtype], policy.SHORT_COLUMNS[dtype] + 1):
        policy.suit_attention(model, columns)
        chosen[columns] = model.config._attn_implementation
    assert list(chosen.values()) == [NAME, "sdpa"]


def test_a_model_that_is_saved_names_no_kernel_of_ours(tmp_path: Path):
    model = LlamaForCausalLM(LlamaConfig(vocab_size=50, **SHAPE))
    policy.suit_attention(model, 20)
    model.config.save_pretrained(tmp_path)
    assert NAME not in (tmp_path / "config.json").read_text()
