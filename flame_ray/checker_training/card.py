"""Writes down what a trained checker is: its data, its settings, and how well it agrees with held-out labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flame_ray.config import Config
from flame_ray.engines.finetuned import MODEL
from flame_ray.evaluation.agreement import ComparedClaim, Results, claim_agreement
from flame_ray.journal.environment import describe_environment
from flame_ray.rewards.factuality.check import Checker
from flame_ray.storage.atomic import sha256_of
from flame_ray.types import LabelledClaim


def make_card(config: Config, counts: Mapping[str, int], seconds: int, agreements: Sequence[Results]) -> dict[str, Any]:
    """What the weights are, what they were trained on and with, and how each checker agrees with the held-out labels."""
    settings = config.train_checker
    environment = describe_environment({})
    return {
        "model": MODEL,
        "for": "whether a short English statement is supported by a few sentences of evidence; not a judge of truth by itself",
        "data": {
            **counts,
            "labels": {Path(path).name: sha256_of(Path(path)) for path in settings.labels},
            "settings": settings.model_dump(),
        },
        "seed": config.run.seed,
        "made_with": {name: environment[name] for name in ("flame_ray", "git_commit", "packages", "machine")},
        "seconds": seconds,
        "agreement_on_kept_aside": list(agreements),
    }


def agreement_of(checker: Checker, held_out: Sequence[LabelledClaim], config: Config) -> Results:
    """How well a checker agrees with the held-out labels, at its own threshold."""
    verdicts = checker.check([each.claim for each in held_out])
    compared = [ComparedClaim.of(*each) for each in zip(held_out, verdicts, strict=True)]
    about = {"checker": checker.identity, "threshold": checker.threshold}
    return about | claim_agreement(compared, config.run.seed, config.evaluation.bootstrap)
