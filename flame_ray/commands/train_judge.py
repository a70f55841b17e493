"""The `flame-ray train-judge` command: trains the judge of preferences, and writes its weights and their card."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from flame_ray.commands.out import check_out_folder
from flame_ray.commands.reward_model import MEASURE, READ, progress, training_facts, write_model
from flame_ray.config import Config
from flame_ray.engines.preference_reader import PREFERENCES, PreferenceReader
from flame_ray.engines.prefix_reader import save_reader
from flame_ray.errors import DataError
from flame_ray.evaluation.labels import Preference, read_preferences
from flame_ray.evaluation.preferences import ComparedPair, Results, preference_agreement
from flame_ray.report.agreement import preferences_table
from flame_ray.report.progress import Screen
from flame_ray.reward_training.preference_training import split_preferences, train_judge, with_off_topic
from flame_ray.rewards.judge.preference import PreferenceJudge
from flame_ray.storage.atomic import sha256_of, storage_errors

CARD = "preferences.json"


def train_judge_command(config: Config, out: Path, console: Console, tables: Console) -> dict[str, Any]:
    """Returns the card. Raises DataError, StorageError, ModelError and EngineError; bad data is found before training.

    The weights in `out` are replaced only after training.
    """
    started, settings, seed = time.monotonic(), config.train_judge, config.run.seed
    check_out_folder(out)
    if not settings.labels:
        raise DataError("pairs of answers to train on", "none in train_judge.labels", "name a file of labelled pairs")
    screen = Screen(console)
    with closing(screen.begin(READ)):
        labelled = list(chain.from_iterable(read_preferences(Path(path)) for path in settings.labels))
    train, held_out = split_preferences(labelled, settings.aside)
    if not train or all(each.first_wins == 0.5 for each in held_out):
        found = f"{len(train)} pairs to train on and {len(held_out)} to evaluate"
        raise DataError(
            "pairs to train on, and some to evaluate that are no ties", found, "label more, or change train_judge.aside"
        )
    with storage_errors(out.absolute(), setting="--out"):
        out.mkdir(parents=True, exist_ok=True)
    with closing(screen.begin("add off-topic pairs")):
        pairs = with_off_topic(train, settings.off_topic, seed)
    with progress(screen, "preferences", len(pairs)) as advance:
        model = train_judge(pairs, settings, seed, advance)
    with closing(screen.begin(MEASURE)), TemporaryDirectory() as scratch:
        save_reader(model, PREFERENCES, Path(scratch))
        judge = PreferenceJudge(PreferenceReader(Path(scratch)))
        weights = (Path(scratch) / PREFERENCES.weights).read_bytes()
        agreement = preference_agreement(list(_compared(judge, held_out)), seed, config.evaluation.bootstrap)
    tables.print(preferences_table(agreement | {"judge": {"backend": "preference"}}))
    card = make_card(config, train, held_out, round(time.monotonic() - started), agreement)
    write_model(out, PREFERENCES.weights, weights, CARD, card, console)
    return card


def _compared(judge: PreferenceJudge, labelled: Sequence[Preference]) -> Iterator[ComparedPair]:
    for each in labelled:
        scores = judge.score([(each.pair.prompt, response) for response in each.pair.responses_G])
        yield replace(ComparedPair.of(each, scores), group=None)  # a group has too few pairs for figures of its own


def make_card(
    config: Config, train: Sequence[Preference], held_out: Sequence[Preference], seconds: int, agreement: Results
) -> dict[str, Any]:
    """What the weights are, what they were trained on and with, and how they agree with the held-out pairs."""
    settings = config.train_judge
    return {
        "model": PREFERENCES.model,
        "for": "which of two short answers of a small model people find more helpful; not a judge of truth",
        "data": {
            "trained_on": len(train),
            "kept_aside": len(held_out),
            "labels": {Path(path).name: sha256_of(Path(path)) for path in settings.labels},
            "settings": settings.model_dump(),
        },
        **training_facts(config, seconds, [agreement]),
    }
