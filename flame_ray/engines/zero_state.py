"""Saves and loads the float32 weights and Adam's moments of each trained parameter, however ZeRO has split them.

`state.safetensors` has the float32 master of each parameter (`<name>:fp32`) and, if a step was taken, Adam's moments
(`<name>:exp_avg`, `<name>:exp_avg_sq`), not split over ranks. All ranks take part; one parameter is gathered at a time.
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

STATE, AVERAGE = "state.safetensors", "average.safetensors"
MASTER, MOMENTS = "fp32", ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Trained:
    """A trained parameter; `master` is its float32 copy without ZeRO, the one case in which DeepSpeed cannot look it up."""

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
        zero = engine.zero_optimization_stage() > 0
        masters = [None] * len(named) if zero else [value for group in self._adam.param_groups for value in group["params"]]
        self._trained = [Trained(name, value, master) for (name, value), master in zip(named, masters, strict=True)]

    @property
    def steps(self) -> int:
        """Adam's count of steps; 0 if it has no moments."""
        return max((int(state["step"]) for state in self._adam.state.values()), default=0)

    def forget_moments(self) -> None:
        """Zero the moments in place: ZeRO 1 and 2 hold views of them, which are linked only once."""
        for state in self._adam.state.values():
            for value in state.values():
                value.zero_()

    def masters(self) -> dict[str, Tensor]:
        """A copy of each float32 master, on the CPU of every rank."""
        return {each.name: self._get(each, MASTER).detach().float().to("cpu", copy=True) for each in self._trained}

    def set_masters(self, values: Mapping[str, Tensor]) -> None:
        """Set the masters, and the working weights from them; moments stay."""
        for each in self._trained:
            self._set(each, MASTER, values[each.name])

    def save(self, path: Path | None) -> None:
        """Write to `path`; without one, only take part in gathering."""
        keys = (MASTER, *MOMENTS) if self.steps else (MASTER,)
        shapes = {f"{each.name}:{key}": each.shape for each in self._trained for key in keys}
        values = (self._get(each, key) for each in self._trained for key in keys)
        if path is not None:
            return write_tensors(path, shapes, values, {"adam_steps": str(self.steps)})
        for _ in values:
            pass

    def load(self, path: Path) -> None:
        """Restore masters, moments and the count of steps, and set the working weights from the masters.

        If the file has moments, Adam must have some already: see `DeepSpeedEngine.load_state`.
        """
        with safe_open(path, "pt") as file:
            self._check({name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}, path)  # noqa: SIM118
            keys = (MASTER, *MOMENTS) if saved_steps(path) else (MASTER,)
            for each in self._trained:
                for key in keys:
                    self._set(each, key, file.get_tensor(f"{each.name}:{key}"))
        for state in self._adam.state.values():
            state["step"].fill_(saved_steps(path))

    def _check(self, found: Mapping[str, tuple[int, ...]], path: Path) -> None:
        expected = {f"{each.name}:{MASTER}": each.shape for each in self._trained}
        masters = {name: shape for name, shape in found.items() if name.endswith(f":{MASTER}")}
        if masters != expected:
            name = min(name for name, _ in expected.items() ^ masters.items())
            raise StorageError(
                f"the parameters that these settings train, such as {name} of shape {expected.get(name)}",
                f"{masters.get(name, 'none of that name')} in {path}",
                "resume with the model and the learner.lora that wrote the state",
            )

    def _get(self, each: Trained, key: str) -> Tensor:
        if each.master is not None:
            return each.master if key == MASTER else self._adam.state[each.master][key]
        if key == MASTER:
            return safe_get_full_fp32_param(each.parameter)
        return safe_get_full_optimizer_state(each.parameter, key)

    def _set(self, each: Trained, key: str, value: Tensor) -> None:
        parameter = each.parameter
        if each.master is not None:
            self._get(each, key).data.copy_(value)
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
            with _gathered(parameter):
                parameter.data.copy_(value)


def saved_steps(path: Path) -> int:
    with safe_open(path, "pt") as file:
        return int(file.metadata()["adam_steps"])


def write_tensors(
    path: Path, shapes: Mapping[str, tuple[int, ...]], values: Iterable[Tensor], metadata: dict[str, str]
) -> None:
    """Write a safetensors file of float32 tensors, one at a time: `save_file` needs all of them in memory at once.

    The format: the header's length in eight bytes, the header in JSON, and the tensors' bytes one after another.
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
    """This rank's share under ZeRO-3. DeepSpeed's own setter fails for tensors that do not divide over the ranks."""
    size = parameter.ds_tensor.numel()
    start = size * torch.distributed.get_rank()
    part = value.flatten()[start : start + size]
    return nn.functional.pad(part, (0, size - part.numel()))


def _gathered(parameter: Any) -> AbstractContextManager:
    """Under ZeRO-3, a parameter written inside the `with` is split over the ranks again at its end."""
    return deepspeed.zero.GatheredParameters([parameter], modifier_rank=0) if hasattr(parameter, "ds_id") else nullcontext()
