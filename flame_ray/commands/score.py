"""`flame-ray score`: scores a file of responses without training.

The output has one record for each input line, in the same order; a line that cannot be read has none, and is reported. A
bounded number of lines is in memory, however long the input is. A run that was killed resumes after its last record.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console

from flame_ray import __version__
from flame_ray.cluster.connect import check_address
from flame_ray.commands.out import check_out_file
from flame_ray.commands.resumable_file import ResumableFile
from flame_ray.config import Config
from flame_ray.engines.models import check_checker_model
from flame_ray.errors import DataError
from flame_ray.prompts.embedding_classifier import SENTENCE_LABELS, labels_digest
from flame_ray.report.facts import record_table
from flame_ray.report.progress import Screen
from flame_ray.rewards.factuality.check.finetuned import VERSION
from flame_ray.rewards.factuality.corpus import check_corpus, signature
from flame_ray.rewards.factuality.names import model_contents, verifier_content
from flame_ray.rewards.factuality.records import FORMAT, record_of, task_of
from flame_ray.rewards.factuality.reward import Task
from flame_ray.shown import printable, say
from flame_ray.storage.atomic import sha256_of
from flame_ray.storage.jsonl import Row, read_jsonl

REPORTED = 100  # bad lines that are printed; further ones are only counted
AFTER_INTERRUPT = "run the same command again: it resumes after the last record"


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Which file to score. `strict` refuses a file with a bad line before anything starts; `table` prints each record."""

    responses: Path
    out: Path
    strict: bool = False
    table: bool = False


@dataclass(slots=True)
class Totals:
    """Counts over the responses that this process has scored."""

    scored: int = 0
    skipped: int = 0
    abstained: int = 0
    missing: int = 0
    facts: int = 0
    failed: int = 0
    with_precision: int = 0
    precisions: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def add(self, record: dict[str, Any]) -> None:
        self.scored += 1
        self.missing += record["missing"] is not None
        self.abstained += bool(record["abstained"])
        self.facts += len(record["facts"])
        self.failed += record["failed"] or 0
        if record["precision"] is not None:
            self.with_precision += 1
            self.precisions += record["precision"]

    def __str__(self) -> str:
        if not (self.scored or self.skipped):
            return "nothing is left to score"
        speed = self.scored / max(time.monotonic() - self.started, 1e-9)
        n = self.with_precision
        mean = f"mean precision {self.precisions / n:.3f} (n {n})" if n else ""
        failed = f" ({self.failed} failed)" if self.failed else ""
        counts = f"{self.facts} facts{failed}, {self.abstained} abstained, {self.missing} missing, {self.skipped} lines skipped"
        return ", ".join(filter(None, (f"{self.scored} scored at {speed:.3g} a second", mean, counts)))


class Output:
    """What the user sees: skipped lines and totals on `console`, and records on `tables` if there is one."""

    def __init__(self, console: Console, tables: Console | None):
        self.console, self._tables, self.totals = console, tables, Totals()

    def say(self, words: str) -> None:
        say(self.console, printable(words))

    def skip(self, error: DataError) -> None:
        self.totals.skipped += 1
        if self.totals.skipped <= REPORTED:
            self.say(f"skipped: {error}")
        if self.totals.skipped == REPORTED:
            self.say("further lines that are skipped are only counted")

    def show(self, record: dict[str, Any]) -> None:
        if self._tables:
            self._tables.print(record_table(record))


def score_file(config: Config, request: ScoreRequest, console: Console, tables: Console) -> Totals:
    """Score every line that has no record yet. Raises a FlameError when it cannot go on; written records stay.

    Messages go to `console`, and records to `tables` if the request asks for them.
    """
    check_out_file(request.out, {"--responses": request.responses})
    check_address(config.cluster)
    check_corpus(config.factuality.corpus, config.factuality.title_column, config.factuality.text_column)
    check_checker_model(config.factuality)
    digest, lines = _examine(request.responses, request.strict, config.score.max_bad_lines)
    output = Output(console, tables if request.table else None)
    with ResumableFile(request.out, _made_by(config, digest)) as file:
        if file.last:
            output.say(f"{request.out} holds the scores up to line {file.last}")
        for record in file.records() if request.table else ():
            output.show(record)
        tasks = _tasks(request.responses, file.last, output)
        if first := next(tasks, None):
            _score(config, chain([first], tasks), file, output, lines)
        if not (output.totals.scored or file.last):
            fix = "write one JSON object a line, with `prompt` and `response`"
            raise DataError("a response to score", f"none in {request.responses}", fix)
    output.say(f"{output.totals}: {request.out}")
    return output.totals


