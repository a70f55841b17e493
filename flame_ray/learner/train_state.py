"""How far a learner is in a round: the part of its state that is not tensors."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from flame_ray.errors import EngineError, StorageError
from flame_ray.types import StepReport, TrainingReport

TRAIN_STATE = "train_state.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a round is: its optimizer steps so far, and `done` of `total` units of work or, where a limit of seconds decides,
    whole seconds. `ended`: nothing of the round is left. `report`: of the optimizer step that was the last unit of work.
    """

    step: int
    done: int
    total: int
    ended: bool
    report: StepReport | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TrainState:
    """`step` of the `steps` of `round` are done, on examples with this digest; the last step adds the `report`.

    `limit`: the seconds of training after which the round ends; None: it ends after its `steps`. With a limit, `steps` is None
    until the end, and `seconds` have passed, of which `reference_seconds` were the reference pass.
    `sums` holds the loss and its metrics by name, summed over the examples so far; `weight` is the sum of these examples'
    weights; `step_losses` are the mean losses of the steps. `reference` says what the round is compared with. `ranks` and
    `zero_stage` describe the learner that wrote the state; any other can resume it.

    >>> TrainState().finished  # before the first round
    True
    """

    round: int = 0
    step: int = 0
    steps: int | None = 0
    digest: str = ""
    sums: dict[str, float] = field(default_factory=dict)
    weight: float = 0.0
    tokens: int = 0
    step_losses: tuple[float, ...] = ()
    reference: str = ""
    report: TrainingReport | None = None
    limit: float | None = None
    seconds: float = 0.0
    reference_seconds: float = 0.0
    ranks: int = 1
    zero_stage: int = 0

    @property
    def finished(self) -> bool:
        return self.step == self.steps

    @property
    def passed(self) -> float:
        """The share of the steps that is done; with a limit, of the seconds after the reference pass that has passed."""
        if self.limit is None:
            return self.step / (self.steps or 1)
        return (self.seconds - self.reference_seconds) / (self.limit - self.reference_seconds) if self.step else 0.0

    @property
    def length(self) -> str:
        """How long the round is, in words."""
        return f"{self.steps} steps" if self.limit is None else f"{self.limit:g} s"

    def after_step(self, sums: Mapping[str, float], weight: float, tokens: int, seconds: float = 0.0) -> "TrainState":
        """The state one step later. `sums`, `weight` and `tokens` are that step's, over all ranks, and `seconds` its time."""
        total = {name: self.sums.get(name, 0.0) + value for name, value in sums.items()}
        losses = (*self.step_losses, sums["loss"] / weight)
        done = replace(self, step=self.step + 1, sums=total, step_losses=losses)
        done = replace(done, weight=self.weight + weight, tokens=self.tokens + tokens, seconds=self.seconds + seconds)
        return replace(done, steps=done.step) if self.limit is not None and done.seconds >= self.limit else done

    def with_report(self, examples: int) -> "TrainState":
        """The state with the round's report; `examples` counts each example once, however many epochs there were."""
        means = {name: value / self.weight for name, value in self.sums.items()}
        seconds = None if self.limit is None else self.seconds
        of_steps = means.pop("loss"), means, self.step_losses
        return replace(self, report=TrainingReport(self.step, examples, self.tokens, *of_steps, self.reference, seconds))

    def holds(self, asked: "TrainState", origin: str) -> bool:
        """Whether this state is in, or at the end of, the round that begins with `asked`; False: that round comes next.

        Raises EngineError otherwise: this state is inside another round, or has other examples or another length. The error
        says that the state is from `origin`.
        """
        if asked.round > self.round and self.finished:
            return False
        if (self.round, self.digest, self.length) != (asked.round, asked.digest, asked.length):
            raise EngineError(
                f"round {self.round} with the examples (sha256 {self.digest:.12}) and {self.length} of {origin}",
                f"round {asked.round} with examples {asked.digest:.12} and {asked.length}",
                "resume with that round's own pairs and settings, or from a state that fits these",
            )
        return True


def write_train_state(folder: Path, state: TrainState) -> None:
    (folder / TRAIN_STATE).write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")


def read_train_state(folder: Path) -> TrainState:
    """From a folder that `verify_manifest` has accepted. Raises StorageError for a state of an older version."""
    path = folder / TRAIN_STATE
    if not path.exists():
        raise StorageError(
            f"a learner's state with {TRAIN_STATE}",
            f"none in {folder}: an older version of flame-ray wrote it",
            "resume the run with that version, or start a new run",
        )
    tree = json.loads(path.read_text(encoding="utf-8"))
    report = TrainingReport(**_with_tuple(tree["report"])) if tree["report"] else None
    return TrainState(**{**_with_tuple(tree), "report": report})


def _with_tuple(tree: dict[str, Any]) -> dict[str, Any]:
    """JSON has no tuples; a state of an earlier version has no such losses."""
    return {**tree, "step_losses": tuple(tree.get("step_losses", ()))}
