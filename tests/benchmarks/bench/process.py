"""Runs a side in a process of its own, so that its failure is a reason in the table and not the end."""

import json
import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.bench.channel import READY
from tests.benchmarks.bench.samples import Measured, Side, Turn
from tests.benchmarks.bench.turns import SideFailed

REPOSITORY = Path(__file__).resolve().parents[3]
PEERS = REPOSITORY / ".venv-bench" / "bin" / "python"
MAKE_WORK = "python -m tests.benchmarks.bench.work"
START_S, TURN_S, END_S = 900.0, 3600.0, 60.0  # for a side that hangs


@dataclass(frozen=True)
class Starter:
    """Starts sides on the given work (JSON), with their logs in a folder. `peers` and `own` are the two Pythons."""

    work: str
    logs: Path
    peers: Path = PEERS
    own: Path = Path(sys.executable)
    start_s: float = START_S
    turn_s: float = TURN_S

    def __call__(self, side: Side) -> "SideProcess":
        python = self.peers if side.is_peer else self.own
        if not python.exists():
            raise SideFailed(f"there is no {python}: `make peers` makes it, and says why it cannot")
        self.logs.mkdir(parents=True, exist_ok=True)
        name = "-".join((side.module.rpartition(".")[2], *side.words)).replace("/", "-")
        words = [str(python), "-m", side.module, self.work, *side.words]
        return SideProcess(words, self.command(side), self.logs / f"{name}.log", self)

    def command(self, side: Side) -> str:
        """What does one turn of a side by hand, in the repository: the bench's own work is gone then, so it makes the same."""
        make = f"{MAKE_WORK} --quick" if json.loads(self.work).get("quick") else MAKE_WORK
        python = os.path.relpath(self.peers, REPOSITORY) if side.is_peer else "python"
        return " ".join(["echo 0 |", python, "-m", side.module, f'"$({make})"', *map(shlex.quote, side.words)])


class SideProcess:
    """A running side; see `RunningSide`."""

    def __init__(self, words: list[str], command: str, log: Path, limits: Starter):
        self.command = command
        self._log, self._turn_s = log, limits.turn_s
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=REPOSITORY,
                env=_environment(),
                bufsize=0,
                start_new_session=True,  # so that what it starts can be ended with it
            )
        try:
            self._answer(limits.start_s)
        except BaseException:
            self.close()
            raise

    def turn(self, number: int) -> Turn:
        with suppress(BrokenPipeError):  # a side that ended says why in its log
            self._process.stdin.write(f"{number}\n".encode())
        return {name: Measured(value, unit) for name, (value, unit) in self._answer(self._turn_s).items()}

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def close(self, end_s: float = END_S) -> None:
        """The end of its input ends a side, and with it what it started; one that does not end is stopped."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(end_s)
        for stop in (signal.SIGTERM, signal.SIGKILL):  # also where it has ended: what it started may go on
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, stop)
                self._process.wait(end_s)
        self._process.stdout.close()

    def _answer(self, limit_s: float) -> Mapping[str, Any]:
        if not select.select([self._process.stdout], [], [], limit_s)[0]:
            raise SideFailed(f"nothing after {limit_s:.0f} s; see {self._shown_log}")
        line = self._process.stdout.readline()
        if not line:
            raise SideFailed(f"{self._last_words()}; see {self._shown_log}")
        found = json.loads(line)
        return {} if READY in found else found

    @property
    def _shown_log(self) -> str:
        return os.path.relpath(self._log, REPOSITORY)

    def _last_words(self) -> str:
        """The last line of the log, where Python names the error."""
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else "it ended without a word"


def _environment() -> dict[str, str]:
    """Each side has all cores, and starts the Ray that it needs."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS") and name != "RAY_ADDRESS"}
    return {**kept, "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
