"""The policy's weights as a plain checkpoint has them: adapters merged in, under the checkpoint's names, chunk by chunk."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from flame_ray.engines.weight_chunks import chunk_ranges

Gather = Callable[[list[nn.Parameter]], AbstractContextManager]
Named = tuple[str, Tensor]
ADAPTER = "default"
_PEFT_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class TensorLayout:
    """One tensor of the merged weights, not split over ranks; `name` is its name in a plain checkpoint."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class MergedWeights:
    """The weights of a module, which stays as it is. A LoRA layer becomes base + B A scale, added in float32 and cast back.

    `gather` makes parameters that ZeRO-3 has split complete inside a `with`. Every rank takes part in every gathering, so all
    ranks must run through the iterators below to their end. An output layer tied to the embeddings is left out, as in the
    checkpoint.
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
        """Every tensor, in the order of `chunks`. Gathers nothing."""
        return [
            TensorLayout(plain_name(name), value.dtype, tuple(getattr(value, "ds_shape", value.shape)))
            for name, value in self._parameters
        ]

    def chunk_ranges(self, limit: int) -> list[range]:
        """Which tensors travel together, as ranges of the layout; at most `limit` bytes each."""
        return chunk_ranges([tensor.bytes for tensor in self.layout()], limit)

    def chunks(self, limit: int) -> Iterator[list[Named]]:
        """(name, tensor) lists, one chunk after another; the next one is gathered only when it is asked for.

        A yielded chunk is not kept here: if the caller drops it too, one chunk is in memory at a time.
        """
        for places in self.chunk_ranges(limit):
            yield self._merged(self._parameters[places.start : places.stop])

    def named(self, limit: int) -> Iterator[Named]:
        """The same, tensor by tensor."""
        for chunk in self.chunks(limit):
            while chunk:
                yield chunk.pop(0)

    def _merged(self, named: list[tuple[str, nn.Parameter]]) -> list[Named]:
        """Split parameters are copied, so that they outlive their gathering."""
        factors = [factor for name, _ in named if name in self._adapted for factor in _factors(self._adapted[name])]
        with self._gather([value for _, value in named] + factors), torch.no_grad():
            return [(plain_name(name), _merge(value, self._adapted.get(name))) for name, value in named]


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
