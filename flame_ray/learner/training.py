"""Rounds of DPO on one rank: a plan of small units of work, and a state that can be written between any two steps.

In: an engine, and a round's pairs, the same on every rank. Out: a `TrainingReport`, and folders from which a learner of any
number of ranks and any ZeRO stage goes on. What is left to do follows from the pairs and that state alone.
Knows no Ray and no place of its own: `actor.py` calls it on every rank alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from flame_ray.config import LearnerConfig
from flame_ray.errors import DataError, EngineError
from flame_ray.learner.data import Batch, Example, Slot, global_batches, micro_batches, padded, rank_slice, slots
from flame_ray.learner.schedule import learning_rate
from flame_ray.learner.train_state import Progress, digest, goes_on, read_progress, write_progress
from flame_ray.storage.atomic import write_manifest
from flame_ray.storage.local_copy import Folder, write_folder
from flame_ray.types import Pair, TrainingReport

if TYPE_CHECKING:
    from flame_ray.engines.deepspeed_engine import DeepSpeedEngine

REFERENCE = "reference.safetensors"
REFERENCE_FACTOR = 2  # a forward pass alone keeps no activations, so its micro-batches can be larger


class Training:
    def __init__(
        self, engine: "DeepSpeedEngine", config: LearnerConfig, rank: int, world: int, seed: int, resume_from: Path | None
    ):
        self._engine, self._config, self._rank, self._world, self._seed = engine, config, rank, world, seed
        self._work: Iterator[int] = iter(())
        self._progress = Progress()
        self._reference_D2: Tensor | None = None  # there only inside a round
        self._origin = str(resume_from or "this learner")
        if resume_from is not None:
            self._load(resume_from)

    def begin(self, pairs_D: Sequence[Pair], round: int) -> range:
        """Make ready to train on a round's pairs. Out: the numbers of its units of work, without those done already."""
        if not pairs_D:
            raise DataError(
                "at least one pair to train on", f"none in round {round}", "see the pairs that were dropped, by reason"
            )
        plan = [batch for epoch in range(self._config.epochs) for batch in self._epoch(pairs_D, round, epoch)]
        references = list(self._reference_batches(pairs_D))
        units = range(len(references) + len(plan))
        asked = Progress(round, 0, len(plan), digest(pairs_D))
        if goes_on(self._progress, asked, self._origin):
            self._work = self._steps(plan)
            return units[len(references) + self._progress.step :]
        self._work = chain(self._reference_pass(references, asked, len(pairs_D)), self._steps(plan))
        return units

    def advance(self) -> int:
        """One unit of work: a reference forward pass, or an optimizer step. Out: the steps of this round that are done."""
        return next(self._work)

    def finish(self) -> TrainingReport:
        for _ in self._work:
            pass
        if self._progress.report is None:
            raise EngineError("a round that was begun", "none", "call begin first")
        return self._progress.report

    def save(self, folder: Folder) -> None:
        """Rank 0 writes; the others only take part in gathering."""
        if self._rank:
            return self._engine.save_state(Path())
        with write_folder(folder) as aside:
            self._engine.save_state(aside)
            write_progress(aside, replace(self._progress, ranks=self._world, zero_stage=self._config.zero_stage))
            if self._reference_D2 is not None:
                save_file({"reference": self._reference_D2}, aside / REFERENCE)
            write_manifest(aside)

    def _load(self, folder: Path) -> None:
        self._engine.load_state(folder)
        self._progress = read_progress(folder)
        if not self._progress.finished:
            self._reference_D2 = load_file(folder / REFERENCE)["reference"]

    def _reference_pass(self, batches: list[Batch], asked: Progress, pairs: int) -> Iterator[int]:
        """Until its end, the state is still that of the round before."""
        reference_D2 = torch.zeros(pairs, 2)
        for batch in batches:
            logps_2D = self._engine.logps(batch, reference=self._config.reference == "initial")
            reference_D2[batch.indices_D] += logps_2D.view(2, -1).T * batch.weights_D[:, None]
            yield 0
        self._reference_D2 = self._engine.sum_over_ranks(reference_D2)  # each rank has filled in its own share
        self._progress = asked

    def _steps(self, plan: list[list[Slot]]) -> Iterator[int]:
        for slots_D in plan[self._progress.step :]:
            assert self._reference_D2 is not None
            self._progress = self._step(slots_D, self._reference_D2)
            if self._progress.finished:
                self._progress = self._progress.reported(pairs=len(self._reference_D2))
                self._reference_D2 = None
                if self._config.reference == "round":  # another objective; against the initial model it is the same one
                    self._engine.forget_moments()
            yield self._progress.step

    def _step(self, slots_D: list[Slot], reference_D2: Tensor) -> Progress:
        """One optimizer step, on this rank's share of a global batch."""
        now = self._progress
        # What dropout draws follows from the place in the run, so that it is the same after a resume.
        torch.manual_seed(Random(f"{self._seed}/{now.round}/{now.step}/{self._rank}").getrandbits(63))
        examples, normaliser = self._examples(slots_D, reference_D2), sum(slot.weight for slot in slots_D)
        rate = learning_rate(self._config, now.round, now.step, now.steps)
        sums = self._engine.sum_over_ranks(self._engine.step(examples, normaliser, rate).stack())
        tokens = sum(slot.response_tokens for slot in slots_D if slot.weight)
        return now.after_step(sums.tolist(), tokens)

    def _examples(self, slots_D: list[Slot], reference_D2: Tensor) -> list[Example]:
        mine = rank_slice(slots_D, self._rank, self._world)
        return [
            Example(batch, reference_D2[batch.indices_D].T.reshape(-1))
            for batch in micro_batches(mine, self._config.micro_batch_pairs)
        ]

    def _epoch(self, pairs_D: Sequence[Pair], round: int, epoch: int) -> list[list[Slot]]:
        return global_batches(pairs_D, self._config.batch_pairs, seed=f"{self._seed}/{round}/{epoch}")

    def _reference_batches(self, pairs_D: Sequence[Pair]) -> Iterator[Batch]:
        mine = rank_slice(padded(slots(pairs_D), self._world), self._rank, self._world)
        return micro_batches(mine, self._config.micro_batch_pairs * REFERENCE_FACTOR)
