"""The learner's half of vLLM's own weight transfer between GPUs: NCCL from one GPU to others, CUDA IPC inside of one.

In: a rank's merged weights, and one rollout worker after another. Out: the worker's engine has been given the weights; the
bytes pass through no host. Every rank gathers, rank 0 alone sends, a bounded part at a time. One worker is one group of two
sides: another one that joins or dies changes no other's. Untried on a GPU: what drives vLLM here is tested with doubles.
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

CALL_S = 600.0  # of one step inside a worker; the caller bounds the whole transfer


class MergedSource(WeightSource):
    """Merged weights as vLLM's trainer side asks for them; gathered anew each time that it iterates."""

    def __init__(self, merged: MergedWeights, limit: int):
        self._merged, self._limit = merged, limit

    def metadata(self) -> list[ParamMeta]:
        return [ParamMeta(tensor.name, tensor.dtype, tensor.shape) for tensor in self._merged.layout()]

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        return self._merged.named(self._limit)


class WorkerClient:
    """vLLM's `VLLMWeightSyncClient`: the four calls that lead one rollout worker through an update."""

    def __init__(self, worker: Any):
        self._worker = worker

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        self._call("init_weight_transfer_engine", init_info=init_info)

    def start_weight_update(self) -> None:
        self._call("start_weight_update")

    def update_weights(self, update_info: Any) -> None:
        self._call("update_weights", update_info=update_info)

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """The version is stamped by `load_weights`, as with every other way."""
        self._call("finish_weight_update")

    def _call(self, step: str, **arguments: Any) -> None:
        ray.get(self._worker.transfer.remote(step, arguments), timeout=CALL_S)


@dataclass
class Channel:
    """A worker's trainer side, and whether the present push has used it."""

    engine: TrainerWeightTransferEngine
    used: bool = True


class DeviceSender:
    """One rank's channels, a worker each: opened when the worker is first sent to, closed after a push that left it out.

    `open` makes a channel's trainer side; vLLM's factory, but for tests.
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
        """Merged weights into one worker. Called on all ranks, with the same worker."""
        channel = self._channels.get(worker)
        if channel is None:
            engine = self._open(self._init_info(rendezvous), client=WorkerClient(worker), source=self._source)
            channel = self._channels[worker] = Channel(engine)
        channel.used = True
        channel.engine.send_weights()

    def end_push(self) -> None:
        """Close what no longer leads to a worker that serves."""
        for worker in [worker for worker, channel in self._channels.items() if not channel.used]:
            self._channels.pop(worker).engine.shutdown()
        for channel in self._channels.values():
            channel.used = False

    def _init_info(self, rendezvous: Rendezvous) -> TrainerInitInfo:
        """Packed into buffers of the chunk's size; vLLM's IPC refuses a tensor that is larger than its buffer."""
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
