"""Rounds of training on one rank, in small units of work, with a state that can be saved between any two of them.

All ranks make the same calls. What is left of a round follows from its examples and the state alone, so that a learner with
any number of ranks and any ZeRO stage can resume it.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, islice
from pathlib import Path
from random import Random

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from flame_ray.config import LearnerConfig
from flame_ray.engines.batch import Batch, TrainingEngine
from flame_ray.engines.model_files import disk_errors
from flame_ray.errors import DataError, EngineError
from flame_ray.learner.collate import micro_batches
from flame_ray.learner.data import Example, digest, global_batches
from flame_ray.learner.losses import Loss, StepObjective
from flame_ray.learner.train_state import Progress, TrainState, read_train_state, write_train_state
from flame_ray.seeds import derived_seed
from flame_ray.storage.atomic import write_manifest
from flame_ray.storage.local_copy import Folder, write_folder
from flame_ray.types import StepReport, TrainingReport

REFERENCE = "reference.safetensors"


class Training:
    """`clock` is read on rank 0, for rounds of so many seconds; the other ranks follow it."""

    def __init__(
        self,
        engine: TrainingEngine,
        loss: Loss,
        config: LearnerConfig,
        seed: int,
        resume_from: Path | None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._engine, self._loss, self._config, self._seed, self._clock = engine, loss, config, seed, clock
        self._work: Iterator[Progress] = iter(())
        self._state = TrainState()
        self._reference: Tensor | None = None  # [D, sequences an example]; inside a round only
        self._origin = "this learner"
        if resume_from is not None:
            self.load(resume_from)

    def begin(self, examples_D: Sequence[Example], round: int) -> Progress:
        """Prepare to train a round. Returns how far it is already. Raises DataError if there are no examples."""
        if not examples_D:
            raise DataError(
                "at least one example to train on", f"none in round {round}", "see the pairs that were dropped, by reason"
            )
        batches = global_batches(examples_D, self._config.batch_pairs, derived_seed(self._seed, "shuffle", round))
        references = batches if self._loss.needs_reference else []
        limit, named = self._config.seconds, self._reference_name()
        asked = TrainState(round, 0, self._planned_steps(len(batches)), digest(examples_D), reference=named, limit=limit)
        steps = self._steps(batches, examples_D, round)
        if self._state.holds(asked, self._origin):
            self._work = steps
            return self._progress(self._state, len(references) + self._state.step, len(references))
        reference = torch.zeros(len(examples_D), len(examples_D[0].sequences))
        self._work = chain(self._reference_pass(references, reference, asked), steps)
        return self._progress(asked, 0, len(references))

    def advance(self) -> Progress:
        """Do one unit of work: a reference forward pass or an optimizer step. Returns how far the round is then."""
        return next(self._work)

    def finish(self) -> TrainingReport:
        """Do what is left of the round, and report on it. Raises EngineError if no round was begun."""
        for _ in self._work:
            pass
        if self._state.report is None:
            raise EngineError("a round that was begun", "none", "call begin first")
        return self._state.report

    def save(self, folder: Folder) -> None:
        """Rank 0 writes; the others only take part in gathering."""
        if self._engine.rank:
            return self._engine.save_state(Path())
        with write_folder(folder) as aside:
            self._engine.save_state(aside)
            write_train_state(aside, replace(self._state, ranks=self._engine.world, zero_stage=self._config.zero_stage))
            if self._reference is not None:
                with disk_errors():
                    save_file({"reference": self._reference}, aside / REFERENCE)
            write_manifest(aside)

    def load(self, folder: Path) -> None:
        """Go on from a state that `save` wrote, whatever was trained before."""
        self._origin, self._state = str(folder), read_train_state(folder)
        self._engine.load_state(folder)
        if not self._state.finished:
            self._reference = load_file(folder / REFERENCE)["reference"]

    def _reference_pass(self, batches: list[list[Example]], reference: Tensor, asked: TrainState) -> Iterator[Progress]:
        """On the very batches of the steps: a bfloat16 model gives other numbers in a batch of another shape.

        Until it ends, the state is still that of the round before.
        """
        seconds = 0.0
        for number, batch in enumerate(batches, start=1):
            began = self._clock()
            for part in self._share(batch):
                logps = self._engine.logps(part, reference=self._config.reference != "round")
                is_counted = part.weights_D > 0  # a filler is a copy of another one
                reference[part.indices_D[is_counted]] = logps.view(reference.shape[1], -1).T[is_counted]
            seconds += self._seconds_since(began)
            yield self._progress(replace(asked, seconds=seconds), number, len(batches))
        self._reference = self._engine.sum_over_ranks(reference)  # each rank has filled in its own share
        self._state = replace(asked, seconds=seconds, reference_seconds=seconds)

    def _steps(self, batches: list[list[Example]], examples_D: Sequence[Example], round: int) -> Iterator[Progress]:
        mean_weight = sum(example.weight for example in examples_D) / len(batches)
        references = len(batches) if self._loss.needs_reference else 0
        turns = islice(self._turns(batches, round), self._state.step, None)
        while not self._state.finished:
            self._state, report = self._step(next(turns), mean_weight)
            if self._state.finished:
                self._state = self._state.with_report(len(examples_D))
                self._reference = None
                if self._config.reference == "average":
                    self._engine.update_average(self._config.average_decay)
                if self._config.reference != "initial":  # the next round has another objective; with "initial" it has the same
                    self._engine.forget_moments()
            yield replace(self._progress(self._state, references + self._state.step, references), report=report)

    def _progress(self, state: TrainState, units: int, references: int) -> Progress:
        """With `units` of its work done, of which the round has `references` and as many as its steps."""
        if state.limit is not None:
            total = math.ceil(state.limit)
            return Progress(state.step, min(int(state.seconds), total), total, state.finished)
        return Progress(state.step, units, references + (state.steps or 0), state.finished)

    def _reference_name(self) -> str:
        """What the round that begins is compared with. `self._state` is still that of the round before."""
        if not self._loss.needs_reference:
            return "none"
        names = {"initial": "initial", "round": f"round {self._state.round}"}
        average = f"average to round {self._state.round}, decay {self._config.average_decay:g}"
        return names.get(self._config.reference, average)

    def _step(self, batch: list[Example], mean_weight: float) -> tuple[TrainState, StepReport]:
        """One optimizer step, on this rank's share of a global batch: the state after it, and what it found.

        A batch counts by its weight: divided by its own, a few examples of little weight would count as much as many.
        """
        now, weight, began = self._state, sum(example.weight for example in batch), self._clock()
        assert self._reference is not None
        # Dropout must draw the same numbers after a resume, so the seed follows from the place in the run.
        torch.manual_seed(derived_seed(self._seed, "dropout", now.round, now.step, self._engine.rank))
        objective = StepObjective(self._loss, self._reference, mean_weight, self._config.nll_weight)
        rate = learning_rate(self._config, now.round, now.passed)
        sums = self._summed_over_ranks(self._engine.step(self._share(batch), objective, rate))
        tokens = sum(example.response_tokens for example in batch if example.weight)
        means = {name: value / weight for name, value in sums.items()}
        loss, seconds = means.pop("loss"), self._clock() - began
        report = StepReport(now.step + 1, loss, means, rate, tokens, seconds, self._engine.gradient_norm)
        return now.after_step(sums, weight, tokens, self._seconds_since(began)), report

    def _seconds_since(self, began: float) -> float:
        """By rank 0's clock, on all ranks alike; 0 where no limit of seconds makes them count."""
        if self._config.seconds is None:
            return 0.0
        seconds = 0.0 if self._engine.rank else self._clock() - began
        return self._engine.sum_over_ranks(torch.tensor([seconds], dtype=torch.float64)).item()

    def _share(self, batch: list[Example]) -> list[Batch]:
        engine = self._engine
        return micro_batches(batch, self._config.micro_batch_pairs, engine.rank, engine.world, engine.layout)

    def _summed_over_ranks(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """By name, sorted: ranks must agree on the order."""
        names = sorted(sums)
        totals = self._engine.sum_over_ranks(torch.stack([sums[name] for name in names]))
        return dict(zip(names, totals.tolist(), strict=True))

    def _planned_steps(self, batches: int) -> int | None:
        """None: as many as `learner.seconds` allow."""
        return None if self._config.seconds else self._config.steps or self._config.epochs * batches

    def _turns(self, batches: list[list[Example]], round: int) -> Iterator[list[Example]]:
        """The batches of the steps, epoch after epoch, without an end."""
        for epoch in count():
            yield from self._epoch(batches, round, epoch)

    def _epoch(self, batches: list[list[Example]], round: int, epoch: int) -> list[list[Example]]:
        """The same batches in every epoch, so that their reference fits, in another order."""
        order = Random(derived_seed(self._seed, "order", round, epoch))
        return batches if epoch == 0 else order.sample(batches, len(batches))


def learning_rate(config: LearnerConfig, round: int, passed: float) -> float:
    """Linear from `lr` at a round's first step towards `lr_final`, times `lr_round_factor` for each earlier round.

    `passed`: the share of the round that has passed before the step. The step after the last one would have `lr_final`: a last
    step at a rate of 0 would train nothing.

    >>> config = LearnerConfig(lr=1e-6, lr_final=1e-7, lr_round_factor=0.5)
    >>> learning_rate(config, round=2, passed=0.0)
    5e-07
    """
    return config.lr_round_factor ** (round - 1) * (config.lr + passed * (config.lr_final - config.lr))
