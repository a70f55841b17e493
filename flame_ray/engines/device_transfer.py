"""The learner's side of vLLM's weight transfer between GPUs: NCCL between different GPUs, CUDA IPC within one.

Every rank gathers the weights, once for all rollout workers, and rank 0 sends them, a bounded part at a time. Not yet tried on
a GPU: tests use doubles of vLLM.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
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


class WorkersClient:
    """vLLM's `VLLMWeightSyncClient`: the four calls of an update, each to all rollout workers at once."""

    def __init__(self, workers: Sequence[Any], rendezvous: Rendezvous):
        self._workers, self._ranks = workers, rendezvous.worker_ranks

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        """vLLM's trainer side knows one engine, whose ranks follow the sender's. Those of each further one come after them."""
        before = list(accumulate(self._ranks, initial=0))[:-1]
        infos = [_moved(init_info, ranks) for ranks in before]
        self._wait(
            worker.transfer.remote("init_weight_transfer_engine", {"init_info": info})
            for worker, info in zip(self._workers, infos, strict=True)
        )

    def start_weight_update(self) -> None:
        self._all("start_weight_update")

    def update_weights(self, update_info: Any) -> None:
        self._all("update_weights", update_info=update_info)

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """`load_weights` sets the version, as for every other backend."""
        self._all("finish_weight_update")

    def _all(self, step: str, **arguments: Any) -> None:
        self._wait(worker.transfer.remote(step, arguments) for worker in self._workers)

    @staticmethod
    def _wait(calls: Iterable[Any]) -> None:
        ray.get(list(calls), timeout=CALL_TIMEOUT_S)


def _moved(init_info: dict[str, Any], ranks: int) -> dict[str, Any]:
    """IPC has no ranks."""
    return init_info | {"rank_offset": init_info["rank_offset"] + ranks} if "rank_offset" in init_info else init_info


class DeviceSender:
    """One rank's side of the channel to all rollout workers. The channel is opened again when the workers are others.

    `open` makes its trainer side: vLLM's factory, or a double in tests.
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
        self._workers: frozenset[Any] = frozenset()
        self._channel: TrainerWeightTransferEngine | None = None

    def send(self, workers: Sequence[Any], rendezvous: Rendezvous) -> None:
        """Gather the merged weights once and send them to these workers. All ranks must call it, with the same workers."""
        if self._channel is None or self._workers != frozenset(workers):
            if self._channel is not None:
                self._channel.shutdown()
            client = WorkersClient(workers, rendezvous)
            self._channel = self._open(self._init_info(rendezvous), client=client, source=self._source)
            self._workers = frozenset(workers)
        self._channel.send_weights()

    def _init_info(self, rendezvous: Rendezvous) -> TrainerInitInfo:
        """Buffers have the size of a chunk or of the largest tensor: vLLM's IPC refuses a tensor larger than its buffer."""
        size = max(self._limit, self._largest)
        if self._backend == "ipc":
            return IPCTrainerInitInfo(rank=self._rank, packed=True, packed_buffer_size_bytes=size)
        return NCCLTrainerInitInfo(
            master_address=rendezvous.host,
            master_port=rendezvous.port,
            world_size=1 + sum(rendezvous.worker_ranks),
            packed_buffer_size_bytes=size,
            rank=self._rank,
        )
