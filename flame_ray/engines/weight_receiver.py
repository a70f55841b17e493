"""Receivers for vLLM's weight-transfer API: one for the Ray object store, on any machine, and vLLM's own for NCCL and IPC.

vLLM's own receivers need GPUs, and are not yet tried on one. The update for the object store is
`update_weights({"chunk": reference})`, with a reference to a `WeightArrays`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from safetensors import safe_open
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory
from vllm.distributed.weight_transfer.ipc_engine import IPCWeightTransferEngine
from vllm.distributed.weight_transfer.nccl_engine import NCCLWeightTransferEngine
from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload

from flame_ray.engines.weight_chunks import to_tensors


@dataclass
class NoInit(WeightTransferInitInfo):
    """The object store needs no rendezvous."""


@dataclass(frozen=True, slots=True)
class AdaptedModel:
    """The folders of a model and of an adapter that is merged into it, as a learner in `dtype` merges it."""

    model: str
    adapter: str
    dtype: str


@dataclass
class ChunkUpdate(WeightTransferUpdateInfo):
    """`chunk` is a `WeightArrays`, a Ray reference to one, the path of a model's folder, or an `AdaptedModel`."""

    chunk: Any


class ObjectStoreReceiver(WeightTransferEngine[NoInit, ChunkUpdate]):
    """Loads chunks of weights, with the names of the hub, through vLLM's layer-wise reload."""

    init_info_cls = NoInit
    update_info_cls = ChunkUpdate

    def init_transfer_engine(self, init_info: NoInit) -> None:
        """Nothing to set up."""

    def start_weight_update(self) -> None:
        initialize_layerwise_reload(self.model)

    def update_weights(self, update_info: dict[str, Any]) -> None:
        """Leave out the base class's `torch.accelerator.synchronize()`, which fails without an accelerator."""
        self.receive_weights(self.parse_update_info(update_info))

    def receive_weights(self, update_info: ChunkUpdate) -> None:
        _load(self.model, update_info.chunk)

    def finish_weight_update(self) -> None:
        finalize_layerwise_reload(self.model, self.model_config)
        _refresh_tied_head(self.model)

    def shutdown(self) -> None:
        """Nothing is held."""


class AcceptsChunks:
    """Also accepts chunks, because a worker that joins later loads the round's folder."""

    def update_weights(self, update_info: dict[str, Any]) -> None:
        if "chunk" in update_info:
            _load(self.model, update_info["chunk"])  # type: ignore[attr-defined]
        else:
            super().update_weights(update_info)  # type: ignore[misc]


class NcclReceiver(AcceptsChunks, NCCLWeightTransferEngine):
    """vLLM's NCCL receiver. Another handshake replaces the group: the learner sends to other workers from then on."""

    def init_transfer_engine(self, init_info: Any) -> None:
        self.shutdown()
        super().init_transfer_engine(init_info)


class IpcReceiver(AcceptsChunks, IPCWeightTransferEngine):
    """vLLM's CUDA IPC receiver."""


RECEIVERS: dict[str, type[WeightTransferEngine]] = {
    "object_store": ObjectStoreReceiver,
    "nccl_or_chunks": NcclReceiver,
    "ipc_or_chunks": IpcReceiver,
}
for name, engine in RECEIVERS.items():
    WeightTransferEngineFactory.register_engine(name, engine)


class WorkerExtension:
    """vLLM's `worker_extension_cls`. Importing its module registers the receivers in each of an engine's processes."""


def receiver(backend: str) -> str:
    """The name of the receiver for a `weights.backend`."""
    return f"{backend}_or_chunks" if backend in ("nccl", "ipc") else "object_store"


def fetch(chunk: Any) -> Any:
    """The object behind a reference. An engine's other processes cannot read references, because Ray does not know them."""
    return ray.get(chunk, timeout=300) if isinstance(chunk, ray.ObjectRef) else chunk


def _load(model: Any, chunk: Any) -> None:
    model.load_weights(_named(fetch(chunk)))


def _named(chunk: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(chunk, AdaptedModel):
        from flame_ray.engines.merging import merged_tensors  # it imports PEFT, which few samplers need

        return merged_tensors(_read(Path(chunk.model)), Path(chunk.adapter), getattr(torch, chunk.dtype))
    return _read(Path(chunk)) if isinstance(chunk, str) else to_tensors(chunk)


def _read(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield one tensor at a time, so that memory does not grow with the model."""
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (a file, not a dictionary)
                yield name, tensors.get_tensor(name)


def _refresh_tied_head(model: Any) -> None:
    """Pack a tied `lm_head` again from the new embedding.

    On a CPU, vLLM 0.32 keeps the head's packed copy of the old weights through a layer-wise reload. Outputs then change, but
    differ from those of an engine that is started from the same checkpoint.
    """
    head, inner = getattr(model, "lm_head", None), getattr(model, "model", None)
    embedding = getattr(inner, "embed_tokens", None)
    if not getattr(model.config, "tie_word_embeddings", False) or head is None or embedding is None:
        return
    if head is not embedding:
        head.weight = embedding.weight
    head.quant_method.process_weights_after_loading(head)
