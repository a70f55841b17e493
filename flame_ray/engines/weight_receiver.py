"""Backends of vLLM's weight-transfer API: one that reads weights from the Ray object store on any machine, and vLLM's own.

In: `update_weights({"chunk": ref})`, where `ref` leads to a `WeightArrays`; or what the learner's NCCL or IPC sends. Out:
the model holds those weights. Built-in backends of vLLM 0.32 all need a GPU, and are untried on one by us. Knows nothing of
who sent the weights.
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


@dataclass
class ChunkUpdate(WeightTransferUpdateInfo):
    """A `WeightArrays`, a Ray reference to one, or the path of a model's folder."""

    chunk: Any


class ObjectStoreReceiver(WeightTransferEngine[NoInit, ChunkUpdate]):
    """Loads chunks of hub-named weights through vLLM's layer-wise reload."""

    init_info_cls = NoInit
    update_info_cls = ChunkUpdate

    def init_transfer_engine(self, init_info: NoInit) -> None:
        """Nothing to set up."""

    def start_weight_update(self) -> None:
        initialize_layerwise_reload(self.model)

    def update_weights(self, update_info: dict[str, Any]) -> None:
        """As the base class, without its `torch.accelerator.synchronize()`, which fails where there is no accelerator."""
        self.receive_weights(self.parse_update_info(update_info))

    def receive_weights(self, update_info: ChunkUpdate) -> None:
        _load(self.model, update_info.chunk)

    def finish_weight_update(self) -> None:
        finalize_layerwise_reload(self.model, self.model_config)
        _refresh_tied_head(self.model)

    def shutdown(self) -> None:
        """Nothing is held."""


class OrChunks:
    """Beside what the learner sends, chunks too: a worker that joins later loads the round's folder."""

    def update_weights(self, update_info: dict[str, Any]) -> None:
        if "chunk" in update_info:
            _load(self.model, update_info["chunk"])  # type: ignore[attr-defined]
        else:
            super().update_weights(update_info)  # type: ignore[misc]


class NcclReceiver(OrChunks, NCCLWeightTransferEngine):
    """vLLM's NCCL receiver."""


class IpcReceiver(OrChunks, IPCWeightTransferEngine):
    """vLLM's CUDA IPC receiver."""


RECEIVERS: dict[str, type[WeightTransferEngine]] = {
    "object_store": ObjectStoreReceiver,
    "nccl_or_chunks": NcclReceiver,
    "ipc_or_chunks": IpcReceiver,
}
for name, engine in RECEIVERS.items():
    WeightTransferEngineFactory.register_engine(name, engine)


class Receives:
    """vLLM's `worker_extension_cls`: the import of its module makes the receivers known to an engine's own processes too."""


def receiver(backend: str) -> str:
    """The name of the receiver that serves a `weights.backend`."""
    return f"{backend}_or_chunks" if backend in ("nccl", "ipc") else "object_store"


def fetched(chunk: Any) -> Any:
    """For an engine with processes of its own, which Ray does not know: what a reference leads to."""
    return ray.get(chunk, timeout=300) if isinstance(chunk, ray.ObjectRef) else chunk


def _load(model: Any, chunk: Any) -> None:
    chunk = fetched(chunk)
    model.load_weights(_read(Path(chunk)) if isinstance(chunk, str) else to_tensors(chunk))


def _read(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """One tensor at a time: memory stays flat whatever the model's size."""
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (a file, not a dictionary)
                yield name, tensors.get_tensor(name)


def _refresh_tied_head(model: Any) -> None:
    """Pack a tied `lm_head` again from the new embedding.

    vLLM 0.32 on CPU keeps the head's prepacked product on the old weights through a layer-wise reload: outputs
    change, and yet differ from those of an engine started from the same checkpoint.
    """
    head, inner = getattr(model, "lm_head", None), getattr(model, "model", None)
    embedding = getattr(inner, "embed_tokens", None)
    if not getattr(model.config, "tie_word_embeddings", False) or head is None or embedding is None:
        return
    if head is not embedding:
        head.weight = embedding.weight
    head.quant_method.process_weights_after_loading(head)
