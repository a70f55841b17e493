"""The second half of `flame-ray train-checker`: trains the model that reads records, and writes its weights and their card."""

import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from flame_ray.commands.out import check_out_folder
from flame_ray.commands.reward_model import MEASURE, READ, agreement_of, progress, training_facts, write_model
from flame_ray.config import Config
from flame_ray.engines.finetuned import FinetunedModel
from flame_ray.engines.models import CHECKER_WEIGHTS
from flame_ray.engines.prefix_reader import save_reader
from flame_ray.engines.record_reader import RECORDS, RecordReader
from flame_ray.errors import DataError
from flame_ray.evaluation.agreement import Results
from flame_ray.report.agreement import claims_table
from flame_ray.report.progress import Screen
from flame_ray.reward_training.record_training import (
    Subject,
    labelled_subjects,
    set_thresholds,
    split_subjects,
    train_reader,
    with_made_statements,
)
from flame_ray.rewards.factuality.check import LexicalChecker
from flame_ray.rewards.factuality.check.finetuned import SHIPPED, FinetunedChecker
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.shown import say
from flame_ray.storage.atomic import sha256_of, storage_errors
from flame_ray.types import Claim, Fact, LabelledClaim, VerdictLabel

CARD = "records.json"


def train_reader_command(config: Config, out: Path, console: Console, tables: Console) -> dict[str, Any]:
    """Returns the card. It starts from the prose model's weights in `out`; if there are none, from those that ship.

    Raises DataError, StorageError, ModelError and EngineError; bad data is found before training.
    """
    started, settings, seed = time.monotonic(), config.train_checker.records, config.run.seed
    check_out_folder(out)
    screen = Screen(console)
    with closing(screen.begin(READ)):
        subjects = labelled_subjects([Path(path) for path in settings.labels], load_corpus(settings.corpus))
    train, held_out = split_subjects(subjects, settings.aside, seed)
    if not train or not held_out:
        found = f"{len(subjects)} titles, {len(held_out)} of them held out"
        raise DataError(
            "labels of some titles to train on and of some to evaluate", found, "label more, or change records.aside"
        )
    with storage_errors(out.absolute(), setting="--out"):
        out.mkdir(parents=True, exist_ok=True)
        if not (out / CHECKER_WEIGHTS).is_file():
            shutil.copy(SHIPPED / CHECKER_WEIGHTS, out / CHECKER_WEIGHTS)
            told = f"no model of prose in {out}: it gets the one that ships"
            say(console, told)
    with progress(screen, "records", sum(len(each.statements) for each in train)) as advance:
        tokenizer, model = train_reader(with_made_statements(train, settings.made, seed), settings, out, seed, advance)
    with closing(screen.begin(MEASURE)), TemporaryDirectory() as scratch:
        set_thresholds(model, tokenizer, held_out, settings.specificity)
        save_reader(model, RECORDS, Path(scratch))
        agreements = _agreements(config, out, Path(scratch), held_out)
        weights = (Path(scratch) / RECORDS.weights).read_bytes()
    for agreement in agreements:
        tables.print(claims_table(agreement))
    card = make_card(config, train, held_out, round(time.monotonic() - started), agreements)
    write_model(out, RECORDS.weights, weights, CARD, card, console)
    return card


def _agreements(config: Config, prose: Path, folder: Path, held_out: Sequence[Subject]) -> list[Results]:
    """How well the lexical checker and the trained one agree with the held-out labels, given the whole record."""
    reader, scorer = RecordReader(folder), FinetunedModel(prose)
    claims = [
        LabelledClaim(Claim(Fact(each.text, 0), subject.passages_K), each.label == VerdictLabel.SUPPORTED, "held-out titles")
        for subject in held_out
        for each in subject.statements
    ]
    trained = FinetunedChecker(scorer, f"{scorer.name}/{reader.name}", reader=reader)
    return [agreement_of(LexicalChecker(), claims, config), agreement_of(trained, claims, config)]


def make_card(
    config: Config, train: Sequence[Subject], held_out: Sequence[Subject], seconds: int, agreements: Sequence[Results]
) -> dict[str, Any]:
    """What the weights are, what they were trained on and with, and how each checker agrees with the held-out labels."""
    settings = config.train_checker.records
    return {
        "model": RECORDS.model,
        "for": "whether a short English statement about a country is supported by its record in the Factbook",
        "data": {
            "trained_on": sum(len(each.statements) for each in train),
            "titles": len(train),
            "kept_aside": sum(len(each.statements) for each in held_out),
            "titles_kept_aside": sorted(each.record.title for each in held_out),
            "labels": {Path(path).name: sha256_of(Path(path)) for path in settings.labels},
            "settings": settings.model_dump(),
        },
        **training_facts(config, seconds, agreements),
    }
