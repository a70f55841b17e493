"""One rank of the learner: an engine, the training that it does, and the weights that it gives away.

`group.py` makes Ray actors of this class, and calls every method except `address` on all ranks. The driver imports this module
too, and needs no torch for it: what does is imported where a rank first uses it.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flame_ray.cluster.node import naming_node
from flame_ray.config import LearnerConfig
from flame_ray.engines.base import Continuation, Rendezvous
from flame_ray.engines.models import ModelRef, resolve
from flame_ray.errors import EngineError
from flame_ray.learner.data import Example
from flame_ray.learner.train_state import Progress
from flame_ray.seeds import derived_seed
from flame_ray.storage.local_copy import Folder, local_copy, write_folder
from flame_ray.types import TrainingReport

if TYPE_CHECKING:
    import torch

    from flame_ray.engines.batch import TrainingEngine
    from flame_ray.engines.device_transfer import DeviceSender
    from flame_ray.engines.weight_chunks import WeightArrays
    from flame_ray.learner.training import Training


class LearnerActor:
    def __init__(self, model: ModelRef, config: LearnerConfig, rank: int, seed: int):
        self._model, self._config, self._rank, self._seed = model, config, rank, seed
        self._connected: tuple[TrainingEngine, Training] | None = None
        self._sender: DeviceSender | None = None
        self._chunks: Iterator[list[tuple[str, torch.Tensor]]] = iter(())

    def address(self) -> str:
        """This node's address with a port that is free now; all ranks connect to rank 0's."""
        host = _node_ip()
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def find_model(self) -> None:
        """Make or download the model on this node, before other ranks wait for this one. Raises ModelError."""
        with naming_node():
            resolve(self._model)

    def connect(self, init_method: str, ranks_here: int = 1, resume_from: Folder | None = None) -> None:
        """Join the other ranks, load the model, and load the state that `save_state` wrote to `resume_from`.

        `ranks_here`: how many ranks share this machine's cores. Raises StorageError if the state is damaged.
        """
        import torch

        from flame_ray.engines.deepspeed_engine import DeepSpeedEngine
        from flame_ray.learner.losses import make_loss
        from flame_ray.learner.training import Training

        torch.set_num_threads(self._config.own_threads or max(1, len(os.sched_getaffinity(0)) // ranks_here))
        with local_copy(resume_from) as state:
            start = derived_seed(self._seed, "adapter")
            engine = DeepSpeedEngine(self._model, self._config, self._rank, init_method, start)
            self._connected = engine, Training(engine, make_loss(self._config), self._config, self._seed, state)

    def begin(self, examples_D: Sequence[Example], round: int) -> Progress:
        return self.training.begin(examples_D, round)

    def advance(self) -> Progress:
        return self.training.advance()

    def finish(self) -> TrainingReport:
        return self.training.finish()

    def begin_export(self, chunk_bytes: int) -> int:
        """Prepare to export the merged weights. Returns how many calls of `export_chunk` that takes."""
        self._chunks = self.engine.merged.chunks(chunk_bytes)
        return len(self.engine.merged.chunk_ranges(chunk_bytes))

    def export_chunk(self) -> "WeightArrays | None":
        """The next part of the merged weights, from rank 0. The other ranks only take part in gathering it."""
        from flame_ray.engines.weight_chunks import to_arrays

        chunk = next(self._chunks)
        return None if self._rank else to_arrays(chunk, self._config.dtype)

    def send(self, workers: Sequence[Any], backend: str, rendezvous: Rendezvous, chunk_bytes: int) -> None:
        """Send the merged weights from GPU to GPU to these rollout workers: all ranks gather, rank 0 sends."""
        if self._sender is None:
            from flame_ray.engines.device_transfer import DeviceSender  # here, because it imports vLLM

            self._sender = DeviceSender(backend, self._rank, self.engine.merged, chunk_bytes)
        self._sender.send(workers, rendezvous)

    def offload(self) -> None:
        """Free the GPU: everything on it moves to the machine's memory."""
        self.engine.host_states.offload()

    def reload(self) -> None:
        """Move everything back to the GPU; must come before any other call."""
        self.engine.host_states.reload()

    def canary(self, sequences: Sequence[Continuation], added: bool, initial: bool) -> list[list[float]]:
        return self.engine.token_logps(sequences, added, initial)

    def save(self, folder: Folder, merged: bool) -> None:
        """Rank 0 writes the adapter, or with `merged` or without LoRA the whole model, as one atomic folder."""
        if self._rank:
            return self._write(Path(), merged)
        with write_folder(folder) as aside:
            self._write(aside, merged)

    def save_state(self, folder: Folder) -> None:
        """Rank 0 writes one atomic folder, which a learner with any number of ranks and ZeRO stage can resume from."""
        self.training.save(folder)

    def load_state(self, folder: Folder) -> None:
        """Go on from what `save_state` wrote. Raises StorageError if it is damaged."""
        with local_copy(folder) as state:
            self.training.load(state)

    @property
    def engine(self) -> "TrainingEngine":
        return self._both()[0]

    @property
    def training(self) -> "Training":
        return self._both()[1]

    def _both(self) -> "tuple[TrainingEngine, Training]":
        if self._connected is None:
            raise EngineError("a connected learner", "none", "call connect first")
        return self._connected

    def _write(self, folder: Path, merged: bool) -> None:
        if merged or self._config.lora is None:
            self.engine.save_merged(folder)
        else:
            self.engine.save_adapter(folder)


def _node_ip() -> str:
    import ray.util

    return ray.util.get_node_ip_address()
