"""The policy's weights as a plain checkpoint has them: adapters merged in, under the checkpoint's names, chunk by chunk."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
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


@dataclass(frozen=True, slots=True)
class Kept:
    """How much of an adapter's update other merged weights have: `share` is <found - base, update> / <update, update>.

    `error`: the share's standard error, from rounding. `unequal`: tensors without an adapter that are not the module's own.
    """

    share: float
    error: float
    unequal: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        return not self.unequal and abs(self.share - 1) <= 0.1 + 4 * self.error


class MergedWeights:
    """The weights of a module, which stays as it is. A LoRA layer becomes base + B A scale, added in float32.

    The sum is rounded to bfloat16 at random, and right on average (`rounded`). Most of an adapter's update is smaller than half
    a step between two bfloat16 numbers: rounding to the nearest would lose it. A layer's random numbers follow from its name,
    so the same adapter always gives the same weights: to every sampler, in every saved folder, and after a resume.

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

    def kept(self, found: Callable[[str], Tensor] | None, limit: int) -> Kept:
        """Compare other weights, such as saved ones, with these. A rank whose `found` is None only takes part in gathering."""
        sums, unequal = torch.zeros(3, dtype=torch.float64), []
        for places in self.chunk_ranges(limit):
            named = self._parameters[places.start : places.stop]
            with self._whole(named), torch.no_grad():
                for name, value in named if found else ():
                    assert found is not None
                    other = found(plain_name(name)).to(value.device)
                    if name in self._adapted:
                        sums += _along_update(other.float() - value.float(), _update(self._adapted[name]))
                    elif not other.equal(value):
                        unequal.append(plain_name(name))
        along, whole, noise = sums.tolist()
        return Kept(along / whole, noise**0.5 / whole, tuple(unequal)) if whole else Kept(1.0, 0.0, tuple(unequal))

    def _whole(self, named: list[tuple[str, nn.Parameter]]) -> AbstractContextManager:
        factors = [factor for name, _ in named if name in self._adapted for factor in _factors(self._adapted[name])]
        return self._gather([value for _, value in named] + factors)

    def _merged(self, named: list[tuple[str, nn.Parameter]]) -> list[Named]:
        """Split parameters are copied, so that they outlive their gathering."""
        with self._whole(named), torch.no_grad():
            return [(plain_name(name), _merge(value, self._adapted.get(name), plain_name(name))) for name, value in named]


def merged_tensors(named: Iterable[Named], adapter: Path, dtype: torch.dtype) -> Iterator[Named]:
    """A checkpoint's tensors with a saved adapter merged in: the same numbers as those of a learner in this dtype.

    Random rounding differs between kinds of device, but each is right on average.
    """
    config, factors = LoraConfig.from_pretrained(str(adapter)), load_file(adapter / "adapter_model.safetensors")
    scale = config.lora_alpha / config.r
    for name, value in named:
        a, b = (factors.get(f"{_PEFT_PREFIX}{name.removesuffix('.weight')}.lora_{factor}.weight") for factor in "AB")
        weight = value.to(dtype)
        if a is not None and b is not None:
            update = b.float() @ a.float() * scale
            weight = rounded(weight.float() + (update.T if config.fan_in_fan_out else update), dtype, crc32(name.encode()))
        yield name, weight


def plain_name(name: str) -> str:
    return name.removeprefix(_PEFT_PREFIX).replace(".base_layer.", ".")


def base_model(model: nn.Module) -> Any:
    """The transformers model itself, inside its adapter or bare."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def _factors(layer: Any) -> list[nn.Parameter]:
    return [layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight]


@contextmanager
def exact_sums(model: nn.Module) -> Iterator[None]:
    """Inside the `with`, layers with an adapter compute with base + B A scale in float32, one layer at a time.

    An adapter in bfloat16 adds its output to the layer's, where most of a small one is rounded away: such a model hardly shows
    what the adapter has learned. Not for training.
    """
    found = [module for module in model.modules() if isinstance(module, LoraLayer)]
    layers: list[Any] = [layer for layer in found if ADAPTER in layer.lora_A and hasattr(layer.base_layer, "weight")]
    before = [layer.forward for layer in layers]
    for layer in layers:
        layer.forward = partial(_exact_forward, layer)  # in the instance, before the class's own
    try:
        yield
    finally:
        for layer, forward in zip(layers, before, strict=True):
            layer.forward = forward


def _exact_forward(layer: Any, inputs: Tensor) -> Tensor:
    """Under ZeRO-3, DeepSpeed gathers a parameter when a forward pass reads it."""
    base = layer.base_layer
    if layer.disable_adapters:
        return base(inputs)
    bias = getattr(base, "bias", None)
    weight = base.weight.float() + _update(layer)
    weight = weight.T if getattr(layer, "fan_in_fan_out", False) else weight
    return nn.functional.linear(inputs.float(), weight, None if bias is None else bias.float()).to(inputs.dtype)


def rounded(exact: Tensor, dtype: torch.dtype, seed: int) -> Tensor:
    """A float32 tensor in another dtype. In bfloat16 each number becomes one of its two neighbours, the nearer one more often,
    so that the mean of many is `exact`; a number that bfloat16 has stays itself.

    A bfloat16 number is the upper half of a float32 number: adding 16 random bits carries into it as often as it should. A
    generator gives 64 bits as fast as 32, so four numbers share a draw.
    """
    if dtype != torch.bfloat16:
        return exact.to(dtype)
    draws = torch.Generator(exact.device).manual_seed(seed)
    words = torch.empty(math.ceil(exact.numel() / 4), dtype=torch.int64, device=exact.device)
    halves = words.random_(-(2**63), None, generator=draws).view(torch.int16)[: exact.numel()]
    bits = halves.to(torch.int32).bitwise_and_(2**16 - 1).view(exact.shape).add_(exact.contiguous().view(torch.int32))
    return bits.view(torch.int16).view(*exact.shape, 2)[..., 1].contiguous().view(torch.bfloat16)


def _merge(weight: nn.Parameter, layer: LoraLayer | None, name: str) -> Tensor:
    if layer is None:
        return weight.detach().clone() if hasattr(weight, "ds_id") else weight.detach()
    return rounded(weight.detach().float() + _update(layer), weight.dtype, crc32(name.encode()))


def _update(layer: Any) -> Tensor:
    """What an adapter adds to its layer's weights, in float32."""
    a, b = (factor.detach().float() for factor in _factors(layer))
    delta = b @ a * layer.scaling[ADAPTER]
    return delta.T if getattr(layer, "fan_in_fan_out", False) else delta


def _along_update(change: Tensor, update: Tensor) -> Tensor:
    """<change, update>, <update, update>, and the variance of the first by rounding: [3], on the CPU."""
    error = (change - update) * update
    parts = [(change * update).sum(), update.square().sum(), error.square().sum()]
    return torch.stack(parts).double().cpu()


def _tied_names(model: nn.Module) -> set[str]:
    return {"lm_head.weight"} if getattr(base_model(model).config, "tie_word_embeddings", False) else set()
