"""Reads what people filled into a sheet, from JSONL or CSV, and says of each row that cannot be used which line it is."""

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flame_ray.errors import DataError
from flame_ray.storage.jsonl import FIX, Row, read_jsonl
from flame_ray.storage.text_files import read_text
from flame_ray.types import VerdictLabel

LABELS = (VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND)
FLAGS = ("says_nothing", "faithful", "relevant")
OPTIONAL = ("relevant",)
TRUTH = {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}
SEPARATORS = ",;\t"  # spreadsheets of some countries write a semicolon
SHOWN = 5  # lines that a note names


@dataclass(frozen=True, slots=True)
class Answer:
    """What one reader says about one fact. None: the reader left it open."""

    label: VerdictLabel | None = None
    says_nothing: bool | None = None
    faithful: bool | None = None
    relevant: bool | None = None

    @property
    def supported(self) -> bool | None:
        return None if self.label is None else self.label is VerdictLabel.SUPPORTED


@dataclass(frozen=True, slots=True)
class Reader:
    """One file of labels: the answers by the id of their row, without the rows that the reader left empty."""

    name: str
    answers: dict[str, Answer]
    notes: tuple[str, ...] = ()  # rows that are filled in half, by their lines


def sheet_of(path: Path) -> tuple[str, str]:
    """The sheet that the first row of a file belongs to, and where that row is. Raises DataError if there is none."""
    for row in _rows(path):
        return row.text("id").rpartition("-")[0], row.where
    raise DataError("rows of a sheet", f"none in {path}", "give the file that the reader saved")


def read_labels(path: Path, name: str, sheet: str, run: str, ids: Collection[str]) -> Reader:
    """The labels in a file. Raises DataError, naming the line, if it has none, or for a row that cannot be used.

    That is a row of another sheet, a second row of one fact, or a word that is none of the labels. A row that is filled in
    half keeps what it has, and a note names its line.
    """
    answers: dict[str, Answer] = {}
    lines: dict[str, int] = {}
    partial: dict[str, list[int]] = {}
    for row in _rows(path):
        id = _known(row, sheet, run, ids)
        if id in lines:
            found = f"{row.where}: a second row of {id}, first in line {lines[id]}"
            raise DataError("one row a fact", found, "remove one of the two")
        lines[id] = row.number
        answer = _answer(row)
        if answer == Answer():
            continue
        answers[id] = answer
        for gap in _gaps(answer):
            partial.setdefault(gap, []).append(row.number)
    if not any(answer.label for answer in answers.values()):
        found = f"none in the {len(lines)} rows of {path}"
        raise DataError(f"a label ({', '.join(LABELS)})", found, "label some facts, save the labels, and give that file")
    notes = tuple(f"{path}: no `{column}` in {_named(numbers)}" for column, numbers in partial.items())
    return Reader(name, answers, notes)


def reader_names(paths: list[Path]) -> list[str]:
    """The name of each file without its ending; the whole path where two are called the same."""
    stems = [path.stem for path in paths]
    return [stem if stems.count(stem) == 1 else str(path) for stem, path in zip(stems, paths, strict=True)]


def _known(row: Row, sheet: str, run: str, ids: Collection[str]) -> str:
    id = row.text("id")
    if id not in ids:
        other = row.columns.get("run")
        of_run = f" of the run {other}" if isinstance(other, str) and other.strip() and other != run else ""
        fix = "give the labels of that sheet alone, with the run that it was drawn from"
        raise DataError(f"rows of the sheet {sheet} of the run {run}", f"{row.where}: {id!r:.80}{of_run}", fix)
    return id


def _answer(row: Row) -> Answer:
    return Answer(_label(row), *(_flag(row, name) for name in FLAGS))


def _label(row: Row) -> VerdictLabel | None:
    value = row.columns.get("label")
    if _blank(value):
        return None
    word = str(value).strip().lower().replace(" ", "_").replace("-", "_")
    if word not in LABELS:
        raise row.unusable(f"`label` to be one of {', '.join(LABELS)}, or empty", value)
    return VerdictLabel(word)


def _flag(row: Row, name: str) -> bool | None:
    value = row.columns.get(name)
    if _blank(value):
        return None
    found = TRUTH.get(str(value).strip().lower())
    if found is None:
        raise row.unusable(f"`{name}` to be true, false, or empty", value)
    return found


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _gaps(answer: Answer) -> list[str]:
    """The columns that are open although others are filled."""
    return [name for name in ("label", *FLAGS) if name not in OPTIONAL and getattr(answer, name) is None]


def _named(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")
    return f"{'line' if len(numbers) == 1 else f'{len(numbers)} lines:'} {shown}"


def _rows(path: Path) -> Iterator[Row]:
    return _csv_rows(path) if path.suffix.lower() in (".csv", ".tsv") else read_jsonl(path)


def _csv_rows(path: Path) -> Iterator[Row]:
    """The rows of a CSV file with a heading; `number` is the line in which a row begins. Raises DataError."""
    text = read_text(path, "a CSV file in UTF-8", "correct its path or its permissions")
    heading = text.partition("\n")[0]
    table = csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=heading.count), strict=True)
    begin = 1  # the line in which the next row begins
    try:
        names = [name.strip() for name in next(table, [])]
        begin = table.line_num + 1
        for cells in table:
            number, begin = begin, table.line_num + 1
            if any(cell.strip() for cell in cells[len(names) :]):
                raise DataError(f"{len(names)} cells, as in the first line", f"{path}:{number}: {len(cells)}", FIX)
            if any(cell.strip() for cell in cells):
                yield Row(f"{path}:{number}", number, dict(zip(names, cells, strict=False)))
    except csv.Error as error:  # such as a quotation mark that is never closed, which would swallow all further rows
        raise DataError("a CSV file", f"{path}:{begin}: {error}", FIX) from error
