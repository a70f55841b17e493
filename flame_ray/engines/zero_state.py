"""What AdamW knows of each trainable parameter, whole, however ZeRO has split it: to a file, and back from one.

In: a DeepSpeed engine and its parameters by name. Out: `state.safetensors` with the float32 master (`<name>:fp32`) and, if a
step was taken, Adam's moments (`<name>:exp_avg`, `<name>:exp_avg_sq`) of each parameter. Knows no round and no folder's
other files. Collective: all ranks call; one parameter is whole at a time.
"""

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deepspeed
import torch
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
    safe_set_local_fp32_param,
    safe_set_local_optimizer_state,
)
from safetensors import safe_open
from torch import Tensor, nn

from flame_ray.errors import StorageError

STATE = "state.safetensors"
MASTER, MOMENTS = "fp32", ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Place:
    """A trainable parameter; `master` is its float32 copy where there is no ZeRO, which alone DeepSpeed cannot look up."""

    name: str
    parameter: Any
    master: Tensor | None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(getattr(self.parameter, "ds_shape", self.parameter.shape))


class ZeroState:
    def __init__(self, engine: Any, module: nn.Module):
        self._adam = engine.basic_optimizer
        named = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
        whole = engine.zero_optimization_stage() == 0
        masters = [value for group in self._adam.param_groups for value in group["params"]] if whole else [None] * len(named)
        self._places = [Place(name, value, master) for (name, value), master in zip(named, masters, strict=True)]

    @property
    def steps(self) -> int:
        """Adam's count of steps, 0 when it has no moments."""
        return max((int(state["step"]) for state in self._adam.state.values()), default=0)

    def forget_moments(self) -> None:
        """In place, because ZeRO 1 and 2 hold views of the moments, which they link only once."""
        for state in self._adam.state.values():
            for value in state.values():
                value.zero_()

    def save(self, path: Path | None) -> None:
        """To `path`, or without one only take part in gathering."""
        keys = (MASTER, *MOMENTS) if self.steps else (MASTER,)
        shapes = {f"{place.name}:{key}": place.shape for place in self._places for key in keys}
        values = (self._get(place, key) for place in self._places for key in keys)
        if path is not None:
            return write_tensors(path, shapes, values, {"adam_steps": str(self.steps)})
        for _ in values:
            pass

    def load(self, path: Path) -> None:
        """Masters, moments and count of steps as they were saved, and the working weights after the masters.

        Adam must have moments already if the file has: see `DeepSpeedEngine.load_state`.
        """
        with safe_open(path, "pt") as file:
            self._check({name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}, path)  # noqa: SIM118
            keys = (MASTER, *MOMENTS) if saved_steps(path) else (MASTER,)
            for place in self._places:
                for key in keys:
                    self._set(place, key, file.get_tensor(f"{place.name}:{key}"))
        for state in self._adam.state.values():
            state["step"].fill_(saved_steps(path))

    def _check(self, found: Mapping[str, tuple[int, ...]], path: Path) -> None:
        expected = {f"{place.name}:{MASTER}": place.shape for place in self._places}
        masters = {name: shape for name, shape in found.items() if name.endswith(f":{MASTER}")}
        if masters != expected:
            name = min(name for name, _ in expected.items() ^ masters.items())
            raise StorageError(
                f"the parameters that these settings train, such as {name} of shape {expected.get(name)}",
                f"{masters.get(name, 'none of that name')} in {path}",
                "resume with the model and the learner.lora that wrote the state",
            )

    def _get(self, place: Place, key: str) -> Tensor:
        if place.master is not None:
            return place.master if key == MASTER else self._adam.state[place.master][key]
        if key == MASTER:
            return safe_get_full_fp32_param(place.parameter)
        return safe_get_full_optimizer_state(place.parameter, key)

    def _set(self, place: Place, key: str, value: Tensor) -> None:
        parameter = place.parameter
        if place.master is not None:
            self._get(place, key).data.copy_(value)
        elif hasattr(parameter, "ds_id"):
            part = _own_part(parameter, value)
            if key == MASTER:
                safe_set_local_fp32_param(parameter, part)
            else:
                safe_set_local_optimizer_state(parameter, part, key)
        elif key == MASTER:
            safe_set_full_fp32_param(parameter, value)
        else:
            safe_set_full_optimizer_state(parameter, value, key)
        if key == MASTER:
            with _whole(parameter):
                parameter.data.copy_(value)


def saved_steps(path: Path) -> int:
    with safe_open(path, "pt") as file:
        return int(file.metadata()["adam_steps"])


def write_tensors(
    path: Path, shapes: Mapping[str, tuple[int, ...]], values: Iterable[Tensor], metadata: dict[str, str]
) -> None:
    """A safetensors file of float32 tensors, written as they come: `save_file` would need all of them in memory at once.

    The format is the header's length in eight bytes, the header in JSON, and the tensors' bytes one after another.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in values:
            file.write(value.detach().float().cpu().contiguous().numpy().data)


def _own_part(parameter: Any, value: Tensor) -> Tensor:
    """This rank's share under ZeRO-3. DeepSpeed's own setter of whole tensors fails where they do not divide over the ranks."""
    size = parameter.ds_tensor.numel()
    start = size * torch.distributed.get_rank()
    part = value.flatten()[start : start + size]
    return nn.functional.pad(part, (0, size - part.numel()))


def _whole(parameter: Any) -> AbstractContextManager:
    """Under ZeRO-3, what is written inside is split over the ranks again at the end."""
    return deepspeed.zero.GatheredParameters([parameter], modifier_rank=0) if hasattr(parameter, "ds_id") else nullcontext()
