"""Scoring a file of responses without training: what `flame-ray score` calls.

In: a JSONL file and settings. Out: a file with one record a line of input, in its order; a line that cannot be read has no
record, and is reported. However long the input is, a bounded number of its lines is in memory. A run that was killed goes
on after its last record. Knows nothing of how facts are found or checked.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console

from flame_ray import __version__
from flame_ray.commands.score_file import ScoreFile
from flame_ray.config import Config
from flame_ray.engines.models import fingerprint
from flame_ray.errors import ConfigError, DataError
from flame_ray.report.facts import record_table, shown
from flame_ray.report.progress import Screen
from flame_ray.rewards.factuality.corpus import check_corpus, signature
from flame_ray.rewards.factuality.records import FORMAT, Row, parse_row, record_of, task_of
from flame_ray.rewards.factuality.reward import Task

REPORTED = 100  # bad lines that are named; the others are only counted
GO_ON = "give the same command again: it goes on after the last record"
EMPTY = "write one JSON object a line, with `prompt` and `response`"


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Which file to score. `strict` refuses it for one bad line, before anything starts; `table` prints each record."""

    responses: Path
    out: Path
    strict: bool = False
    table: bool = False


@dataclass(slots=True)
class Tally:
    """What was done this time."""

    scored: int = 0
    skipped: int = 0
    abstained: int = 0
    missing: int = 0
    facts: int = 0
    with_precision: int = 0
    precisions: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def add(self, record: dict[str, Any]) -> None:
        self.scored += 1
        self.missing += record["missing"] is not None
        self.abstained += bool(record["abstained"])
        self.facts += len(record["facts"])
        if record["precision"] is not None:
            self.with_precision += 1
            self.precisions += record["precision"]

    def __str__(self) -> str:
        if not (self.scored or self.skipped):
            return "nothing is left to score"
        speed = self.scored / max(time.monotonic() - self.began, 1e-9)
        n = self.with_precision
        mean = f"mean precision {self.precisions / n:.3f} (n {n})" if n else ""
        counts = f"{self.facts} facts, {self.abstained} abstained, {self.missing} missing, {self.skipped} lines skipped"
        return ", ".join(filter(None, (f"{self.scored} scored at {speed:.3g} a second", mean, counts)))


@dataclass(frozen=True, slots=True)
class Survey:
    """A file as it was read: enough to know it again, and to say how far along one is."""

    sha256: str
    lines: int


def score_file(config: Config, request: ScoreRequest, console: Console, tables: Console) -> Tally:
    """Score every line that has no record yet. Raises a FlameError when it cannot go on; what is written stays.

    `console` is told how it goes; `tables` gets the records, if they were asked for.
    """
    if request.out.absolute() == request.responses.absolute():
        raise ConfigError("--out to be another file than --responses", f"{request.out} for both", "give another --out")
    check_corpus(config.factuality.corpus, config.factuality.title_column, config.factuality.text_column)
    survey = _survey(request.responses, request.strict)
    tally = Tally()
    with ScoreFile(request.out, _made_by(config, survey)) as file:
        if file.last:
            _say(console, f"{request.out} holds the scores up to line {file.last}")
        for record in file.records() if request.table else ():
            tables.print(record_table(record))
        rows = _rows(request.responses, file.last, _skipping(tally, console))
        if first := next(rows, None):
            show = (lambda record: tables.print(record_table(record))) if request.table else None
            _score(config, chain([first], rows), file, tally, Screen(console), survey, show)
        if not (tally.scored or file.last):
            raise DataError("a response to score", f"none in {request.responses}", EMPTY)
    _say(console, f"{tally}: {request.out}")
    return tally


def _score(
    config: Config,
    rows: Iterator[tuple[Row, Task]],
    file: ScoreFile,
    tally: Tally,
    screen: Screen,
    survey: Survey,
    show: Callable[[dict[str, Any]], None] | None,
) -> None:
    from flame_ray.commands.factuality_pool import (  # torch and Ray, for seconds: only when there is something to do
        Pace,
        checking,
    )

    with checking(config, GO_ON, screen) as workers, Pace(screen, "score", "lines", survey.lines) as pace:
        tally.began = time.monotonic()
        for row, audit in workers.audits(rows):
            record = record_of(row, audit, config.score)
            file.append(record)
            tally.add(record)
            pace.at(row.number)
            if show:
                show(record)


def _made_by(config: Config, survey: Survey) -> dict[str, Any]:
    """What the scores depend on, as far as it is known before anything starts."""
    factuality = config.factuality
    made_by: dict[str, Any] = {
        "flame_ray": {"version": __version__, "record": FORMAT},
        "responses": {"sha256": survey.sha256},
        "corpus": signature(factuality.corpus, factuality.title_column, factuality.text_column),
        "factuality": factuality.model_dump(mode="json"),
        "score": config.score.model_dump(mode="json"),
    }
    if factuality.checker in ("small", "nli") and (folder := Path(factuality.checker_model or "")).is_dir():
        made_by["weights"] = fingerprint(folder)
    if factuality.asks_verifier:
        made_by |= {"verifier": config.verifier.model_dump(mode="json"), "model": config.model.model_dump(mode="json")}
    return made_by


def _survey(path: Path, strict: bool) -> Survey:
    """Read the file once; `strict` raises DataError at the first bad line."""
    digest, number = hashlib.sha256(), 0
    for number, line in enumerate(_lines(path), start=1):
        digest.update(line)
        if strict and line.strip():
            task_of(parse_row(line, number, str(path)), str(path))
    return Survey(digest.hexdigest(), number)


def _rows(path: Path, after: int, skip: Callable[[DataError], None]) -> Iterator[tuple[Row, Task]]:
    """The lines after line `after` that are not blank; what cannot be read goes to `skip`."""
    for number, line in enumerate(_lines(path), start=1):
        if number <= after or not line.strip():
            continue
        try:
            row = parse_row(line, number, str(path))
            task = task_of(row, str(path))
        except DataError as error:
            skip(error)
            continue
        yield row, task


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise DataError("a file of responses", f"{path}: {error.strerror}", "correct --responses") from error


def _skipping(tally: Tally, console: Console) -> Callable[[DataError], None]:
    def skip(error: DataError) -> None:
        tally.skipped += 1
        if tally.skipped <= REPORTED:
            _say(console, f"skipped: {error}")
        if tally.skipped == REPORTED:
            _say(console, "further lines that are skipped are only counted")

    return skip


def _say(console: Console, words: str) -> None:
    console.print(shown(words), highlight=False, markup=False, soft_wrap=True)
