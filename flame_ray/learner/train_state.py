"""How far a learner is in a round: the part of its state that is not tensors.

In: the pairs of a round, the steps done on them. Out: `progress.json`, and whether a learner may go on from one.
Knows no model, rank or optimizer.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from flame_ray.errors import EngineError
from flame_ray.types import Pair, Response, TrainingReport

PROGRESS = "progress.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """`step` of the `steps` of `round` are done, on pairs of this digest; `report` is there once all are.

    `sums` (loss, accuracy, margin, pairs) and `tokens` are what the report is made of. `ranks` and `zero_stage` are those
    of the learner that wrote it, for the record: any others can go on from it.

    >>> Progress().finished  # before the first round
    True
    """

    round: int = 0
    step: int = 0
    steps: int = 0
    pairs: str = ""
    sums: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    tokens: int = 0
    report: TrainingReport | None = None
    ranks: int = 1
    zero_stage: int = 0

    @property
    def finished(self) -> bool:
        return self.step == self.steps

    def after_step(self, sums: Sequence[float], tokens: int) -> "Progress":
        """One step on, with what that step adds to the sums over all ranks."""
        total = tuple(so_far + new for so_far, new in zip(self.sums, sums, strict=True))
        return replace(self, step=self.step + 1, sums=total, tokens=self.tokens + tokens)

    def reported(self, pairs: int) -> "Progress":
        """A finished round's progress with its report; `pairs` counts them once, however many epochs there were."""
        loss, accuracy, margin, seen = self.sums
        report = TrainingReport(self.steps, loss / seen, accuracy / seen, margin / seen, pairs, self.tokens)
        return replace(self, report=report)


def digest(pairs_D: Sequence[Pair]) -> str:
    """Names a round's pairs, in their order: which responses, of which tokens, by which reward, with which scores."""
    rows = [[pair.kind, *_side(pair.chosen, pair.chosen_score), *_side(pair.rejected, pair.rejected_score)] for pair in pairs_D]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _side(response: Response, score: float) -> tuple[str, list[int], list[int], float]:
    return str(response.id), list(response.prompt_token_ids), list(response.token_ids), float(score)


def goes_on(state: Progress, asked: Progress, origin: str) -> bool:
    """Whether `asked`, a round's progress at its begin, was begun in `state` already; False: it comes after.

    Raises EngineError if neither can be: the state is inside another round, or its pairs or steps are others.
    `origin` says in the error where the state is from.
    """
    if asked.round > state.round and state.finished:
        return False
    expected, found = (state.round, state.pairs, state.steps), (asked.round, asked.pairs, asked.steps)
    if expected != found:
        raise EngineError(
            f"round {state.round} with the pairs (sha256 {state.pairs:.12}) and {state.steps} steps of {origin}",
            f"round {asked.round} with pairs {asked.pairs:.12} and {asked.steps} steps",
            "resume with that round's own pairs and settings, or from a state that fits these",
        )
    return True


def write_progress(folder: Path, progress: Progress) -> None:
    (folder / PROGRESS).write_text(json.dumps(asdict(progress), indent=1), encoding="utf-8")


def read_progress(folder: Path) -> Progress:
    """From a folder that `verify_manifest` has found whole."""
    tree = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    report = TrainingReport(**tree["report"]) if tree["report"] else None
    return Progress(**{**tree, "sums": tuple(tree["sums"]), "report": report})
