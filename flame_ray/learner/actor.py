"""One rank of the learner: runs a round of DPO on an engine, and hands out what it learned.

In: the round's pairs, the same on every rank. Out: a `TrainingReport`, weight arrays, folders. A plain class; `group.py`
makes a Ray actor of it. Every method but `address` is collective: the group calls it on all ranks. A round is cut
into small units of work, so that no call is long and the driver can show how far it is.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flame_ray.config import LearnerConfig
from flame_ray.errors import DataError, EngineError
from flame_ray.learner.arrays import WeightArrays, to_arrays
from flame_ray.learner.batch import Slot, global_batches, micro_batches, padded, rank_slice, slots
from flame_ray.learner.checkpoint import whole_folder
from flame_ray.types import Pair, TrainingReport

if TYPE_CHECKING:
    from flame_ray.engines.deepspeed_engine import DeepSpeedEngine

REFERENCE_FACTOR = 2  # a forward pass alone keeps no activations, so its micro-batches can be larger


class LearnerActor:
    def __init__(
        self,
        model_path: str,
        config: LearnerConfig,
        rank: int,
        world: int,
        seed: int,
        trust_remote_code: bool = False,
        resume_from: str | None = None,
    ):
        self._model_path, self._config, self._rank, self._world, self._seed = model_path, config, rank, world, seed
        self._trust, self._resume_from = trust_remote_code, resume_from
        self._engine: DeepSpeedEngine | None = None
        self._work: Iterator[None] = iter(())
        self._report: TrainingReport | None = None

    def address(self) -> str:
        """This node's address with a port that is free now; rank 0's becomes the meeting point of all ranks."""
        host = _node_ip()
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def connect(self, init_method: str, ranks_here: int = 1) -> None:
        """Join the other ranks and load the model. `ranks_here`: how many ranks share this machine's cores."""
        torch.set_num_threads(self._config.threads or max(1, len(os.sched_getaffinity(0)) // ranks_here))
        from flame_ray.engines.deepspeed_engine import DeepSpeedEngine  # here: the driver imports this module too

        self._engine = DeepSpeedEngine(
            self._model_path, self._config, self._rank, self._world, init_method, self._seed, self._trust, self._resume_from
        )

    def begin(self, pairs_D: Sequence[Pair], round: int) -> int:
        """Make ready to train on a round's pairs; returns how many calls of `advance` that takes."""
        if not pairs_D:
            raise DataError(
                "at least one pair to train on", f"none in round {round}", "see the pairs that were dropped, by reason"
            )
        plan = [batch for epoch in range(self._config.epochs) for batch in self._epoch(pairs_D, round, epoch)]
        references = list(self._reference_batches(pairs_D))
        self._report = None
        self._work = self._train(plan, references, len(pairs_D))
        return len(references) + len(plan)

    def advance(self) -> None:
        """One unit of work: a reference forward pass, or an optimizer step."""
        next(self._work)

    def finish(self) -> TrainingReport:
        for _ in self._work:
            pass
        if self._report is None:
            raise EngineError("a round that was begun", "none", "call begin first")
        return self._report

    def train(self, pairs_D: Sequence[Pair], round: int) -> TrainingReport:
        self.begin(pairs_D, round)
        return self.finish()

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

    @property
    def engine(self) -> "DeepSpeedEngine":
        if self._engine is None:
            raise EngineError("a learner that is connected", "none", "call connect first")
        return self._engine

    def _write(self, folder: Path, merged: bool) -> None:
        if merged or self._config.lora is None:
            self.engine.save_merged(folder, self._model_path)
        else:
            self.engine.save_adapter(folder)

    def _train(self, plan: list[list[Slot]], references: list, pairs: int) -> Iterator[None]:
        from flame_ray.engines.deepspeed_engine import Example

        self.engine.forget_moments()
        reference_D2 = torch.zeros(pairs, 2)
        for batch in references:
            logps_2D = self.engine.logps(batch, reference=self._config.reference == "initial")
            reference_D2[batch.indices_D] += logps_2D.view(2, -1).T * batch.weights_D[:, None]
            yield
        reference_D2 = self.engine.sum_over_ranks(reference_D2)  # each rank has filled in its own share
        sums, tokens = torch.zeros(4), 0
        for number, slots_D in enumerate(plan):
            mine = rank_slice(slots_D, self._rank, self._world)
            examples = [
                Example(batch, reference_D2[batch.indices_D].T.reshape(-1))
                for batch in micro_batches(mine, self._config.micro_batch_pairs)
            ]
            normaliser = sum(slot.weight for slot in slots_D)
            sums += self.engine.step(examples, normaliser, self._rate(number, len(plan))).stack()
            tokens += sum(slot.response_tokens for slot in slots_D if slot.weight)
            yield
        self._report = _report(self.engine.sum_over_ranks(sums), len(plan), pairs, tokens)

    def _epoch(self, pairs_D: Sequence[Pair], round: int, epoch: int) -> list[list[Slot]]:
        return global_batches(pairs_D, self._config.batch_pairs, seed=f"{self._seed}/{round}/{epoch}")

    def _reference_batches(self, pairs_D: Sequence[Pair]) -> Iterator:
        mine = rank_slice(padded(slots(pairs_D), self._world), self._rank, self._world)
        return micro_batches(mine, self._config.micro_batch_pairs * REFERENCE_FACTOR)

    def _rate(self, step: int, steps: int) -> float:
        """Linear from `lr` at the first step to `lr_final` at the last, within a round."""
        share = step / (steps - 1) if steps > 1 else 0.0
        return self._config.lr + share * (self._config.lr_final - self._config.lr)


def _report(sums_4: Tensor, steps: int, pairs: int, tokens: int) -> TrainingReport:
    loss, accuracy, margin, seen = sums_4.tolist()
    return TrainingReport(steps, loss / seen, accuracy / seen, margin / seen, pairs, tokens)


def _node_ip() -> str:
    import ray.util

    return ray.util.get_node_ip_address()
