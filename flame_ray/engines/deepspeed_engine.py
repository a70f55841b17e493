"""DeepSpeed as a `TrainingEngine`: one process is one rank of a data-parallel group."""

import logging
import math
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import deepspeed
import psutil
import torch
from deepspeed.accelerator import get_accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from flame_ray.config import LearnerConfig
from flame_ray.engines import policy
from flame_ray.engines.base import Continuation
from flame_ray.engines.batch import PAD, Batch, Objective, left_padded
from flame_ray.engines.host_states import HostStates
from flame_ray.engines.logps import head_logps, token_logps
from flame_ray.engines.merging import Kept, MergedWeights, exact_sums
from flame_ray.engines.model_files import disk_errors
from flame_ray.engines.models import ModelRef
from flame_ray.engines.packing import Layout, check_layout, packed, sharing_prompts
from flame_ray.engines.zero_state import AVERAGE, STATE, ZeroState, saved_steps
from flame_ray.errors import EngineError

log = logging.getLogger(__name__)
SAVED_CHUNK = 256 * 2**20  # bytes of parameters that are gathered at a time while a model is written


class DeepSpeedEngine:
    """Methods are those of `TrainingEngine`. All ranks must give `step` the same number of batches."""

    def __init__(
        self,
        model: ModelRef,
        config: LearnerConfig,
        rank: int,
        init_method: str,
        seed: int,
    ):
        self.config, self.rank, self.world = config, rank, config.workers
        self._model = model
        self.device = _join(rank, self.world, init_method)
        torch.manual_seed(seed)  # the same on every rank: adapters must start equal
        self.module: Any = policy.load_policy(model, config)
        trainable = [p for p in self.module.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trainable, lr=config.lr, weight_decay=config.weight_decay, fused=True)
        self.engine, *_ = deepspeed.initialize(model=self.module, optimizer=optimizer, config=deepspeed_config(config))
        # ZeRO-3 gathers a weight where its own module runs.
        self._head = policy.pass_over_head(self.module) if config.zero_stage < 3 else None
        self.merged = MergedWeights(self.module, self._gather)
        self._state = ZeroState(self.engine, self.module)
        self._plain_norm: Tensor | None = None
        self.forget_moments()  # DeepSpeed 0.19 takes an empty step at start in bfloat16 without ZeRO
        self._frozen = self._load_frozen()
        self._average = self._state.masters() if config.reference == "average" else {}
        self.host_states = HostStates(self.engine, self.module, self._frozen, config)
        self.layout = self._layout()

    def logps(self, batch: Batch, reference: bool = False) -> Tensor:
        is_swapped = reference and self._average and self._frozen is None
        with torch.no_grad(), self._averaged() if is_swapped else self._weights(reference) as module:
            return self._logps(module, batch.to(self.device)).cpu()

    def token_logps(self, sequences: Sequence[Continuation], added: bool, initial: bool) -> list[list[float]]:
        rows = 2 * self.config.micro_batch_pairs
        summed = nullcontext() if added else exact_sums(self.module)
        found: list[list[float]] = []
        with torch.no_grad(), summed, self._weights(initial) as module:
            for start in range(0, len(sequences), rows):
                batch = left_padded(sequences[start : start + rows]).to(self.device)
                logps = self._token_logps(module, batch)
                found += [row[mask].tolist() for row, mask in zip(logps, batch.response_mask, strict=True)]
        return found

    def forget_moments(self) -> None:
        self._state.forget_moments()

    def step(self, batches: Sequence[Batch], objective: Objective, lr: float) -> dict[str, Tensor]:
        for group in self.engine.optimizer.param_groups:
            group["lr"] = lr
        self.engine.train()
        minimised = torch.zeros((), device=self.device)
        sums: dict[str, Tensor] = {}
        for batch in (each.to(self.device) for each in batches):
            loss, reported = objective(self._logps(self.engine, batch), batch)
            # DeepSpeed averages gradients over ranks: times `world` makes that a sum. It must not divide by the number of
            # micro-batches either (`scale_wrt_gas`): what remains is the sum that the objective asks for.
            self.engine.backward(loss * self.world, scale_wrt_gas=False)
            self._note_plain_norm()
            self.engine.step()
            minimised += loss.detach()
            sums = {name: value + sums.get(name, 0) for name, value in reported.items()}
        if not math.isfinite(minimised):
            raise EngineError(
                "a finite loss",
                f"{minimised.item():g} at learning rate {lr}",
                "lower learner.lr, or set learner.dtype and model.dtype to float32",
            )
        return sums

    @property
    def gradient_norm(self) -> float | None:
        norm = self.engine.get_global_grad_norm() if self.engine.zero_optimization() else self._plain_norm
        return None if norm is None else float(norm)

    def _note_plain_norm(self) -> None:
        """Without ZeRO, DeepSpeed forgets the norm of what it cuts. After the last backward pass each rank has the whole."""
        if not self.engine.zero_optimization() and self.engine.is_gradient_accumulation_boundary():
            found = [each.grad for each in self.module.parameters() if each.grad is not None]
            self._plain_norm = nn.utils.get_total_norm(found)

    def update_average(self, decay: float) -> None:
        now = self._state.masters()
        self._average = {name: decay * value + (1 - decay) * now[name] for name, value in self._average.items()}
        self._show_average()

    def save_adapter(self, folder: Path) -> None:
        weights = policy.adapter_weights(self.module, self._gather)
        if self.rank == 0:
            policy.write_adapter(self.module, weights, folder, self._model)

    def save_merged(self, folder: Path) -> None:
        named = self.merged.named(SAVED_CHUNK)
        weights = {name: value.to("cpu", copy=True) for name, value in named if self.rank == 0}
        if self.rank == 0:
            policy.write_model(self.module, weights, folder, self._model)
        del weights
        _check_whole(self.merged.kept(policy.read_model(folder) if self.rank == 0 else None, SAVED_CHUNK), folder)

    def save_state(self, folder: Path) -> None:
        self._state.save(folder / STATE if self.rank == 0 else None)
        if self._average and self.rank == 0:
            with disk_errors():
                save_file(self._average, folder / AVERAGE)

    def load_state(self, folder: Path) -> None:
        if saved_steps(folder / STATE):
            self._make_moments()
        else:
            self.forget_moments()
        self._state.load(folder / STATE)
        if self._average:
            self._average = load_file(folder / AVERAGE)
            self._show_average()

    def sum_over_ranks(self, values: Tensor) -> Tensor:
        values = values.to(self.device)
        torch.distributed.all_reduce(values)
        return values.cpu()

    def _layout(self) -> Layout:
        """Pairs of a prompt share its pass, if the model can keep their responses apart."""
        if self.config.packing:
            check_layout(packed, self.logps, self.config.dtype)
            return packed
        if self.config.loss_kind.trains_on == "answers" or policy.has_window(self.module):
            return left_padded
        try:
            check_layout(sharing_prompts, self.logps, self.config.dtype)
        except EngineError as error:
            log.info("responses to a prompt do not share its forward pass: %s", error.found)
            return left_padded
        return sharing_prompts

    def _logps(self, module: nn.Module, batch: Batch) -> Tensor:
        """[N], from one pass over the distinct sequences."""
        return batch.summed(self._token_logps(module, batch))

    def _token_logps(self, module: nn.Module, batch: Batch) -> Tensor:
        """[U, R], 0 where the response mask is false. The output layer runs on the last columns alone, or, where it does not
        learn, on those that predict a response's token."""
        if self.device.type == "cpu":
            policy.suit_attention(self._frozen if module is self._frozen else self.module, batch.token_ids.shape[1])
        responses = batch.response_mask.shape[1]
        found = module(
            input_ids=batch.token_ids,
            attention_mask=policy.additive(batch.attention_mask, getattr(torch, self.config.dtype)),
            position_ids=batch.position_ids,
            use_cache=False,
            logits_to_keep=responses + 1,
        ).logits
        ids, mask = batch.response_ids, batch.response_mask
        if self._head is None:
            return token_logps(found, ids, mask)
        logps = head_logps(found[:, :-1][mask], self._head, ids[mask])
        return torch.zeros(mask.shape, device=self.device).masked_scatter(mask, logps)

    @contextmanager
    def _weights(self, reference: bool) -> Iterator[nn.Module]:
        """The module to run, in evaluation mode: with the current weights, or with those before any training."""
        self.engine.eval()
        if not reference:
            yield self.engine
        elif self._frozen is not None:
            yield self._frozen
        else:
            with self.module.disable_adapter():
                yield self.engine

    @contextmanager
    def _averaged(self) -> Iterator[nn.Module]:
        """The module with the averaged weights; the current ones are put back bit by bit."""
        current = self._state.masters()
        self._state.set_masters(self._average)
        try:
            with self._weights(reference=False) as module:
                yield module
        finally:
            self._state.set_masters(current)

    def _make_moments(self) -> None:
        """Adam makes its moments at its first step, and ZeRO links them then: take a step of zero gradient at rate 0."""
        row = left_padded([Continuation((PAD,), (PAD,))])
        self.step([row] * self.engine.gradient_accumulation_steps(), lambda logps, batch: (0 * logps.sum(), {}), lr=0.0)

    def _load_frozen(self) -> nn.Module | None:
        """The reference's own copy of the model. An adapter needs none: it is turned off, or takes the average's place."""
        if self.config.lora is not None or self.config.reference == "round":
            return None
        model: Any = policy.load_model(self._model, self.config.dtype)
        return model.to(self.device).requires_grad_(False).eval()

    def _show_average(self) -> None:
        """Bring the averaged weights, which are float32, to the reference's copy."""
        if self._frozen is not None:
            for name, parameter in self._frozen.named_parameters():
                parameter.copy_(self._average[name])

    def _gather(self, parameters: list[nn.Parameter]) -> AbstractContextManager:
        return deepspeed.zero.GatheredParameters(parameters) if self.config.zero_stage == 3 else nullcontext()


