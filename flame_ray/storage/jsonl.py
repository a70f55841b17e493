"""JSONL: one JSON object a line, in UTF-8. A file of any length, perhaps after a byte order mark, is read in little memory."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flame_ray.errors import DataError
from flame_ray.shown import as_json, kind_of
from flame_ray.storage.atomic import write_file
from flame_ray.storage.text_files import each_name_once, reason

MAX_LINE = 64 * 2**20  # bytes: a file without line breaks does not fill the memory
FIX = "correct or remove that line"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: its place, such as "mine.jsonl:12", its number from 1, and its columns."""

    where: str
    number: int
    columns: dict[str, Any]

    def text(self, column: str, blank: bool = False) -> str:
        """The text in a column, which may be empty if `blank`. Raises DataError."""
        if column not in self.columns:
            raise DataError(f"a column `{column}`", f"{self.where}: the columns {', '.join(self.columns) or 'none'}", FIX)
        value = self.columns[column]
        if not isinstance(value, str) or not (blank or value.strip()):
            raise self.unusable(f"text in the column `{column}`", value)
        return value

    def texts(self, column: str) -> tuple[str, ...]:
        """The list of texts in a column. Raises DataError."""
        value = self.columns.get(column)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.unusable(f"a list of texts in the column `{column}`", value)
        return tuple(value)

    def unusable(self, expected: str, value: Any) -> DataError:
        """The error that shows a value of this row beside what was expected of it."""
        return DataError(expected, f"{self.where}: {as_json(value)}", FIX)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]], setting: str) -> None:
    """Replaces a file, as `write_file` does. Raises StorageError, and ValueError for a number that JSON has not."""
    write_file(path, "".join(map(json_line, rows)).encode(), setting)


def json_line(row: Mapping[str, Any]) -> str:
    """A row as a line of a file, with its end."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def check_unicode(columns: dict[str, Any], where: str) -> None:
    """Raise DataError for half of a surrogate pair, which no file can be written with."""
    try:
        json.dumps(columns, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError("text in UTF-8", f"{where}: {reason(error)}", FIX) from error


def read_jsonl(path: Path, after: int = 0, skip: Callable[[DataError], None] | None = None) -> Iterator[Row]:
    """The rows after line `after`; blank lines have none. Raises DataError, naming file and line, at the first bad line.

    With `skip`, bad lines do not end the reading: `skip` is called with the error of each.
    """
    for number, line in enumerate(_lines(path), start=1):
        if number <= after or not line.strip():
            continue
        try:
            row = parse_line(line, number, str(path))
        except DataError as error:
            if skip is None:
                raise
            skip(error)
        else:
            yield row


def parse_line(line: bytes, number: int, path: str) -> Row:
    """The row of one line. Raises DataError, also for what JSON cannot hold: NaN, numbers beyond a double's range, and half
    of a surrogate pair.
    """
    where = f"{path}:{number}"
    if len(line) > MAX_LINE:
        raise DataError(f"lines of at most {MAX_LINE >> 20} MiB", f"{where}: a longer one", "write one JSON object a line")
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        columns = json.loads(text, parse_constant=_refuse, object_pairs_hook=each_name_once)
        json.dumps(columns, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise DataError("one JSON object a line, in UTF-8", f"{where}: {reason(error)}", FIX) from error
    if not isinstance(columns, dict):
        raise DataError("one JSON object a line", f"{where}: {kind_of(columns)}", FIX)
    return Row(where, number, columns)


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file; of one that is too long, only its beginning."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                yield line
                while len(line) > MAX_LINE and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE + 1)
    except (OSError, EOFError, zlib.error) as error:  # the last two: a compressed file that is cut off, or damaged
        raise DataError(
            "a file that can be read",
            f"{path}: {reason(error)}",
            "correct its path or its permissions",
        ) from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
