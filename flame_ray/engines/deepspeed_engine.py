"""DeepSpeed as the learner's engine: one process is one rank of a data-parallel group.

In: batches of token ids with reference log-probabilities. Out: log-probabilities, optimizer steps, merged weights and
folders. Knows no Ray, no reward and no file layout of a run. Every method is collective under ZeRO-3: all ranks call it,
in the same order and with batches of the same count.
"""

import math
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import deepspeed
import torch
from deepspeed.accelerator import get_accelerator
from torch import Tensor, nn

from flame_ray.config import LearnerConfig
from flame_ray.engines import policy
from flame_ray.engines.host_states import HostStates
from flame_ray.engines.merging import MergedWeights
from flame_ray.engines.network import interface_towards
from flame_ray.engines.zero_state import STATE, ZeroState, saved_steps
from flame_ray.errors import EngineError
from flame_ray.learner.data import PAD, Batch, Example, left_padded
from flame_ray.learner.losses.dpo import DpoSums, chosen_nll, dpo_loss, response_logps, token_logps

SAVED_CHUNK = 256 * 2**20  # bytes of parameters that are whole at a time while a model is written


class DeepSpeedEngine:
    def __init__(
        self,
        model_path: str,
        config: LearnerConfig,
        rank: int,
        world: int,
        init_method: str,
        seed: int,
        trust_remote_code: bool = False,
    ):
        self.config, self.rank, self.world = config, rank, world
        self._path, self._trust = model_path, trust_remote_code
        self.device = _join(rank, world, init_method)
        torch.manual_seed(seed)  # the same on every rank: adapters must start equal
        self.module: Any = policy.load_policy(model_path, config, trust_remote_code)
        trainable = [p for p in self.module.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trainable, lr=config.lr, weight_decay=config.weight_decay)
        self.engine, *_ = deepspeed.initialize(model=self.module, optimizer=optimizer, config=deepspeed_config(config))
        self.merged = MergedWeights(self.module, self._gather)
        self._state = ZeroState(self.engine, self.module)
        self.forget_moments()  # of an empty step, which DeepSpeed 0.19 takes at start in bfloat16 without ZeRO
        self._frozen = self._load_frozen()
        self.host_states = HostStates(self.engine, self.module, self._frozen, config)

    def logps(self, batch: Batch, reference: bool = False) -> Tensor:
        """Log-probability of each response, [2D] on the CPU. `reference`: under the model before any training."""
        with torch.no_grad(), self._weights(reference) as module:
            return response_logps(*self._forward(module, batch)).cpu()

    def token_logps(self, prompt_ids: list[int], response_ids: list[int]) -> list[float]:
        """Log-probability of each response token under the current weights: a canary for the samplers' copy of them."""
        with torch.no_grad(), self._weights(False) as module:
            logits, ids, mask = self._forward(module, left_padded([(prompt_ids, response_ids)]))
            return token_logps(logits, ids, mask)[0].tolist()

    def forget_moments(self) -> None:
        """Start AdamW anew: a round then depends on the weights it starts from, not on the rounds before it."""
        self._state.forget_moments()

    def step(self, examples: list[Example], normaliser: float, lr: float) -> DpoSums:
        """One optimizer step; the update is that of the loss's sum over all ranks' pairs divided by `normaliser`.

        The sums are those of DPO's loss; `learner.nll_weight` adds to what is minimised, not to what is reported.
        """
        for group in self.engine.optimizer.param_groups:
            group["lr"] = lr
        self.engine.train()
        sums = []
        for example in examples:
            loss, part = self._loss(example, normaliser)
            # DeepSpeed averages gradients over ranks: times world makes the sum that we want, and we do not let it
            # divide by the number of micro-batches either, since the normaliser has done that.
            self.engine.backward(loss * self.world, scale_wrt_gas=False)
            self.engine.step()
            sums.append(part.stack())
        total = torch.stack(sums).sum(0).cpu()
        if not math.isfinite(total[0]):
            raise EngineError(
                "a finite loss", f"{total[0].item()} at learning rate {lr}", "lower learner.lr, or set learner.dtype to float32"
            )
        return DpoSums(*total)

    def save_adapter(self, folder: Path) -> None:
        """Rank 0 writes; all ranks call. Without LoRA there is no adapter: use `save_merged`."""
        weights = policy.adapter_weights(self.module, self._gather)
        if self.rank == 0:
            policy.write_adapter(self.module, weights, folder)

    def save_merged(self, folder: Path, tokenizer_path: str) -> None:
        named = self.merged.named(SAVED_CHUNK)
        weights = {name: value.to("cpu", copy=True) for name, value in named if self.rank == 0}
        if self.rank == 0:
            policy.write_model(self.module, weights, folder, tokenizer_path, self._trust)

    def save_state(self, folder: Path) -> None:
        """Masters and Adam's moments as `state.safetensors`, for any number of ranks and ZeRO stage. Rank 0 writes."""
        self._state.save(folder / STATE if self.rank == 0 else None)

    def load_state(self, folder: Path) -> None:
        """Go on from what `save_state` wrote; every rank reads."""
        if saved_steps(folder / STATE):
            self._make_moments()
        else:
            self.forget_moments()
        self._state.load(folder / STATE)

    def _loss(self, example: Example, normaliser: float) -> tuple[Tensor, DpoSums]:
        policy_logps_2D = response_logps(*self._forward(self.engine, example.batch))
        batch, reference_2D = example.batch.to(self.device), example.reference_logps_2D.to(self.device)
        loss, sums = dpo_loss(policy_logps_2D, reference_2D, self.config.beta, batch.weights_D, normaliser)
        if self.config.nll_weight:
            lengths_2D = batch.response_mask.sum(-1)
            loss = loss + self.config.nll_weight * chosen_nll(policy_logps_2D, lengths_2D, batch.weights_D, normaliser)
        return loss, sums

    def sum_over_ranks(self, values: Tensor) -> Tensor:
        values = values.to(self.device)
        torch.distributed.all_reduce(values)
        return values.cpu()

    def _forward(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [2D, R + 1, V] with the response ids and mask [2D, R]: the head runs on no other column."""
        batch = batch.to(self.device)
        if self.device.type == "cpu":
            policy.suit_attention(self._frozen if module is self._frozen else self.module, batch.token_ids.shape[1])
        responses = batch.response_mask.shape[1]
        logits = module(
            input_ids=batch.token_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            use_cache=False,
            logits_to_keep=responses + 1,
        ).logits
        return logits, batch.response_ids, batch.response_mask

    @contextmanager
    def _weights(self, reference: bool) -> Iterator[nn.Module]:
        """The module to run, in evaluation mode: under the current weights, or under those before any training."""
        self.engine.eval()
        if not reference:
            yield self.engine
        elif self._frozen is not None:
            yield self._frozen
        else:
            with self.module.disable_adapter():
                yield self.engine

    def _make_moments(self) -> None:
        """Adam makes its moments at its first step, and ZeRO links them: so take one without a loss, at rate 0."""
        row = left_padded([((PAD,), (PAD,))] * 2)
        nothing = Example(replace(row, weights_D=torch.zeros(1)), torch.zeros(2))
        self.step([nothing] * self.engine.gradient_accumulation_steps(), normaliser=1.0, lr=0.0)

    def _load_frozen(self) -> nn.Module | None:
        """Full-parameter training against the initial model needs a second copy; LoRA only turns its adapter off."""
        if self.config.lora is not None or self.config.reference != "initial":
            return None
        model: Any = policy.load_model(self._path, self.config.dtype, self._trust)
        return model.to(self.device).requires_grad_(False).eval()

    def _gather(self, parameters: list[nn.Parameter]) -> AbstractContextManager:
        return deepspeed.zero.GatheredParameters(parameters) if self.config.zero_stage == 3 else nullcontext()


def deepspeed_config(config: LearnerConfig) -> dict:
    accumulation = config.batch_pairs // (config.workers * config.micro_batch_pairs)
    return {
        "train_micro_batch_size_per_gpu": config.micro_batch_pairs,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": config.grad_clip,
        "bf16": {"enabled": config.dtype == "bfloat16"},
        "zero_optimization": {"stage": config.zero_stage, **_offload(config)},
        "zero_allow_untested_optimizer": True,  # the plain torch AdamW that we hand over
        "zero_force_ds_cpu_optimizer": False,  # with offload too: DeepSpeed's own would be compiled at start
        "steps_per_print": 10**9,
    }


def _offload(config: LearnerConfig) -> dict:
    """What rests in the memory of the machine instead of the GPU's; parameters only ever together with their optimizer."""
    on_cpu = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    parts = {"none": (), "optimizer": ("offload_optimizer",), "parameters": ("offload_optimizer", "offload_param")}
    return {part: on_cpu for part in parts[config.offload]}


def _join(rank: int, world: int, init_method: str) -> torch.device:
    """Make the process group ourselves, then tell DeepSpeed: its own `device_id` hangs weight sync (open-instruct#1311)."""
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(0)  # Ray shows each rank its own GPU alone
    # On a CPU, DeepSpeed would compile shared-memory kernels at start: that takes a compiler and up to a minute, and they
    # then lie idle, because only its own launcher sets the variable (LOCAL_SIZE) that turns them on.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "nccl" if cuda else "gloo"
    if not torch.distributed.is_initialized():  # a later engine of this process meets in the same group
        if backend == "gloo" and world > 1 and (interface := interface_towards(init_method)):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        torch.distributed.init_process_group(backend, init_method=init_method, rank=rank, world_size=world)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK="0")
    deepspeed.init_distributed(backend, dist_init_required=False)
    return torch.device(get_accelerator().current_device_name())