def _check_whole(kept: Kept, folder: Path) -> None:
    """Refuse a saved model that is not the adapter's: rounding, or a name that went astray, may lose an update."""
    if not kept.is_whole:
        raise EngineError(
            "a saved model with the whole update of the adapter, and the base model's other weights",
            f"{kept.share:.1%} of the update (standard error {kept.error:.1%}), and {len(kept.unequal)} others that differ "
            f"({', '.join(kept.unequal[:3]) or 'none'}), in {folder}",
            "report this bug; until it is mended, set learner.dtype and model.dtype to float32",
        )
    log.info("%s: the saved model has %.1f %% of the adapter's update", folder, 100 * kept.share)


def deepspeed_config(config: LearnerConfig) -> dict:
    """In bfloat16, gradients accumulate over micro-batches and ranks in float32: a small one would vanish in a large sum.

    DeepSpeed 0.19 does so under ZeRO 2 and 3 alone: without ZeRO it refuses, and its optimizer for ZeRO 1 cannot leave a GPU.
    So 0 and 1 run as 2, which has the same numbers and needs less memory.
    """
    accumulation = config.batch_pairs // (config.workers * config.micro_batch_pairs)
    is_short = config.dtype == "bfloat16"
    return {
        "train_micro_batch_size_per_gpu": config.micro_batch_pairs,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": config.grad_clip,
        "bf16": {"enabled": is_short},
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        "zero_optimization": {"stage": max(2, config.zero_stage) if is_short else config.zero_stage, **_offload(config)},
        "zero_allow_untested_optimizer": True,  # torch's AdamW
        "zero_force_ds_cpu_optimizer": False,  # DeepSpeed's own optimizer for offload would be compiled at start
        "steps_per_print": 10**9,
    }


