"""One rank of the learner: an engine with its training, and what it hands out.

In: the round's pairs, the same on every rank. Out: a `TrainingReport`, weight arrays, folders. A plain class; `group.py`
makes a Ray actor of it. Every method but `address` is collective: the group calls it on all ranks. A round is cut
into small units of work, so that no call is long and the driver can show how far it is.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from flame_ray.config import LearnerConfig
from flame_ray.engines.base import Rendezvous
from flame_ray.engines.weight_chunks import WeightArrays, to_arrays
from flame_ray.errors import EngineError
from flame_ray.learner.training import Training
from flame_ray.storage.local_copy import Folder, local_copy, write_folder
from flame_ray.types import Pair, TrainingReport

if TYPE_CHECKING:
    from flame_ray.engines.deepspeed_engine import DeepSpeedEngine
    from flame_ray.engines.device_transfer import DeviceSender


class LearnerActor:
    def __init__(
        self, model_path: str, config: LearnerConfig, rank: int, world: int, seed: int, trust_remote_code: bool = False
    ):
        self._model_path, self._config, self._rank, self._world, self._seed = model_path, config, rank, world, seed
        self._trust = trust_remote_code
        self._connected: tuple[DeepSpeedEngine, Training] | None = None
        self._sender: DeviceSender | None = None
        self._chunks: Iterator[list[tuple[str, torch.Tensor]]] = iter(())

    def address(self) -> str:
        """This node's address with a port that is free now; rank 0's becomes the meeting point of all ranks."""
        host = _node_ip()
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def connect(self, init_method: str, ranks_here: int = 1, resume_from: Folder | None = None) -> None:
        """Join the other ranks and load the model, then the state that `save_state` wrote in `resume_from`.

        `ranks_here`: how many ranks share this machine's cores. Raises StorageError if the state is damaged.
        """
        torch.set_num_threads(self._config.threads or max(1, len(os.sched_getaffinity(0)) // ranks_here))
        from flame_ray.engines.deepspeed_engine import DeepSpeedEngine  # here: the driver imports this module too

        place = self._rank, self._world
        with local_copy(resume_from) as state:
            engine = DeepSpeedEngine(self._model_path, self._config, *place, init_method, self._seed, self._trust)
            self._connected = engine, Training(engine, self._config, *place, self._seed, state)

    def begin(self, pairs_D: Sequence[Pair], round: int) -> range:
        return self.training.begin(pairs_D, round)

    def advance(self) -> int:
        return self.training.advance()

    def finish(self) -> TrainingReport:
        return self.training.finish()

    def begin_export(self, chunk_bytes: int) -> int:
        """Make ready to hand out the merged weights; returns how many calls of `export_chunk` it takes."""
        self._chunks = self.engine.merged.chunks(chunk_bytes)
        return len(self.engine.merged.cuts(chunk_bytes))

    def export_chunk(self) -> WeightArrays | None:
        """Rank 0: the next of the merged weights. The other ranks only take part in gathering them."""
        chunk = next(self._chunks)
        return None if self._rank else to_arrays(chunk, self._config.dtype)

    def send(self, worker: Any, backend: str, rendezvous: Rendezvous, chunk_bytes: int) -> None:
        """The merged weights from GPU to GPU into one rollout worker: all ranks gather, rank 0 sends."""
        if self._sender is None:
            from flame_ray.engines.device_transfer import DeviceSender  # here: it imports vLLM

            self._sender = DeviceSender(backend, self._rank, self.engine.merged, chunk_bytes)
        self._sender.send(worker, rendezvous)

    def end_push(self) -> None:
        """Every worker that serves has the weights: let go of the others' channels."""
        if self._sender is not None:
            self._sender.end_push()

    def offload(self) -> None:
        """Leave the GPU to others: everything that lies on it moves to the machine's memory."""
        self.engine.host_states.offload()

    def reload(self) -> None:
        """Back onto the GPU; before any other call."""
        self.engine.host_states.reload()

    def canary(self, prompt_ids: Sequence[int], response_ids: Sequence[int]) -> list[float]:
        return self.engine.token_logps(list(prompt_ids), list(response_ids))

    def save(self, folder: Folder, merged: bool) -> None:
        """Rank 0 writes an adapter, or with `merged` (and always without LoRA) a whole model, as one atomic folder."""
        if self._rank:
            return self._write(Path(), merged)
        with write_folder(folder) as aside:
            self._write(aside, merged)

    def save_state(self, folder: Folder) -> None:
        """Rank 0 writes, as one atomic folder, what a learner of any rank count and ZeRO stage can go on from."""
        self.training.save(folder)

    @property
    def engine(self) -> "DeepSpeedEngine":
        return self._both()[0]

    @property
    def training(self) -> Training:
        return self._both()[1]

    def _both(self) -> "tuple[DeepSpeedEngine, Training]":
        if self._connected is None:
            raise EngineError("a learner that is connected", "none", "call connect first")
        return self._connected

    def _write(self, folder: Path, merged: bool) -> None:
        if merged or self._config.lora is None:
            self.engine.save_merged(folder, self._model_path)
        else:
            self.engine.save_adapter(folder)


def _node_ip() -> str:
    import ray.util

    return ray.util.get_node_ip_address()
