"""Reads the data of suites: texts, JSON and JSONL. What is missing or malformed is an error that says where to find it."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from flame_ray.errors import ConfigError, DataError
from flame_ray.prompts.instructions import each_instance, joined
from flame_ray.prompts.rows import json_rows
from flame_ray.prompts.split import stable_fraction
from flame_ray.shown import as_json
from flame_ray.storage.jsonl import Row, read_jsonl
from flame_ray.storage.text_files import read_text
from flame_ray.types import Prompt

PROMPT = "prompt"  # the column of the texts of a list
TEXT, FIX = "a text in UTF-8 that can be read", "correct the path, or the file"


def data_path(setting: str, value: str | None, public: str) -> Path:
    """Where a suite's data is. Raises ConfigError if no setting names it, DataError if nothing is there.

    `public` says where people find the data.
    """
    fix = f"--set suites.{setting}=PATH; {public}"
    if value is None:
        raise ConfigError(f"suites.{setting} to name the suite's data, which does not ship", "no value", fix)
    path = Path(value).expanduser()
    if not path.exists():
        raise DataError(f"the data that suites.{setting} names", f"nothing at {path}", fix)
    return path


def data_file(folder: Path, name: str, setting: str, public: str) -> Path:
    """A file of a suite's folder; the file itself may be named in place of the folder. Raises DataError."""
    path = folder / name if folder.is_dir() else folder
    if path.name != name or not path.is_file():
        raise DataError(f"{name} in the folder that suites.{setting} names", f"none at {folder}", f"{public}")
    return path


def suite_rows(path: Path) -> Iterator[Row]:
    """The rows of a .jsonl file, of a .json file that is a list, or of a .csv file with a heading. Raises DataError."""
    if path.suffix == ".jsonl":
        return each_instance(read_jsonl(path))
    if path.suffix == ".csv":
        return _read_csv(path)
    return each_instance(json_rows(path, PROMPT))


def instruction_of(row: Row, column: str) -> str:
    """The instruction in a column, with the text that it is about if a column `input` has one. Raises DataError."""
    text = row.text(column).strip()
    return joined(text, row.text("input", blank=True)) if row.columns.get("input") else text


def read_lines(path: Path) -> list[str]:
    """The lines of a text that are not blank, without blanks around them. Raises DataError, naming a line that is JSON."""
    lines = [line.strip() for line in read_text(path, TEXT, FIX).split("\n")]
    for number, line in enumerate(lines, start=1):
        if _is_json(line):
            fix = "write the texts alone, one a line; where prompts may be JSON, call the file .json or .jsonl"
            raise DataError("a text a line", f"{path}:{number}: JSON, {as_json(line)}", fix)
    return [line for line in lines if line]


def make_prompts(suite: str, texts: Iterable[str], limit: int | None) -> tuple[Prompt, ...]:
    """One prompt for each different text that needs facts, at most `limit` of them. Raises DataError if there is none.

    Which ones are taken, and their ids, depend on their texts alone, so that a larger limit adds prompts to a smaller one's.
    """
    ids = {f"{suite}/{int(stable_fraction(text) * 2**48):012x}": text for text in dict.fromkeys(map(str.strip, texts)) if text}
    if not ids:
        raise DataError(f"prompts for the suite {suite}", "none in its data", "correct the file that its setting names")
    kept = set(sorted(ids)[:limit])
    return tuple(Prompt(id, text, fact_based=True) for id, text in ids.items() if id in kept)


def _is_json(line: str) -> bool:
    """Whether a line is a list or an object, or where one that takes several lines begins.

    >>> [_is_json(line) for line in ('{"name": "Ada"},', "[", "[Ada] Lovelace", "1")]
    [True, True, False, False]
    """
    try:
        return line in ("[", "{") or isinstance(json.loads(line.removesuffix(",")), list | dict)
    except (ValueError, RecursionError):
        return False


def _read_csv(path: Path) -> Iterator[Row]:
    text = io.StringIO(read_text(path, TEXT, FIX), newline="")
    try:
        rows: list[dict[str, Any]] = list(csv.DictReader(text))
    except csv.Error as error:
        raise DataError("a CSV file with a heading", f"{path}: {error}", FIX) from error
    return (Row(f"{path}: row {number}", number, row) for number, row in enumerate(rows, start=1))