def _score(config: Config, tasks: Iterator[tuple[Row, Task]], file: ResumableFile, output: Output, lines: int) -> None:
    # torch and Ray take seconds to import: only when there is something to score
    from flame_ray.commands.factuality_pool import factuality_workers

    screen = Screen(output.console)
    with factuality_workers(config, AFTER_INTERRUPT, screen) as workers, closing(screen.begin("score")) as bar:
        output.totals.started = time.monotonic()
        for row, result in workers.scores(tasks):
            record = record_of(row, result, config.score)
            file.append(record)
            output.totals.add(record)
            bar.advance(row.number, lines)
            output.show(record)


def _made_by(config: Config, digest: str) -> dict[str, Any]:
    """What the scores depend on, as far as it is known before anything starts. `digest` is the sha256 of the input."""
    return facts_made_by(config) | {
        "responses": {"sha256": digest},
        "score": config.score.model_dump(mode="json", exclude={"max_bad_lines"}),
    }


def facts_made_by(config: Config) -> dict[str, Any]:
    """What the facts of a response, and the verdicts on them, depend on."""
    factuality = config.factuality
    made_by: dict[str, Any] = {
        "flame_ray": {"version": __version__, "record": FORMAT, "small checker": VERSION},
        "corpus": signature(factuality.corpus, factuality.title_column, factuality.text_column),
        "factuality": factuality.model_dump(mode="json"),
    }
    if contents := facts_contents(config):
        made_by["contents"] = contents  # not under the name of a section that a resume may change, such as `weights`
    if factuality.asks_verifier:
        made_by |= {"verifier": config.verifier.model_dump(mode="json"), "model": config.model.model_dump(mode="json")}
    return made_by


def facts_contents(config: Config) -> dict[str, str]:
    """What tells the content of the models and labels that the factuality reward reads, beside its corpus."""
    contents = model_contents(config.factuality)
    if config.factuality.asks_verifier:
        contents["verifier"] = verifier_content(config)
    if labels := config.factuality.sentence_labels:
        contents["sentence_labels"] = labels_digest(labels, SENTENCE_LABELS)
    return contents


def _examine(path: Path, strict: bool, most: float = 1.0) -> tuple[str, int]:
    """The sha256 and the number of lines of the input.

    Raises DataError if it cannot be read, at a bad line if `strict`, or for a larger share than `most` of bad lines.
    """
    try:
        digest = sha256_of(path)
        with path.open("rb") as file:
            lines = sum(1 for _ in file)
    except OSError as error:
        raise DataError("a file of responses", f"{path}: {error.strerror}", "correct --responses") from error
    bad = list[DataError]()
    good = sum(1 for _ in _readable(path, 0, _raise if strict else bad.append))
    if good and len(bad) > most * (good + len(bad)):  # of a file without a good line, `score_file` says that
        found = f"{len(bad)} of {good + len(bad)} in {path}; the first: {bad[0].found}"
        fix = f"{bad[0].fix}, or --set score.max_bad_lines=1 to skip any number"
        raise DataError(f"malformed lines up to a share of {most:g} (score.max_bad_lines)", found, fix)
    return digest, lines


def _raise(error: DataError) -> None:
    raise error


def _tasks(path: Path, after: int, output: Output) -> Iterator[tuple[Row, Task]]:
    """The rows after line `after` with their tasks. Rows that cannot be read are skipped, and reported."""
    return _readable(path, after, output.skip)


def _readable(path: Path, after: int, skip: Callable[[DataError], None]) -> Iterator[tuple[Row, Task]]:
    for row in read_jsonl(path, after, skip):
        try:
            task = task_of(row)
        except DataError as error:
            skip(error)
        else:
            yield row, task
