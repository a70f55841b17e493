"""Puts the scored groups of a round in order without holding them in memory."""

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from flame_ray.journal.shards import adapter
from flame_ray.report.tables import reward_names
from flame_ray.storage.atomic import storage_errors
from flame_ray.types import ScoredGroup


class _Place(NamedTuple):
    """Where a group lies in the file; sorts by the prompt's id."""

    prompt_id: str
    offset: int
    size: int
    rewards: tuple[str, ...]


class SortedGroups:
    """Groups that come in any order, and go in the order of their prompts' ids.

    Meanwhile they lie in a file without a name, on the disk of `folder` (None: of temporary files), which ends with the
    process. Memory holds where: some 300 bytes a group. Raises StorageError if the disk is full.
    """

    def __init__(self, folder: Path | None):
        self._setting = "run.root" if folder else "TMPDIR"
        self._folder = str(folder or tempfile.gettempdir())
        self._places: list[_Place] = []
        self._size = 0
        with storage_errors(self._folder, setting=self._setting):
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".", suffix=".part")  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def passing(self, groups_P: Iterable[ScoredGroup]) -> Iterator[ScoredGroup]:
        """Keeps each group, and passes it on."""
        for group in groups_P:
            self._add(group)
            yield group

    @property
    def rewards(self) -> tuple[str, ...]:
        """The names of the rewards of all groups, in the order in which the sorted groups show them."""
        return tuple(dict.fromkeys(name for place in sorted(self._places) for name in place.rewards))

    def __iter__(self) -> Iterator[ScoredGroup]:
        for place in sorted(self._places):
            self._file.seek(place.offset)
            yield from adapter(ScoredGroup).validate_json(zlib.decompress(self._file.read(place.size)), strict=True)

    def _add(self, group: ScoredGroup) -> None:
        data = zlib.compress(adapter(ScoredGroup).dump_json([group]), level=1)
        with storage_errors(self._folder, setting=self._setting):
            self._file.write(data)
            self._file.flush()  # a full disk shows here, and not where groups are read
        self._places.append(_Place(group.prompt.id, self._size, len(data), reward_names(group.scored_G)))
        self._size += len(data)