def _offload(config: LearnerConfig) -> dict:
    """DeepSpeed's settings for `learner.offload`; parameters are only offloaded together with their optimizer."""
    on_cpu = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    parts = {"none": (), "optimizer": ("offload_optimizer",), "parameters": ("offload_optimizer", "offload_param")}
    return {part: on_cpu for part in parts[config.offload]}


def _join(rank: int, world: int, init_method: str) -> torch.device:
    """Make the process group, then tell DeepSpeed: its own `device_id` makes weight transfer hang (open-instruct#1311)."""
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(0)  # Ray shows each rank its own GPU alone
    # On a CPU, DeepSpeed would compile shared-memory kernels at start, which takes a compiler and up to a minute. They would
    # never run: only DeepSpeed's own launcher sets the variable that turns them on (LOCAL_SIZE).
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "nccl" if cuda else "gloo"
    if not torch.distributed.is_initialized():  # a later engine in this process uses the same group
        if backend == "gloo" and world > 1 and (interface := interface_towards(init_method)):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        torch.distributed.init_process_group(backend, init_method=init_method, rank=rank, world_size=world)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK="0")
    deepspeed.init_distributed(backend, dist_init_required=False)
    return torch.device(get_accelerator().current_device_name())


def interface_towards(url: str) -> str | None:
    """The network interface that reaches `tcp://host:port`, such as "eth0"; None if no interface has the source address.

    By itself gloo takes the interface that the machine's host name resolves to. On many machines that is loopback, and ranks
    on two machines then never find each other.
    """
    target = urlsplit(url)
    family, _, _, _, address = socket.getaddrinfo(target.hostname, target.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(address)  # a datagram socket sends nothing here, but chooses a route
        source = probe.getsockname()[0]
    addresses = psutil.net_if_addrs()
    return next((name for name, known in addresses.items() if any(each.address == source for each in known)), None)
