"""Where a learner's states lie in a run's folder, and which of them is the newest that is whole.

In: rounds. Out: folders: `checkpoints/round-0001/state` after a round, `.../steps/000001` inside one, beside `adapter` and
`merged` for other tools. What has another name is left alone. Knows nothing of what a state holds.
"""

import re
from contextlib import suppress
from pathlib import Path

from flame_ray.errors import StorageError
from flame_ray.storage.atomic import MANIFEST, verify_manifest
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.local_copy import Folder, folder_of

ROUND = re.compile(r"round-(\d{4}|[1-9]\d{4,})")
STEP = re.compile(r"\d{6}")


class Checkpoints:
    """`keep`: how many rounds' folders stay; None keeps all."""

    def __init__(self, root: Folder, keep: int | None = None):
        self._storage, self._keep = Storage(str(root)), keep
        self._root = folder_of(self._storage)

    def round(self, round: int) -> Folder:
        return self._root / _name(round)

    def state(self, round: int) -> Folder:
        return self.round(round) / "state"

    def next_step(self, round: int) -> Folder:
        """A new folder for a state inside a round."""
        last = max([0, *map(int, self._steps(round))])
        return self.round(round) / "steps" / f"{last + 1:06d}"

    def trained(self) -> int:
        """The last round that was trained to its end; 0 when there is none."""
        return max((number for number in self._rounds() if self._is_whole(f"{_name(number)}/state")), default=0)

    def newest(self) -> Folder | None:
        """The state to go on from. Raises StorageError naming the file that is missing or damaged.

        On an object store the nodes that fetch a state see whether it is damaged.
        """
        trained = self.trained()
        steps = self._steps(trained + 1)
        folder = self.round(trained + 1) / "steps" / steps[-1] if steps else self.state(trained) if trained else None
        if isinstance(folder, Path):
            verify_manifest(folder)
        return folder

    def finished(self, round: int) -> None:
        """The round's state is whole: what it replaces may go."""
        with suppress(StorageError):
            self._storage.remove(f"{_name(round)}/steps")

    def prune(self) -> None:
        """Let go of all but the last rounds; only once the samplers have the newest, as some read it from its folder."""
        if self._keep:
            for old in self._rounds()[: -self._keep]:
                self._storage.remove(_name(old))

    def _rounds(self) -> list[int]:
        found = {name.partition("/")[0] for name in self._storage.names()}
        return sorted(int(match[1]) for match in map(ROUND.fullmatch, found) if match)

    def _steps(self, round: int) -> list[str]:
        """Names of the whole states inside a round, in order."""
        folder = f"{_name(round)}/steps"
        found = {name.removeprefix(f"{folder}/").partition("/")[0] for name in self._storage.names(folder)}
        return sorted(step for step in found if STEP.fullmatch(step) and self._is_whole(f"{folder}/{step}"))

    def _is_whole(self, name: str) -> bool:
        """On a disk a folder gets its name when it is whole; on an object store its manifest comes last."""
        return self._storage.exists(name if self._storage.local else f"{name}/{MANIFEST}")


def _name(round: int) -> str:
    return f"round-{round:04d}"
