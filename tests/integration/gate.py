"""What tests wait for: a condition, with a limit that fails a test which would hang; and a gate that holds a process."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 120.0


@dataclass(frozen=True)
class Gate:
    """Holds up a worker, in its own process, from when it gets here until the gate is opened."""

    folder: Path

    def __call__(self) -> None:
        (self.folder / "reached").touch()
        wait_for((self.folder / "opened").exists)

    def is_reached(self) -> bool:
        return (self.folder / "reached").exists()

    def wait_until_reached(self) -> None:
        wait_for(self.is_reached)

    def open(self) -> None:
        (self.folder / "opened").touch()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s"
        time.sleep(0.01)
