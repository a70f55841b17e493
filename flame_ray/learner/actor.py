"""One rank of the learner: an engine with its training, and what it hands out.

In: the round's pairs, the same on every rank. Out: a `TrainingReport`, weight arrays, folders. A plain class; `group.py`
makes a Ray actor of it. Every method but `address` is collective: the group calls it on all ranks. A round is cut
into small units of work, so that no call is long and the driver can show how far it is.
"""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from flame_ray.config import LearnerConfig
from flame_ray.errors import EngineError
from flame_ray.learner.arrays import WeightArrays, to_arrays
from flame_ray.learner.checkpoint import whole_folder
from flame_ray.learner.training import Training
from flame_ray.types import Pair, TrainingReport

if TYPE_CHECKING:
    from flame_ray.engines.deepspeed_engine import DeepSpeedEngine


class LearnerActor:
    def __init__(
        self, model_path: str, config: LearnerConfig, rank: int, world: int, seed: int, trust_remote_code: bool = False
    ):
        self._model_path, self._config, self._rank, self._world, self._seed = model_path, config, rank, world, seed
        self._trust = trust_remote_code
        self._connected: tuple[DeepSpeedEngine, Training] | None = None

    def address(self) -> str:
        """This node's address with a port that is free now; rank 0's becomes the meeting point of all ranks."""
        host = _node_ip()
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def connect(self, init_method: str, ranks_here: int = 1, resume_from: Path | None = None) -> None:
        """Join the other ranks and load the model, then the state that `save_state` wrote in `resume_from`.

        `ranks_here`: how many ranks share this machine's cores.
        """
        torch.set_num_threads(self._config.threads or max(1, len(os.sched_getaffinity(0)) // ranks_here))
        from flame_ray.engines.deepspeed_engine import DeepSpeedEngine  # here: the driver imports this module too

        engine = DeepSpeedEngine(self._model_path, self._config, self._rank, self._world, init_method, self._seed, self._trust)
        self._connected = engine, Training(engine, self._config, self._rank, self._world, self._seed, resume_from)

    def begin(self, pairs_D: Sequence[Pair], round: int) -> range:
        return self.training.begin(pairs_D, round)

    def advance(self) -> int:
        return self.training.advance()

    def finish(self) -> TrainingReport:
        return self.training.finish()

    def export(self) -> WeightArrays | None:
        """Rank 0: the merged weights. The other ranks only take part in gathering them."""
        named = self.engine.named_weights()
        if self._rank == 0:
            return to_arrays(named, self._config.dtype)
        for _ in named:
            pass
        return None

    def canary(self, prompt_ids: Sequence[int], response_ids: Sequence[int]) -> list[float]:
        return self.engine.token_logps(list(prompt_ids), list(response_ids))

    def save(self, folder: Path, merged: bool) -> None:
        """Rank 0 writes an adapter, or with `merged` (and always without LoRA) a whole model, as one atomic folder."""
        if self._rank:
            return self._write(Path(folder), merged)
        with whole_folder(Path(folder)) as aside:
            self._write(aside, merged)

    def save_state(self, folder: Path) -> None:
        """Rank 0 writes, as one atomic folder, what a learner of any rank count and ZeRO stage can go on from."""
        self.training.save(Path(folder))

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
