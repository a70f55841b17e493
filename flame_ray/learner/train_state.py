"""How far a learner is in a round: the part of its state that is not tensors."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from flame_ray.errors import EngineError, StorageError
from flame_ray.types import TrainingReport

TRAIN_STATE = "train_state.json"


@dataclass(frozen=True, slots=True)
class TrainState:
    """`step` of the `steps` of `round` are done, on examples with this digest; the last step adds the `report`.

    `sums` holds the loss and its metrics by name, summed over the examples so far; `weight` is the sum of these examples'
    weights; `step_losses` are the mean losses of the steps. `reference` says what the round is compared with. `ranks` and
    `zero_stage` describe the learner that wrote the state; any other can resume it.

    >>> TrainState().finished  # before the first round
    True
    """

    round: int = 0
    step: int = 0
    steps: int = 0
    digest: str = ""
    sums: dict[str, float] = field(default_factory=dict)
    weight: float = 0.0
    tokens: int = 0
    step_losses: tuple[float, ...] = ()
    reference: str = ""
    report: TrainingReport | None = None
    ranks: int = 1
    zero_stage: int = 0

    @property
    def finished(self) -> bool:
        return self.step == self.steps

    def after_step(self, sums: Mapping[str, float], weight: float, tokens: int) -> "TrainState":
        """The state one step later. `sums`, `weight` and `tokens` are that step's, over all ranks."""
        total = {name: self.sums.get(name, 0.0) + value for name, value in sums.items()}
        losses = (*self.step_losses, sums["loss"] / weight)
        done = replace(self, step=self.step + 1, sums=total, step_losses=losses)
        return replace(done, weight=self.weight + weight, tokens=self.tokens + tokens)

    def with_report(self, examples: int) -> "TrainState":
        """The state with the round's report; `examples` counts each example once, however many epochs there were."""
        means = {name: value / self.weight for name, value in self.sums.items()}
        report = TrainingReport(self.steps, examples, self.tokens, means.pop("loss"), means, self.step_losses, self.reference)
        return replace(self, report=report)

    def holds(self, asked: "TrainState", origin: str) -> bool:
        """Whether this state is in, or at the end of, the round that begins with `asked`; False: that round comes next.

        Raises EngineError otherwise: this state is inside another round, or has other examples or steps. The error says
        that the state is from `origin`.
        """
        if asked.round > self.round and self.finished:
            return False
        if (self.round, self.digest, self.steps) != (asked.round, asked.digest, asked.steps):
            raise EngineError(
                f"round {self.round} with the examples (sha256 {self.digest:.12}) and {self.steps} steps of {origin}",
                f"round {asked.round} with examples {asked.digest:.12} and {asked.steps} steps",
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
