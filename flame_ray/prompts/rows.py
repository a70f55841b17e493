"""Reads the rows of a table that a setting names: a JSONL, JSON or Parquet file, or a `datasets` name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flame_ray.errors import DataError
from flame_ray.shown import as_json, kind_of
from flame_ray.storage.jsonl import Row, check_unicode, read_jsonl
from flame_ray.storage.text_files import parse_json, read_text

FILES = {".jsonl", ".json", ".parquet", ".csv", ".tsv", ".txt", ".gz"}  # what looks like a file, if it can be read or not


def read_rows(name: str, setting: str, built_in: tuple[str, ...] = (), texts: str | None = None) -> Iterator[Row]:
    """The rows of a source, with their places. Raises DataError, naming `setting`, for a source that cannot be read.

    A JSONL file may be compressed (`.jsonl.gz`). A JSON file holds one list of objects, and is read as a whole; with `texts` it
    may hold a list of texts, each of which is a row with that column.
    """
    path = Path(name).expanduser()
    if path.suffix in FILES and not path.is_file():
        fix = f"correct the path in {setting}; it is looked up from {Path.cwd()}"
        raise DataError("a prompt file", f"{'a folder' if path.is_dir() else 'nothing'} at {path}", fix)
    match path.suffixes[-2:]:
        case [*_, ".jsonl"] | [".jsonl", ".gz"]:
            return read_jsonl(path)
        case [*_, ".parquet"]:
            return _parquet_rows(path)
        case [*_, ".json"]:
            return json_rows(path, texts)
    if path.suffix in FILES:
        raise DataError("a .jsonl or .parquet file", str(path), "write one JSON object a line, with the prompt in a column")
    return _dataset_rows(name, built_in)


def json_rows(path: Path, texts: str | None) -> Iterator[Row]:
    """The objects of a JSON file with one list of them; with `texts`, the list may be of texts, each of which is that column of
    a row. Raises DataError for any other file.
    """
    expected, fix = "a JSON file with one list of objects" + (" or of texts" if texts else ""), "write the file again"
    items = parse_json(read_text(path, expected, fix), path, expected, fix)
    if texts and isinstance(items, list) and all(isinstance(each, str) for each in items):
        items = [{texts: each} for each in items]
    strange = [each for each in items if not isinstance(each, dict)] if isinstance(items, list) else []
    if strange or not isinstance(items, list):
        found = f"{path}: {kind_of(items)}" + "".join(f" with {as_json(each)}" for each in strange[:1])
        raise DataError(expected, found, "write one JSON object a line, as .jsonl")
    for number, item in enumerate(items, start=1):
        check_unicode(item, f"{path}: item {number}")
        yield Row(f"{path}: item {number}", number, item)


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError("a readable Parquet file", f"{path}: {error}", "write the file again") from error
    return (Row(f"{path}: row {number}", number, row) for number, row in enumerate(rows, start=1))


def _dataset_rows(name: str, built_in: tuple[str, ...]) -> Iterator[Row]:
    import datasets  # takes seconds, so only when it is needed

    try:
        rows: Any = datasets.load_dataset(name, split="train")
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:  # the last: damaged files
        fix = f"name {_one_of(built_in)}a .jsonl or .parquet file, or a data set that this machine can load"
        raise DataError(f"a data set {name!r} with a split `train`", str(error), fix) from error
    return (Row(f"{name}: row {number}", number, dict(row)) for number, row in enumerate(rows, start=1))


def _one_of(built_in: tuple[str, ...]) -> str:
    return f"one of {', '.join(built_in)}, " if built_in else ""
