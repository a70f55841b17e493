"""A checker, or the whole reward, beside human labels: what `flame-ray agreement` calls.

In: a JSONL file of labels and settings. Out: a table, and its figures as JSON. The checker decides at its own threshold,
set beforehand: nothing is chosen on the file. A malformed line ends it before anything starts.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from flame_ray.commands.factuality_pool import FactualityWorkers, Pace, checking
from flame_ray.config import Config
from flame_ray.errors import DataError
from flame_ray.evaluation.agreement import ComparedClaim, ComparedResponse, claim_agreement, response_agreement
from flame_ray.evaluation.labels import LABELS, LabelledResponse, claim_of, response_of
from flame_ray.report.agreement import claims_table, responses_table
from flame_ray.report.progress import Screen
from flame_ray.rewards.factuality.records import Row, parse_row
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Audit, FactScore

GO_ON = "give the command again"
Labelled = TypeVar("Labelled")


def agreement_with(
    config: Config, labels: Path, kind: str, out: Path | None, console: Console, tables: Console
) -> dict[str, Any]:
    """The figures of one file, `kind` claims or responses. Raises DataError before anything starts if it cannot be used."""
    compare, table = (_claims, claims_table) if kind == "claims" else (_responses, responses_table)
    found = compare(config, labels, Screen(console))
    tables.print(table(found))
    if out is not None:
        text = json.dumps({"kind": kind, "labels": str(labels), **found}, indent=1, allow_nan=False, ensure_ascii=False)
        Storage(out.absolute().parent).write(out.name, f"{text}\n".encode())
        console.print(f"written to {out}", highlight=False, markup=False, soft_wrap=True)
    return found


def _claims(config: Config, path: Path, screen: Screen) -> dict[str, Any]:
    labelled = read_labels(path, claim_of)
    if len({each.supported for each in labelled}) < len(LABELS):
        raise DataError("claims of both labels", f"one label in {path}", "add claims of the other one")
    with checking(config, GO_ON, screen, corpus=False) as workers, Pace(screen, "check", "claims", len(labelled)) as pace:
        verdicts = pace.counted(workers.verdicts(each.claim for each in labelled))
        scored = [ComparedClaim.of(*each) for each in zip(labelled, verdicts, strict=True)]
        about = _about(workers)
    return about | claim_agreement(scored, config.run.seed, config.evaluation.bootstrap)


def _responses(config: Config, path: Path, screen: Screen) -> dict[str, Any]:
    given = "corpus" in config.factuality.model_fields_set
    labelled = read_labels(path, lambda row, where: response_of(row, where, given))
    needs_corpus = any(each.task.given is None for each in labelled)
    with checking(config, GO_ON, screen, needs_corpus) as workers, Pace(screen, "score", "responses", len(labelled)) as pace:
        audits = pace.counted(workers.audits((each, each.task) for each in labelled))
        scored = [_compared_response(*each) for each in audits]
        about = _about(workers)
    return about | response_agreement(scored, config.run.seed, config.evaluation.bootstrap)


def read_labels(path: Path, parse: Callable[[Row, str], Labelled]) -> Sequence[Labelled]:
    """Every line of a file, parsed. Raises DataError naming the line."""
    where = str(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError("a file of labels", f"{path}: {error.strerror}", "correct its path") from error
    labelled = [parse(parse_row(line, number, where), where) for number, line in enumerate(lines, start=1) if line.strip()]
    if not labelled:
        raise DataError("a file of labels", f"no line in {path}", "write one JSON object a line")
    return labelled


def _about(workers: FactualityWorkers) -> dict[str, Any]:
    threshold, identity = workers.described()
    return {"checker": identity, "threshold": threshold}


def _compared_response(labelled: LabelledResponse, audit: Audit) -> ComparedResponse:
    task, score = labelled.task, audit.score
    return ComparedResponse(
        task.prompt.text,
        labelled.system,
        len(task.response.text.split()),
        labelled.supported,
        labelled.unsupported,
        score.precision if isinstance(score, FactScore) else None,
        score.unsupported if isinstance(score, FactScore) else 0,
        missing=not isinstance(score, FactScore),
    )
