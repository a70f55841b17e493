"""The durable units of a run: what is here has been done and is never done again.

In: records (groups, scores, pairs, training and evaluation reports) as they are finished. Out: the same records, to the
process that resumes the run. A unit counts only once it is stored. Knows nothing of how units are made.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from flame_ray.journal import records
from flame_ray.storage.filesystem import Storage

Record = TypeVar("Record")
PART_ITEMS, PART_S = 32, 1.0  # a part is stored once it has so many records, or is so old


class Units:
    """Named `rounds/<round>/<kind>/<part>.json.gz` for streams, and `rounds/<round>/<kind>.json.gz` for single records."""

    def __init__(self, storage: Storage):
        self._storage = storage

    def has(self, round: int, kind: str) -> bool:
        return self._storage.exists(_single(round, kind))

    def read(self, round: int, kind: str, type: type[Record]) -> Record:
        (record,) = records.load(self._storage, _single(round, kind), type)
        return record

    def write(self, round: int, kind: str, record: Any) -> None:
        records.save(self._storage, _single(round, kind), [record])

    def stream(self, round: int, kind: str, type: type[Record]) -> Iterator[Record]:
        """What earlier processes have stored, part by part."""
        for name in self._storage.names(_folder(round, kind)):
            yield from records.load(self._storage, name, type)

    def keep(self, round: int, kind: str, stream: Iterable[Record]) -> Iterator[Record]:
        """Passes a stream on, each record after it is stored."""
        number = len(self._storage.names(_folder(round, kind)))
        part: list[Record] = []
        opened = 0.0
        for record in stream:
            opened = opened if part else time.monotonic()
            part.append(record)
            if len(part) >= PART_ITEMS or time.monotonic() - opened >= PART_S:
                records.save(self._storage, f"{_folder(round, kind)}/{number:06d}.json.gz", part)
                yield from part
                part, number = [], number + 1
        if part:
            records.save(self._storage, f"{_folder(round, kind)}/{number:06d}.json.gz", part)
            yield from part

    def drop(self, round: int, kind: str) -> None:
        """Forget a stream whose result is stored by now."""
        self._storage.remove(_folder(round, kind))


def _folder(round: int, kind: str) -> str:
    return f"rounds/{round:04d}/{kind}"


def _single(round: int, kind: str) -> str:
    return f"{_folder(round, kind)}.json.gz"
