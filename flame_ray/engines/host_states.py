"""Moves all that a learner rank has on its GPU to the machine's memory and back, so that others can use the GPU meanwhile.

Under ZeRO 1 and 2 DeepSpeed moves what is trained: masters, moments and working weights. Under ZeRO 3 it moves the working
weights alone, so masters and moments must be in the machine's memory already (`learner.offload`). It does not move frozen
parameters; this module does. Not yet tried on a GPU.
"""

from collections.abc import Iterator
from typing import Any

import torch
from deepspeed.runtime.zero.offload_config import OffloadStateTypeEnum as State
from torch import Tensor, nn

from flame_ray.config import LearnerConfig
from flame_ray.errors import EngineError


class HostStates:
    """`reference`: the rank's second, frozen module, if there is one."""

    def __init__(self, engine: Any, module: nn.Module, reference: nn.Module | None, config: LearnerConfig):
        self._engine, self._config = engine, config
        self._modules = [module] if reference is None else [module, reference]
        self._device = next(module.parameters()).device
        self._is_offloaded = False

    def offload(self) -> None:
        """Raises EngineError under ZeRO 0, whose states DeepSpeed cannot move."""
        if self._config.zero_stage == 0:
            raise EngineError("learner.zero_stage 1 or more, to free a GPU", "0", "set learner.zero_stage to 1, 2 or 3")
        if self._is_offloaded:
            return
        if self._moved():
            self._engine.offload_states(include=self._moved(), pin_memory=True)
        self._move_frozen(torch.device("cpu"))
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self._is_offloaded = True

    def reload(self) -> None:
        """Does nothing if everything is on the GPU."""
        if not self._is_offloaded:
            return
        if self._moved():
            self._engine.reload_states()
        self._move_frozen(self._device)
        self._link_moments()
        self._is_offloaded = False

    def _moved(self) -> list[State]:
        """The states that DeepSpeed moves. Under ZeRO 3 it takes frozen weights for trained ones, so with LoRA none."""
        if self._config.zero_stage < 3:
            return [State.optim_states, State.hp_params, State.lp_params, State.lp_grads]
        if self._config.offload == "parameters":
            return []
        return [State.contiguous_grad_buffer] + ([State.lp_params] if self._config.lora is None else [])

    def _move_frozen(self, device: torch.device) -> None:
        for tensor in self._frozen():
            tensor.data = tensor.data.to(device)

    def _frozen(self) -> Iterator[Tensor]:
        """Frozen parameters that are on the GPU; under ZeRO 3 this rank's share of them."""
        if self._config.offload == "parameters":
            return
        for module in self._modules:
            for value in module.parameters():
                if not value.requires_grad:
                    yield getattr(value, "ds_tensor", value)

    def _link_moments(self) -> None:
        """DeepSpeed 0.19 links the masters again, but not their moments, which `save_state` finds by the same links."""
        optimizer = self._engine.optimizer
        if self._config.zero_stage < 3 and optimizer._hp_optimizer_states_linked:
            optimizer._hp_optimizer_states_linked = False
            optimizer._lazy_init_hp_params_optimizer_state()
