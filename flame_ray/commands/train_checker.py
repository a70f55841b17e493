"""The `flame-ray train-checker` command: trains the fine-tuned checker, and writes its weights and their card."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from flame_ray.commands.out import check_out_folder
from flame_ray.commands.reward_model import MEASURE, READ, agreement_of, progress, training_facts, write_model
from flame_ray.config import Config
from flame_ray.engines.finetuned import MODEL, FinetunedModel, load_base, save
from flame_ray.engines.models import CHECKER_WEIGHTS
from flame_ray.evaluation.agreement import Results
from flame_ray.report.agreement import claims_table
from flame_ray.report.progress import Screen
from flame_ray.reward_training.data import TrainingData, prepare_data, training_phases
from flame_ray.reward_training.training import Advance, Phase, train
from flame_ray.rewards.factuality.check import LexicalChecker
from flame_ray.rewards.factuality.check.finetuned import FinetunedChecker
from flame_ray.seeds import derived_seed
from flame_ray.storage.atomic import sha256_of, storage_errors

CARD = "card.json"
Train = Callable[[Any, Any, Phase, int, Advance], None]


def train_checker(config: Config, out: Path, console: Console, tables: Console, train: Train = train) -> dict[str, Any]:
    """Returns the card. Raises DataError, StorageError or ModelError; bad data and a bad folder are found before training.

    The weights in `out` are replaced only after all training.
    """
    started = time.monotonic()
    check_out_folder(out)
    screen = Screen(console)
    with closing(screen.begin(READ)):
        data = prepare_data(config)
    with storage_errors(out.absolute(), setting="--out"):
        out.mkdir(parents=True, exist_ok=True)
    with closing(screen.begin(MEASURE)):
        lexical = agreement_of(LexicalChecker(), data.held_out, config)
    with TemporaryDirectory() as scratch:
        agreements = _train_phases(config, data, Path(scratch), screen, tables, train)
        weights = (Path(scratch) / CHECKER_WEIGHTS).read_bytes()
    tables.print(claims_table(lexical))
    card = make_card(config, data.counts, round(time.monotonic() - started), [lexical, *agreements])
    write_model(out, CHECKER_WEIGHTS, weights, CARD, card, console)
    return card


def _train_phases(
    config: Config, data: TrainingData, folder: Path, screen: Screen, tables: Console, train: Train
) -> list[Results]:
    """Leaves the last weights in `folder`; returns the agreement after each phase."""
    seed, agreements = config.run.seed, []
    with closing(screen.begin("load the model")):
        tokenizer, model = load_base(seed)
    for name, phase in training_phases(data, config.train_checker).items():
        if not phase.pairs:
            continue
        with progress(screen, name, len(phase.pairs)) as advance:
            train(model, tokenizer, phase, derived_seed(seed, "training", name), advance)
        with closing(screen.begin(MEASURE)):
            save(model, folder)
            trained = FinetunedModel(folder)
            agreements.append(agreement_of(FinetunedChecker(trained, trained.name), data.held_out, config) | {"after": name})
        tables.print(claims_table(agreements[-1]))
    return agreements


def make_card(config: Config, counts: Mapping[str, int], seconds: int, agreements: Sequence[Results]) -> dict[str, Any]:
    """What the weights are, what they were trained on and with, and how each checker agrees with the held-out labels."""
    settings = config.train_checker
    return {
        "model": MODEL,
        "for": "whether a short English statement is supported by a few sentences of evidence; not a judge of truth by itself",
        "data": {
            **counts,
            "labels": {Path(path).name: sha256_of(Path(path)) for path in settings.labels},
            "settings": settings.model_dump(),
        },
        **training_facts(config, seconds, agreements),
    }
