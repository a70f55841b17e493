"""Reads a person's text files: in UTF-8, perhaps after a byte order mark. What cannot be read is named, with its line."""

import json
from pathlib import Path
from typing import Any

from flame_ray.errors import DataError


def read_text(path: Path, expected: str, fix: str) -> str:
    """The text of a file. Raises DataError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(expected, f"{path}: {reason(error)}", fix) from error
    return decoded(data, path, expected)


def decoded(data: bytes, path: Path, expected: str) -> str:
    """The text that a file's bytes are. Raises DataError."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            expected, f"{path}:{line}: {reason(error)}", "save the file as UTF-8 (of a spreadsheet: as CSV UTF-8)"
        ) from error


def parse_json(text: str, path: Path, expected: str, fix: str) -> Any:
    """The value that a whole file holds. Raises DataError."""
    try:
        return json.loads(text, object_pairs_hook=each_name_once)
    except json.JSONDecodeError as error:
        raise DataError(expected, f"{path}:{error.lineno}: {reason(error)}", fix) from error
    except (ValueError, RecursionError) as error:  # the first: a whole number of thousands of digits
        raise DataError(expected, f"{path}: {reason(error)}", fix) from error


def each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these names and values. Raises ValueError for a name that stands twice, where JSON would take the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} twice in an object")
    return found


def reason(error: BaseException) -> str:
    """Why a file or a line cannot be read, without the words of a library.

    >>> reason(FileNotFoundError(2, "No such file or directory", "a.json"))
    'No such file or directory'
    """
    match error:
        case UnicodeDecodeError():
            return f"bytes that are not UTF-8 (0x{error.object[error.start]:02x})"
        case UnicodeEncodeError():
            return "half of a surrogate pair, which is no character"
        case json.JSONDecodeError():
            return f"{error.msg} in column {error.colno}"
        case RecursionError():
            return "lists or objects too deep in each other"
        case OSError():
            return str(error.strerror or error)
    return "a number too large to keep" if str(error).startswith(("Out of range", "Exceeds the limit")) else str(error)
