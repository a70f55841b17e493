"""Names the folders of a run's checkpoints, finds the state that the learner resumes from, and delivers the best round.

`checkpoints/round-0001/state` is the state after round 1; `.../round-0001/steps/000001` is one inside it. `adapter` and
`merged`, beside `state`, are for other tools. `checkpoints/choice.json` holds the last choice of the best round, and `best/`,
beside `checkpoints/`, that round's `adapter` and `merged`. Folders with other names are left alone.
"""

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flame_ray.errors import StorageError
from flame_ray.shown import hide_secrets
from flame_ray.storage.atomic import MANIFEST, verify_manifest
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.local_copy import Folder, folder_of

ROUND = re.compile(r"round-(\d{4}|[1-9]\d{4,})")
STEP = re.compile(r"\d{6}")
BEST, CHOICE = "best", "choice.json"
MODELS = ("adapter", "merged")


@dataclass(frozen=True, slots=True)
class Choice:
    """After `round` the best round so far is `best`, and the next round starts from the weights of `restart`."""

    round: int
    best: int
    restart: int


class Checkpoints:
    """`keep`: how many of the latest rounds `prune` leaves, beside the best one; None keeps all."""

    def __init__(self, root: Folder, keep: int | None = None):
        self._storage, self._keep = Storage(str(root)), keep
        self._root = folder_of(self._storage)
        self._run = Storage(str(self._root.parent))

    def round(self, round: int) -> Folder:
        return self._root / round_name(round)

    def state(self, round: int) -> Folder:
        return self.round(round) / "state"

    def next_step(self, round: int) -> Folder:
        """The folder for the next state inside a round."""
        last = max([0, *map(int, self._steps(round))])
        return self.round(round) / "steps" / f"{last + 1:06d}"

    def trained(self) -> int:
        """The last round that is trained to its end; 0 if there is none."""
        newest_first = reversed(self._rounds())  # a look at each is a request, where they are in a bucket
        return next((number for number in newest_first if self._is_complete(f"{round_name(number)}/state")), 0)

    def choice(self) -> Choice | None:
        """The last choice of the best round; None if there is none yet."""
        return Choice(**json.loads(self._storage.read(CHOICE))) if self._storage.exists(CHOICE) else None

    def choose(self, choice: Choice) -> None:
        self._storage.write(CHOICE, json.dumps(asdict(choice)).encode())

    def start(self) -> int:
        """The round whose weights come next: the last trained one, or an earlier one if that was rolled back; 0: none."""
        trained, choice = self.trained(), self.choice()
        return choice.restart if choice and choice.round == trained else trained

    def deliver(self, round: int, about: dict[str, Any]) -> None:
        """Put what the round has saved for other tools into `best/`, then `best.json` with `about` and their names."""
        self._run.remove(f"{BEST}/{BEST}.json")
        models = [name for name in MODELS if self._storage.exists(f"{round_name(round)}/{name}")]
        for name in models:
            self._run.copy_folder(f"{self._root.name}/{round_name(round)}/{name}", f"{BEST}/{name}")
        content = json.dumps(hide_secrets({"round": round, "models": models, **about}), indent=1, allow_nan=False)
        self._run.write(f"{BEST}/{BEST}.json", content.encode())

    def newest(self) -> Folder | None:
        """The newest state, to resume from. Raises StorageError naming the file that is missing or damaged.

        A state on an object store is checked by the nodes that fetch it.
        """
        return self.inside(self._interrupted()) or self.ended()

    def ended(self) -> Folder | None:
        """The state whose weights come next (`start`); None: the initial model. Raises as `newest`."""
        start = self.start()
        return _verified(self.state(start)) if start else None

    def inside(self, round: int) -> Folder | None:
        """The newest state inside a round that is not trained to its end; None if there is none. Raises as `newest`."""
        steps = self._steps(round) if round > self.trained() else []
        return _verified(self.round(round) / "steps" / steps[-1]) if steps else None

    def prune_steps(self, round: int) -> None:
        """Remove the states inside a round but the newest, which is enough to resume from."""
        for step in self._steps(round)[:-1]:
            with suppress(StorageError):
                self._storage.remove(f"{round_name(round)}/steps/{step}")

    def finished(self, round: int) -> None:
        """The round's state is complete: remove the states inside it, which it replaces."""
        with suppress(StorageError):
            self._storage.remove(f"{round_name(round)}/steps")

    def prune(self) -> None:
        """Remove all but the last `keep` rounds and the best. Wait until all samplers have the newest weights: some read its
        folder.
        """
        choice = self.choice()
        if self._keep:
            for old in self._rounds()[: -self._keep]:
                if choice is None or old not in (choice.best, choice.restart):
                    self._storage.remove(round_name(old))

    def _rounds(self) -> list[int]:
        found = {name.partition("/")[0] for name in self._storage.names()}
        return sorted(int(match[1]) for match in map(ROUND.fullmatch, found) if match)

    def _interrupted(self) -> int:
        """The round that was interrupted; 0: none. Rounds that were skipped may lie between it and the last trained one."""
        trained = self.trained()
        return max((round for round in self._rounds() if round > trained and self._steps(round)), default=0)

    def _steps(self, round: int) -> list[str]:
        """Names of the complete states inside a round, in order."""
        folder = f"{round_name(round)}/steps"
        found = {name.removeprefix(f"{folder}/").partition("/")[0] for name in self._storage.names(folder)}
        return sorted(step for step in found if STEP.fullmatch(step) and self._is_complete(f"{folder}/{step}"))

    def _is_complete(self, name: str) -> bool:
        """On a disk a folder gets its name when it is complete; on an object store its manifest is written last."""
        return self._storage.exists(name if self._storage.local else f"{name}/{MANIFEST}")


def _verified(folder: Folder) -> Folder:
    if isinstance(folder, Path):
        verify_manifest(folder)
    return folder


def round_name(round: int) -> str:
    return f"round-{round:04d}"
