"""Where a learner's states lie in a run's folder, and which of them is the newest that is whole.

In: rounds. Out: folders: `checkpoints/round-0001/state` after a round, `.../steps/000001` inside one, beside `adapter` and
`merged` for other tools. Knows nothing of what a state holds.
"""

import shutil
from pathlib import Path

from flame_ray.learner.checkpoint import verify_manifest


class Checkpoints:
    """`keep`: how many rounds' folders stay; None keeps all."""

    def __init__(self, root: Path, keep: int | None = None):
        self._root, self._keep = root.absolute(), keep

    def round(self, round: int) -> Path:
        return self._root / f"round-{round:04d}"

    def state(self, round: int) -> Path:
        return self.round(round) / "state"

    def next_step(self, round: int) -> Path:
        """A new folder for a state inside a round."""
        return self.round(round) / "steps" / f"{len(self._steps(round)) + 1:06d}"

    def trained(self) -> int:
        """The last round that was trained to its end; 0 when there is none."""
        return max((number for number in self._rounds() if self.state(number).is_dir()), default=0)

    def newest(self) -> Path | None:
        """The state to go on from. Raises StorageError naming the file that is missing or damaged."""
        trained = self.trained()
        folder = next(iter(reversed(self._steps(trained + 1))), self.state(trained) if trained else None)
        if folder is not None:
            verify_manifest(folder)
        return folder

    def finished(self, round: int) -> None:
        """The round's state is whole: what it replaces may go."""
        shutil.rmtree(self.round(round) / "steps", ignore_errors=True)

    def prune(self) -> None:
        """Let go of all but the last rounds; only once the samplers have the newest, as some read it from its folder."""
        if self._keep:
            for old in self._rounds()[: -self._keep]:
                shutil.rmtree(self.round(old))

    def _rounds(self) -> list[int]:
        return sorted(int(path.name.removeprefix("round-")) for path in self._root.glob("round-*"))

    def _steps(self, round: int) -> list[Path]:
        return sorted(path for path in (self.round(round) / "steps").glob("*") if path.name.isdigit())
