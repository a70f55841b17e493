"""Attention over rows of a few hundred columns on a CPU, in fewer passes over memory than transformers' own.

A CPU has no fast kernel for the backward pass of attention with a mask. Plain matrix products take most of their time for the
scores [heads, T, T], which are written and read again for each small operation. Here the scale and the mask come with the
product, the softmax stays in the model's dtype, and heads that share a key share a product, so that no key is repeated.
"""

import inspect
import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask
from transformers.models.llama.modeling_llama import eager_attention_forward

NAME = "flame_ray_short"
AttentionMaskInterface.register(NAME, eager_mask)


def kernel_for_short_rows(family: type[nn.Module]) -> str:
    """The name by which transformers finds `attend`, for models whose own attention is Llama's word for word; else "eager"."""
    return NAME if _is_plain(family.__module__) else "eager"


@cache
def _is_plain(module: str) -> bool:
    own = getattr(sys.modules[module], "eager_attention_forward", None)
    return own is not None and inspect.getsource(own) == inspect.getsource(eager_attention_forward)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **others: Any,
) -> tuple[Tensor, None]:
    """Query [U, H, T, D], key [U, K, T, D] and value [U, K, T, E], where H is a multiple of K, and an additive mask
    [U or 1, 1, T, T]: [U, T, H, E].
    """
    found = Attention.apply(query, key, value, attention_mask, scaling)
    return found.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, attend)


class Attention(torch.autograd.Function):
    """softmax(scale Q K^T + mask) V, head by head. The backward pass computes the softmax again, so that none is kept."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
        columns, heads_to_a_key = query.shape[2], query.shape[1] // key.shape[1]
        q = query.reshape(-1, heads_to_a_key * columns, query.shape[3])
        k, v = (each.reshape(-1, columns, each.shape[3]) for each in (key, value))
        ctx.save_for_backward(q, k, v, mask)
        ctx.scale, ctx.shapes = scale, (query.shape, key.shape, value.shape)
        return (_weights(q, k, mask, scale) @ v).view(*query.shape[:3], value.shape[3])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Of P = softmax(S): dS = P (dP - the sum of P dP over a row)."""
        q, k, v, mask = ctx.saved_tensors
        weights, grad = _weights(q, k, mask, ctx.scale), grads[0].reshape(*q.shape[:2], v.shape[2])
        of_scores = torch._softmax_backward_data(grad @ v.mT, weights, -1, weights.dtype)
        found = (of_scores @ k).mul_(ctx.scale), (of_scores.mT @ q).mul_(ctx.scale), weights.mT @ grad
        of_query, of_key, of_value = (each.view(shape) for each, shape in zip(found, ctx.shapes, strict=True))
        return of_query, of_key, of_value, None, None


def _weights(q: Tensor, k: Tensor, mask: Tensor, scale: float) -> Tensor:
    """[B, S T, T] of q [B, S T, D] and k [B, T, D]. B: rows x key heads; the S heads of a key lie one below another."""
    scores = q.new_empty(*q.shape[:2], k.shape[1])
    scores.view(len(mask), -1, *mask.shape[2:]).copy_(mask)
    return scores.baddbmm_(q, k.mT, alpha=scale).softmax(-1)
