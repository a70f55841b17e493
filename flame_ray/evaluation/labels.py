"""Lines of human labels -> claims and responses to be compared with them. Pure.

In: rows of JSONL. Out: what to check, beside what people said; or a DataError that names the file and the line.
"""

from dataclasses import dataclass

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.records import FIX, Row, passages_of, task_of, text_of, texts_of
from flame_ray.rewards.factuality.reward import Task
from flame_ray.types import Claim, Fact, LabelledClaim

LABELS = {"supported": True, "not_supported": False}


@dataclass(frozen=True, slots=True)
class LabelledResponse:
    """A response of a system, and how many of its facts people call supported, and unsupported."""

    task: Task
    system: str
    supported: int
    unsupported: int


def claim_of(row: Row, where: str) -> LabelledClaim:
    """Columns `claim`, `evidence` (a list of texts), `label` (`supported` or `not_supported`) and perhaps `group`."""
    text, evidence = text_of(row, "claim", where), texts_of(row, "evidence", where)
    label = text_of(row, "label", where)
    if label not in LABELS:
        raise DataError(f"`label` to be one of {', '.join(LABELS)}", f"{where}:{row.number}: {label!r:.80}", FIX)
    group = None if row.columns.get("group") is None else text_of(row, "group", where)
    return LabelledClaim(Claim(Fact(text, 0), passages_of(evidence)), LABELS[label], group)


def response_of(row: Row, where: str, corpus: bool) -> LabelledResponse:
    """Columns `prompt`, `response`, `system`, `supported`, `unsupported`, and `evidence` unless there is a `corpus`."""
    if not corpus and "evidence" not in row.columns:
        found = f"{where}:{row.number}: neither"
        raise DataError("a column `evidence` (a list of texts), or --corpus", found, "give --corpus, or add the column")
    counts = (_count(row, "supported", where), _count(row, "unsupported", where))
    return LabelledResponse(task_of(row, where), text_of(row, "system", where), *counts)


def _count(row: Row, column: str, where: str) -> int:
    value = row.columns.get(column)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DataError(f"a count of facts in the column `{column}`", f"{where}:{row.number}: {value!r:.80}", FIX)
    return value
