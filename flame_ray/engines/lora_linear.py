"""A linear layer with an adapter, W x + s B A x (LoRA, arXiv 2106.09685), in fewer passes over memory than PEFT makes.

PEFT writes B A x, then its product with s, then the sum: three tensors as large as the layer's output, of which the backward
pass makes three more. Here the small products are added in place to the large ones, and s goes to the small side. In bfloat16
the sum is rounded once, where PEFT rounds three times.
"""

from functools import partial
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn

from flame_ray.engines.merging import ADAPTER


def add_adapters_in_place(model: nn.Module) -> None:
    """Let each plain linear layer with an adapter compute by `LoraLinear`. Layers of other kinds, and those whose adapter drops
    out, go on as PEFT has them. Not for ZeRO-3, which gathers a parameter where its own module runs.
    """
    layers: list[Any] = [module for module in model.modules() if isinstance(module, Linear) and _is_plain(module)]
    for layer in layers:
        layer.forward = partial(_forward, layer)  # in the instance, before the class's own


def _is_plain(layer: Any) -> bool:
    base, dropout = layer.base_layer, layer.lora_dropout[ADAPTER]
    has_variant = bool(layer.lora_variant) or getattr(layer, "fan_in_fan_out", False) or layer.lora_bias[ADAPTER]
    return type(base) is nn.Linear and not has_variant and isinstance(dropout, nn.Identity)


def _forward(layer: Any, inputs: Tensor) -> Tensor:
    base = layer.base_layer
    if layer.disable_adapters:
        return base(inputs)
    rows = inputs.reshape(-1, inputs.shape[-1])
    factors = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    outputs = LoraLinear.apply(rows, base.weight, base.bias, *factors, layer.scaling[ADAPTER])
    return outputs.view(*inputs.shape[:-1], -1)


class LoraLinear(torch.autograd.Function):
    """Rows [N, I] to [N, O]. Weight [O, I] and bias [O] are frozen; a [r, I] and b [O, r] learn."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
        inner = rows @ a.T
        ctx.save_for_backward(rows, weight, a, b, inner)
        ctx.scale = scale
        return nn.functional.linear(rows, weight, bias).addmm_(inner, b.T, alpha=scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, Tensor, Tensor, None]:
        rows, weight, a, b, inner = ctx.saved_tensors
        (grad,) = grads
        inner_grad = (grad @ b).mul_(ctx.scale)
        rows_grad = (grad @ weight).addmm_(inner_grad, a)
        return rows_grad, None, None, inner_grad.T @ rows, (grad.T @ inner).mul_(ctx.scale), None
