"""The user's own corpus: a JSONL or Parquet file, read as a stream.

In: a path, and the columns of title and text. Out: passages, or a DataError that names the file and the line. A file of any
size is read in little memory.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.corpus.rows import passages_of
from flame_ray.types import Passage

JSONL_FIX = "write one JSON object a line, in UTF-8"


def existing(source: str) -> Path:
    """The file, or a DataError."""
    path = Path(source).expanduser()
    if not path.is_file():
        raise DataError("a corpus file", f"nothing at {path}", "correct factuality.corpus, or use the built-in `factbook`")
    return path


def read_jsonl(path: Path, columns: tuple[str, str]) -> Iterator[Passage]:
    """One row a line; empty lines are passed over."""
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError("one JSON object a line", f"{path}:{number}: {error}", JSONL_FIX) from error
        if not isinstance(row, dict):
            raise DataError("one JSON object a line", f"{path}:{number}: a {type(row).__name__}", JSONL_FIX)
        yield from passages_of(row, columns, f"{path}:{number}", f"{path.stem}/{number}")


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from file  # not splitlines: U+2028 may stand inside a string
    except UnicodeDecodeError as error:
        raise DataError("a JSONL file in UTF-8", f"{path}: {error}", JSONL_FIX) from error


def read_parquet(path: Path, columns: tuple[str, str]) -> Iterator[Passage]:
    """The two columns alone are read, some rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, memory_map=True)
        wanted = list(columns) if set(columns) <= set(file.schema_arrow.names) else None
        rows = (row for batch in file.iter_batches(4096, columns=wanted) for row in batch.to_pylist())
        for number, row in enumerate(rows, 1):
            yield from passages_of(row, columns, f"{path}:{number}", f"{path.stem}/{number}")
    except (pa.ArrowException, OSError) as error:
        raise DataError("a Parquet file", f"{path}: {error}", "write it again, or name another corpus") from error
