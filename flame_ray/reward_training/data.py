"""Prepares what the checker is trained on: synthetic claims, labelled claims, and labelled claims held out to evaluate it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flame_ray.config import Config
from flame_ray.config.reward_training import TrainCheckerConfig
from flame_ray.errors import DataError
from flame_ray.evaluation.labels import read_claims
from flame_ray.reward_training.grouped_split import grouped_split
from flame_ray.reward_training.synthetic import synthetic_claims
from flame_ray.reward_training.training import LabelledPair, Phase
from flame_ray.rewards.factuality.check import LexicalChecker
from flame_ray.rewards.factuality.check.finetuned import lexical_logit, model_input
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.types import LabelledClaim


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The held-out claims share no claim and no evidence with the labelled ones."""

    synthetic: Sequence[LabelledClaim]
    labelled: Sequence[LabelledClaim]
    held_out: Sequence[LabelledClaim]

    @property
    def counts(self) -> dict[str, int]:
        """For the card."""
        return {"twins": len(self.synthetic), "trained_on": len(self.labelled), "kept_aside": len(self.held_out)}


def prepare_data(config: Config) -> TrainingData:
    """Reads and splits the labelled claims, and makes the synthetic ones. Raises DataError if they are bad or too few."""
    settings = config.train_checker
    labelled = [claim for path in settings.labels for claim in read_claims(Path(path))]
    if not labelled:
        raise DataError("files of labelled claims", "none in train_checker.labels", "name them: see jobs/train-checker.yaml")
    if len({each.supported for each in labelled}) < 2:
        raise DataError("claims of both labels", "one label in train_checker.labels", "add claims of the other one")
    train, held_out = grouped_split(labelled, settings.aside)
    if not train and not any(settings.twins.values()):
        found = f"nothing: all {len(held_out)} labelled claims are held out, and train_checker.twins asks for none"
        raise DataError("something to train on", found, "lower train_checker.aside, or raise train_checker.twins")
    seed = config.run.seed
    made = [claim for name, count in settings.twins.items() for claim in synthetic_claims(load_corpus(name), count, seed)]
    return TrainingData(random.Random(seed).sample(made, len(made)), train, held_out)


def training_phases(data: TrainingData, settings: TrainCheckerConfig) -> dict[str, Phase]:
    """The phases by name, in order: synthetic claims, then labelled ones with some of the synthetic ones. Some may be empty."""
    mixed = [*data.labelled, *data.synthetic[: settings.mixed]]
    return {
        "twins": Phase(_pairs(data.synthetic), 1, settings.lr_twins, settings.batch_twins),
        "labels": Phase(_pairs(mixed), settings.epochs, settings.lr, settings.batch),
    }


def _pairs(labelled: Sequence[LabelledClaim]) -> list[LabelledPair]:
    verdicts = LexicalChecker().check([each.claim for each in labelled])
    return [
        LabelledPair(model_input(each.claim), lexical_logit(verdict), each.supported, each.group or "")
        for each, verdict in zip(labelled, verdicts, strict=True)
    ]
