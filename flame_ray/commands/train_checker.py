"""Trains the small checker and writes it with its card: what `flame-ray train-checker` calls.

In: settings, and a folder to write. Out: the weights, and a card that says what they were trained on and how they do on the
labels that were kept aside, beside the lexical checker. Data or a folder that cannot be used ends it before anything is
trained.
"""

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from flame_ray.checker_training.grouped_split import apart
from flame_ray.checker_training.synthetic import twins
from flame_ray.checker_training.training import Course, Example, teach
from flame_ray.config import Config
from flame_ray.engines.finetuned import MODEL, WEIGHTS, SmallModel, load_base, save
from flame_ray.errors import DataError
from flame_ray.evaluation.agreement import ComparedClaim, Numbers, claim_agreement
from flame_ray.evaluation.labels import LABELS, read_claims
from flame_ray.journal.environment import describe_environment
from flame_ray.report.agreement import claims_table
from flame_ray.report.progress import Screen
from flame_ray.rewards.factuality.check import Checker, LexicalChecker
from flame_ray.rewards.factuality.check.finetuned import SmallChecker, question, words_logit
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.storage.atomic import sha256_of, storage_errors, write_file
from flame_ray.types import LabelledClaim

CARD = "card.json"
EVERY = 50  # steps between two lines where there is no terminal


def train_checker(config: Config, out: Path, console: Console, tables: Console) -> dict[str, Any]:
    """The card. Raises DataError if a file is missing or malformed, or holds no labels; StorageError, ModelError."""
    asked, seed, started = config.train_checker, config.run.seed, time.monotonic()
    screen = Screen(console)
    made, learned, aside = _data(config)
    with storage_errors(out.absolute(), setting="--out"):
        out.mkdir(parents=True, exist_ok=True)
    tokenizer, model = load_base(seed)
    courses = {
        "twins": Course(_examples(made), 1, asked.lr_twins, asked.batch_twins),
        "labels": Course(_examples([*learned, *made[: asked.mixed]]), asked.epochs, asked.lr, asked.batch),
    }
    figures = [_agreement(LexicalChecker(), aside, config)]
    with TemporaryDirectory() as scratch:
        for number, (name, course) in enumerate(courses.items()):
            if not course.examples:
                continue
            _teach(model, tokenizer, name, course, seed + 100 * number, screen)
            save(model, Path(scratch))
            small = SmallModel(Path(scratch))
            figures.append(_agreement(SmallChecker(small, small.name), aside, config) | {"after": name})
            tables.print(claims_table(figures[-1]))
        weights = (Path(scratch) / WEIGHTS).read_bytes()
    tables.print(claims_table(figures[0]))
    counts = {"twins": len(made), "trained_on": len(learned), "kept_aside": len(aside)}
    card = card_of(config, counts, round(time.monotonic() - started), figures)
    write_file(out / WEIGHTS, weights, "--out")
    write_file(out / CARD, f"{json.dumps(card, indent=1, allow_nan=False)}\n".encode(), "--out")
    console.print(f"written to {out}", highlight=False, markup=False, soft_wrap=True)
    return card


def card_of(config: Config, counts: dict[str, int], seconds: int, figures: list[Numbers]) -> dict[str, Any]:
    """What the weights are, what they were made of and with, and how they do on the claims that were kept aside."""
    asked = config.train_checker
    environment = describe_environment({})
    return {
        "model": MODEL,
        "for": "whether a short English statement is supported by a few sentences of evidence; not a judge of truth by itself",
        "data": counts
        | {
            "labels": {Path(path).name: sha256_of(Path(path)) for path in asked.labels},
            "settings": asked.model_dump(),
        },
        "seed": config.run.seed,
        "made_with": {name: environment[name] for name in ("flame_ray", "git_commit", "packages", "machine")},
        "seconds": seconds,
        "agreement_on_kept_aside": figures,
    }


def _data(config: Config) -> tuple[list[LabelledClaim], list[LabelledClaim], list[LabelledClaim]]:
    """Twins, labels to train on, and labels kept aside."""
    asked = config.train_checker
    labelled = [each for path in asked.labels for each in read_claims(Path(path))]
    if not labelled:
        raise DataError("files of labelled claims", "none in train_checker.labels", "name them: see jobs/train-checker.yaml")
    if len({each.supported for each in labelled}) < len(LABELS):
        raise DataError("claims of both labels", "one label in train_checker.labels", "add claims of the other one")
    learned, aside = apart(labelled, asked.aside)
    if not learned and not any(asked.twins.values()):
        found = f"none: all {len(aside)} labels are kept aside, and no twins are made"
        raise DataError("something to train on", found, "lower train_checker.aside, or raise train_checker.twins")
    made = [each for name, count in asked.twins.items() for each in twins(load_corpus(name), count, config.run.seed)]
    return random.Random(config.run.seed).sample(made, len(made)), learned, aside


def _examples(labelled: Sequence[LabelledClaim]) -> list[Example]:
    """Questions with what the lexical checker says of them."""
    by_words = LexicalChecker().check([each.claim for each in labelled])
    return [
        Example(question(each.claim), words_logit(verdict), each.supported, each.group or "")
        for each, verdict in zip(labelled, by_words, strict=True)
    ]


def _teach(model: Any, tokenizer: Any, name: str, course: Course, seed: int, screen: Screen) -> None:
    bar, losses = screen.begin(name), []

    def advance(step: int, steps: int, loss: float) -> None:
        losses.append(loss)
        bar.advance(step, steps)
        if step % EVERY == 0 and not screen.console.is_terminal:
            recent = sum(losses[-EVERY:]) / EVERY
            screen.console.print(f"{name} {step}/{steps} {bar.seconds:.0f} s, loss {recent:.3f}", highlight=False)

    try:
        teach(model, tokenizer, course, seed, advance)
    except BaseException:
        bar.close()
        raise
    last = losses[-EVERY:]
    bar.end(f"{len(course.examples)} examples, {len(losses)} steps, loss {sum(last) / len(last):.3f} over the last {len(last)}")


def _agreement(checker: Checker, aside: Sequence[LabelledClaim], config: Config) -> Numbers:
    verdicts = checker.check([each.claim for each in aside])
    scored = [ComparedClaim.of(*each) for each in zip(aside, verdicts, strict=True)]
    about = {"checker": checker.identity, "threshold": checker.threshold}
    return about | claim_agreement(scored, config.run.seed, config.evaluation.bootstrap)
