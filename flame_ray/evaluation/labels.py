"""Reads files of human labels: claims that are supported or not, and responses with counts of supported facts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.records import passages_of, task_of
from flame_ray.rewards.factuality.reward import Task
from flame_ray.storage.jsonl import Row, read_jsonl
from flame_ray.types import Claim, Fact, LabelledClaim

LABELS = {"supported": True, "not_supported": False}
Labelled = TypeVar("Labelled")


@dataclass(frozen=True, slots=True)
class LabelledResponse:
    """A response of a system, and how many of its facts people call supported and unsupported."""

    task: Task
    system: str
    supported: int
    unsupported: int


def read_claims(path: Path) -> list[LabelledClaim]:
    """Every claim of a JSONL file. Raises DataError, naming the line; also if there is none."""
    return _read(path, claim_of)


def read_responses(path: Path, corpus: bool) -> list[LabelledResponse]:
    """Every response of a JSONL file. Raises DataError, naming the line; also if there is none."""
    return _read(path, lambda row: response_of(row, corpus))


def _read(path: Path, parse: Callable[[Row], Labelled]) -> list[Labelled]:
    labelled = [parse(row) for row in read_jsonl(path)]
    if not labelled:
        raise DataError("a file of labels", f"no line in {path}", "write one JSON object a line")
    return labelled


def claim_of(row: Row) -> LabelledClaim:
    """Columns `claim`, `evidence` (a list of texts), `label` (`supported` or `not_supported`), and optionally `group`."""
    text, evidence, label = row.text("claim"), row.texts("evidence"), row.text("label")
    if label not in LABELS:
        raise row.unusable(f"`label` to be one of {', '.join(LABELS)}", label)
    group = None if row.columns.get("group") is None else row.text("group")
    return LabelledClaim(Claim(Fact(text, 0), passages_of(evidence)), LABELS[label], group)


def response_of(row: Row, corpus: bool) -> LabelledResponse:
    """Columns `prompt`, `response`, `system`, `supported`, `unsupported`, and `evidence` unless there is a `corpus`."""
    if not corpus and "evidence" not in row.columns:
        expected = "a column `evidence` (a list of texts), or --corpus"
        raise DataError(expected, f"{row.where}: neither", "give --corpus, or add the column")
    return LabelledResponse(task_of(row), row.text("system"), _count(row, "supported"), _count(row, "unsupported"))


def _count(row: Row, column: str) -> int:
    value = row.columns.get(column)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise row.unusable(f"a count of facts in the column `{column}`", value)
    return value
