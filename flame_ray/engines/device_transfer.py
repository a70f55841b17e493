"""The learner's side of vLLM's weight transfer between GPUs: NCCL between different GPUs, CUDA IPC within one.

Every rank gathers the weights, and rank 0 sends them, a bounded part at a time. Each rollout worker has its own channel, so
that a worker that joins or dies does not affect the others. Not yet tried on a GPU: tests use doubles of vLLM.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
import torch
from vllm.distributed.weight_transfer.base import ParamMeta, TrainerInitInfo, TrainerWeightTransferEngine, WeightSource
from vllm.distributed.weight_transfer.factory import WeightTransferTrainerFactory
from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo
from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo

from flame_ray.engines.base import Rendezvous
from flame_ray.engines.merging import MergedWeights

CALL_TIMEOUT_S = 600.0  # for one step in a worker; the caller bounds the whole transfer


class MergedSource(WeightSource):
    """The merged weights in the form that vLLM's trainer side wants. Each iteration gathers them again."""

    def __init__(self, merged: MergedWeights, limit: int):
        self._merged, self._limit = merged, limit

    def metadata(self) -> list[ParamMeta]:
        return [ParamMeta(tensor.name, tensor.dtype, tensor.shape) for tensor in self._merged.layout()]

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        return self._merged.named(self._limit)


class WorkerClient:
    """vLLM's `VLLMWeightSyncClient`: the four calls of an update of one rollout worker."""

    def __init__(self, worker: Any):
        self._worker = worker

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        self._call("init_weight_transfer_engine", init_info=init_info)

    def start_weight_update(self) -> None:
        self._call("start_weight_update")

    def update_weights(self, update_info: Any) -> None:
        self._call("update_weights", update_info=update_info)

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """`load_weights` sets the version, as for every other backend."""
        self._call("finish_weight_update")

    def _call(self, step: str, **arguments: Any) -> None:
        ray.get(self._worker.transfer.remote(step, arguments), timeout=CALL_TIMEOUT_S)


@dataclass
class Channel:
    """The trainer side for one worker, and whether the current push has used it."""

    engine: TrainerWeightTransferEngine
    used: bool = True


class DeviceSender:
    """One rank's channels, one for each worker. A channel is closed after a push that did not use it.

    `open` makes a channel's trainer side: vLLM's factory, or a double in tests.
    """

    def __init__(
        self,
        backend: str,
        rank: int,
        merged: MergedWeights,
        limit: int,
        open: Callable[..., TrainerWeightTransferEngine] = WeightTransferTrainerFactory.trainer_init,
    ):
        self._backend, self._rank, self._open, self._limit = backend, rank, open, limit
        self._largest = max(tensor.bytes for tensor in merged.layout())
        self._source = MergedSource(merged, limit)
        self._channels: dict[Any, Channel] = {}

    def send(self, worker: Any, rendezvous: Rendezvous) -> None:
        """Send the merged weights to one worker. All ranks must call it, with the same worker."""
        channel = self._channels.get(worker)
        if channel is None:
            engine = self._open(self._init_info(rendezvous), client=WorkerClient(worker), source=self._source)
            channel = self._channels[worker] = Channel(engine)
        channel.used = True
        channel.engine.send_weights()

    def end_push(self) -> None:
        """Close the channels to workers that are gone."""
        for worker in [worker for worker, channel in self._channels.items() if not channel.used]:
            self._channels.pop(worker).engine.shutdown()
        for channel in self._channels.values():
            channel.used = False

    def _init_info(self, rendezvous: Rendezvous) -> TrainerInitInfo:
        """Buffers have the size of a chunk or of the largest tensor: vLLM's IPC refuses a tensor larger than its buffer."""
        size = max(self._limit, self._largest)
        if self._backend == "ipc":
            return IPCTrainerInitInfo(rank=self._rank, packed=True, packed_buffer_size_bytes=size)
        return NCCLTrainerInitInfo(
            master_address=rendezvous.host,
            master_port=rendezvous.port,
            world_size=1 + rendezvous.worker_ranks,
            packed_buffer_size_bytes=size,
            rank=self._rank,
        )
