"""Stores what a run has made, as typed records in shards of gzipped JSON, so that a resumed run need not make it again.

The same records give the same bytes. What is read equals what was written, class by class and bit by bit, NaN and infinities
too, so that a resumed run continues like one that never stopped.
"""

import gzip
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from flame_ray.errors import StorageError
from flame_ray.pairs import compact, compact_graded
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Graded, Pair, PairCounts, PairSet

Record = TypeVar("Record")
SHARD_RECORDS, SHARD_S = 32, 1.0  # a shard of a stream is stored once it has this many records, or is this old
SHARD_PAIRS = 256


class Shards:
    """The shards of a run: `rounds/<round>/<kind>/<number>.json.gz` for streams, `rounds/<round>/<kind>.json.gz` for single
    records.
    """

    def __init__(self, storage: Storage):
        self._storage = storage

    def has(self, round: int, kind: str) -> bool:
        return self._storage.exists(_single(round, kind))

    def read(self, round: int, kind: str, type: type[Record]) -> Record:
        (record,) = load(self._storage, _single(round, kind), type)
        return record

    def write(self, round: int, kind: str, record: Any) -> None:
        save(self._storage, _single(round, kind), [record])

    def stream(self, round: int, kind: str, type: type[Record]) -> Iterator[Record]:
        """The stored records of a stream, shard by shard."""
        for name in self._storage.names(_folder(round, kind)):
            yield from load(self._storage, name, type)

    def store(self, round: int, kind: str, stream: Iterable[Record]) -> Iterator[Record]:
        """Passes a stream on, each record after it is stored. New shards follow those of earlier processes."""
        return append(self._storage, _folder(round, kind), stream)

    def write_pairs(self, round: int, pairs: PairSet) -> None:
        """The pairs and the single responses in shards, then their counts: `has(round, "pairs")` once all is there."""
        for kind, records in (("pairs", pairs.pairs_D), ("graded", pairs.graded_D)):
            self.remove(round, kind)
            for number, start in enumerate(range(0, len(records), SHARD_PAIRS)):
                save(self._storage, f"{_folder(round, kind)}/{number:06d}.json.gz", records[start : start + SHARD_PAIRS])
        self.write(round, "pairs", pairs.counts)

    def read_pairs(self, round: int) -> PairSet:
        counts = self.read(round, "pairs", PairCounts)
        pairs_D = tuple(compact(self.stream(round, "pairs", Pair)))
        graded_D = tuple(compact_graded(self.stream(round, "graded", Graded)))
        return PairSet(pairs_D, counts.dropped, counts.responses, counts.truncated, graded_D)

    def remove(self, round: int, kind: str) -> None:
        """Removes a stream."""
        self._storage.remove(_folder(round, kind))


def append(
    storage: Storage, folder: str, stream: Iterable[Record], stored: Callable[[Record], Any | None] = lambda record: record
) -> Iterator[Record]:
    """Passes a stream on, each record after it is stored in a shard that follows those of the folder.

    `stored`: what is stored of a record; None: nothing.
    """
    number = len(storage.names(folder))
    for shard in _shards(stream):
        if kept := [each for each in map(stored, shard) if each is not None]:
            save(storage, f"{folder}/{number:06d}.json.gz", kept)
            number += 1
        yield from shard


def _shards(stream: Iterable[Record]) -> Iterator[list[Record]]:
    shard: list[Record] = []
    opened = 0.0
    for record in stream:
        opened = opened if shard else time.monotonic()
        shard.append(record)
        if len(shard) >= SHARD_RECORDS or time.monotonic() - opened >= SHARD_S:
            yield shard
            shard = []
    if shard:
        yield shard


def save(storage: Storage, name: str, records: Sequence[Any]) -> None:
    """Writes records of one type. Raises ValueError for a record that differs from its annotations, before it writes."""
    data = b"[]"
    if records:
        json = adapter(type(records[0]))
        data = json.dump_json(list(records), warnings="error")
        json.validate_json(data, strict=True)
    storage.write(name, gzip.compress(data, compresslevel=1, mtime=0))


def load(storage: Storage, name: str, kind: type[Record]) -> list[Record]:
    """Reads records of this type. Raises StorageError, naming the file, if it is missing, damaged or of another type."""
    data = storage.read(name)
    try:
        return adapter(kind).validate_json(gzip.decompress(data), strict=True)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _unusable(storage, name, kind, f"a damaged file ({error})") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        found = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise _unusable(storage, name, kind, found) from error


def _new_adapter(kind: Any) -> TypeAdapter[list[Any]]:
    """Between records of this type and JSON.

    It forbids unknown keys, so that a member of a union is never read as another one with fewer fields.
    """
    return TypeAdapter(list[kind], config=ConfigDict(extra="forbid", ser_json_inf_nan="constants"))


adapter: Callable[[Any], TypeAdapter[list[Any]]] = cache(_new_adapter)  # making one takes longer than a small shard


def _unusable(storage: Storage, name: str, kind: type, found: str) -> StorageError:
    expected = f"{kind.__name__} records in {storage.at(name)}"
    return StorageError(expected, found, "remove the file, and the run makes it again")


def _folder(round: int, kind: str) -> str:
    return f"rounds/{round:04d}/{kind}"


def _single(round: int, kind: str) -> str:
    return f"{_folder(round, kind)}.json.gz"
