"""The policy's weights as a plain checkpoint has them: adapters merged in, under hub names, a bounded chunk at a time.

In: a module, and `gather`, which makes parameters that ZeRO-3 has split whole for the length of a `with`. Out: the layout
of the merged weights, known without gathering, and the weights. Every rank takes part in every gathering, so all ranks
must exhaust what they begin, in step. The module itself is not changed.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from flame_ray.engines.weight_chunks import cut

Gather = Callable[[list[nn.Parameter]], AbstractContextManager]
Named = tuple[str, Tensor]
ADAPTER = "default"
_PEFT_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class TensorLayout:
    """One tensor of the merged weights, whole: `name` is the one in a plain checkpoint."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class MergedWeights:
    """A LoRA layer gives base + B A scale, added in float32 and cast back.

    A head that is tied to the embeddings is left out, as it is in the checkpoint.
    """

    def __init__(self, model: nn.Module, gather: Gather):
        self._gather = gather
        self._adapted = {
            f"{name}.base_layer.weight": layer for name, layer in model.named_modules() if isinstance(layer, LoraLayer)
        }
        tied = _tied_names(model)
        self._parameters = [
            (name, value)
            for name, value in model.named_parameters()  # which yields a shared tensor once
            if ".lora_" not in name and plain_name(name) not in tied
        ]

    def layout(self) -> list[TensorLayout]:
        """Every tensor, in the order in which `chunks` yields them. Gathers nothing."""
        return [
            TensorLayout(plain_name(name), value.dtype, tuple(getattr(value, "ds_shape", value.shape)))
            for name, value in self._parameters
        ]

    def cuts(self, limit: int) -> list[range]:
        """Which tensors travel together: places in the layout, at most `limit` bytes each."""
        return cut([tensor.bytes for tensor in self.layout()], limit)

    def chunks(self, limit: int) -> Iterator[list[Named]]:
        """(name, tensor) of one chunk after another; the next one is gathered only when it is asked for.

        What was yielded is not held here: a caller that lets go of it has one chunk in memory at a time.
        """
        for places in self.cuts(limit):
            yield self._whole(self._parameters[places.start : places.stop])

    def named(self, limit: int) -> Iterator[Named]:
        """The same, tensor by tensor."""
        for chunk in self.chunks(limit):
            while chunk:
                yield chunk.pop(0)

    def _whole(self, items: list[tuple[str, nn.Parameter]]) -> list[Named]:
        """Copies where the parameters are split, so that they outlive their gathering."""
        factors = [factor for name, _ in items if name in self._adapted for factor in _factors(self._adapted[name])]
        with self._gather([value for _, value in items] + factors), torch.no_grad():
            return [(plain_name(name), _merge(value, self._adapted.get(name))) for name, value in items]


def plain_name(name: str) -> str:
    return name.removeprefix(_PEFT_PREFIX).replace(".base_layer.", ".")


def base_model(model: nn.Module) -> Any:
    """The transformers model itself, inside its adapter or bare."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def _factors(layer: Any) -> list[nn.Parameter]:
    return [layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight]


def _merge(weight: nn.Parameter, layer: LoraLayer | None) -> Tensor:
    if layer is None:
        return weight.detach().clone() if hasattr(weight, "ds_id") else weight.detach()
    a, b = (factor.detach().float() for factor in _factors(layer))
    delta = b @ a * layer.scaling[ADAPTER]
    delta = delta.T if getattr(layer, "fan_in_fan_out", False) else delta
    return (weight.detach().float() + delta).to(weight.dtype)


def _tied_names(model: nn.Module) -> set[str]:
    return {"lm_head.weight"} if getattr(base_model(model).config, "tie_word_embeddings", False) else set()
