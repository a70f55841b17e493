"""What the commands that train the small reward models share: their progress, how their cards end, and what they write."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from flame_ray.config import Config
from flame_ray.evaluation.agreement import ComparedClaim, Results, claim_agreement
from flame_ray.journal.environment import describe_environment
from flame_ray.report.progress import Screen
from flame_ray.reward_training.training import Advance
from flame_ray.rewards.factuality.check import Checker
from flame_ray.shown import hide_secrets, say
from flame_ray.storage.atomic import write_file
from flame_ray.types import LabelledClaim

READ, MEASURE = "read the data", "measure it"  # what has a bar beside the training
RECENT = 50  # steps over which the loss is averaged


@contextmanager
def progress(screen: Screen, name: str, examples: int) -> Iterator[Advance]:
    """Shows a bar while it trains, and at the end a line that stays."""
    bar, losses = screen.begin(name), []

    def advance(step: int, steps: int, loss: float) -> None:
        losses.append(loss)
        bar.advance(step, steps, f"loss {fmean(losses[-RECENT:]):.3f}")

    try:
        yield advance
    except BaseException:
        bar.close()
        raise
    last = losses[-RECENT:]
    bar.end(f"{examples} examples, {len(losses)} steps, loss {fmean(last):.3f} over the last {len(last)}")


def agreement_of(checker: Checker, held_out: Sequence[LabelledClaim], config: Config) -> Results:
    """How well a checker agrees with the held-out labels, at its own threshold."""
    verdicts = checker.check([each.claim for each in held_out])
    compared = [ComparedClaim.of(*each) for each in zip(held_out, verdicts, strict=True)]
    about = {"checker": checker.identity, "threshold": checker.threshold}
    return about | claim_agreement(compared, config.run.seed, config.evaluation.bootstrap)


def training_facts(config: Config, seconds: int, agreements: Sequence[Results]) -> dict[str, Any]:
    """What the cards of these models say of how they were trained."""
    environment = describe_environment({})
    return {
        "seed": config.run.seed,
        "made_with": {name: environment[name] for name in ("flame_ray", "git_commit", "source_sha256", "packages", "machine")},
        "seconds": seconds,
        "agreement_on_kept_aside": list(agreements),
    }


def write_model(out: Path, file: str, weights: bytes, card_file: str, card: Mapping[str, Any], console: Console) -> None:
    """Puts the weights and their card into the folder, in place of older ones, and says where. Raises StorageError."""
    write_file(out / file, weights, "--out")
    write_file(out / card_file, f"{json.dumps(hide_secrets(card), indent=1, allow_nan=False)}\n".encode(), "--out")
    say(console, f"written to {out}")
