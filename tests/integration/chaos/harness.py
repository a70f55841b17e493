"""A run of the whole loop in a process of its own, at a tiny size, and the hands that break parts of it.

Everything is real: Ray, vLLM, DeepSpeed, SIGKILL. A process is found below the run's own driver, so that no other Ray on
the machine is touched.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from tests.integration.runs import REFERENCE, REPOSITORY, FinishedRun, words_of

# One worker of each kind, and enough work that a moment to break something lasts.
TINY = REFERENCE | {
    "run.save_merged": "false",
    "prompts.sources": "[{source: factbook, heldout_limit: 6}, {source: open-ended, heldout_limit: 3}]",
    "prompts.per_round": "10",
    "rollout.workers": "1",
    "rollout.max_tokens": "48",
    "rollout.batch_sequences": "16",
    "learner.workers": "1",
}
SESSION_S = 400.0  # a limit that fails a test which would hang; nothing is measured with it


@dataclass
class ChaosRun:
    """One run id; `start` begins or resumes it in a new driver."""

    root: Path
    id: str
    settings: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    enter: tuple[str, ...] = ()  # what the driver's command line begins with, as `Host.enter`
    driver: subprocess.Popen | None = None
    printed: str = ""

    @property
    def folder(self) -> Path:
        return self.root / self.id

    @property
    def summary(self) -> dict:
        return json.loads((self.folder / "summary.json").read_text())

    def start(self, resume: bool = False) -> None:
        settings = TINY | self.settings | {"run.root": str(self.root)} | ({} if resume else {"run.id": self.id})
        command = [*self.enter, sys.executable, "-m", "flame_ray", "run", "jobs/quickstart.yaml", *words_of(settings)]
        environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | self.environment
        self.log = (self.root / f"{self.id}.log").open("a+")
        self.driver = subprocess.Popen(
            [*command, *(["--resume", self.id] if resume else [])],
            cwd=REPOSITORY,
            env=environment | {"OMP_WAIT_POLICY": "PASSIVE"},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def finish(self) -> int:
        """Wait for the driver; its exit code. What it printed is in `printed`."""
        assert self.driver is not None
        try:
            code = self.driver.wait(SESSION_S)
        except subprocess.TimeoutExpired:
            self.end()
            raise
        self.log.seek(0)
        self.printed = self.log.read()
        self.log.close()
        return code

    def end(self) -> None:
        """Let nothing of this run live on."""
        for process in self.processes(""):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self.driver is not None:
            self.driver.kill()
            self.driver.wait()

    def kill_driver(self) -> None:
        """SIGKILL the driver and, with it, the Ray that it started: what is left of a machine that lost its power."""
        assert self.driver is not None
        below = self.processes("")
        self.driver.kill()
        self.driver.wait()
        for process in below:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(below, timeout=30)

    def processes(self, title: str) -> list[psutil.Process]:
        """Those below the driver whose title starts so; Ray titles a worker `ray::RolloutActor.generate`."""
        assert self.driver is not None
        return below(self.driver.pid, title)

    def kill(self, title: str) -> None:
        """SIGKILL the first process of this title as soon as there is one."""
        process = self.wait_for(lambda: next(iter(self.processes(title)), None), f"a process {title}", pause_s=0.1)
        process.send_signal(signal.SIGKILL)
        process.wait(30)

    def wait_for(self, what: Callable, label: str, pause_s: float = 0.02):
        """What it gives, as soon as it gives something. To list processes is slow: look less often for these."""
        deadline = time.monotonic() + SESSION_S
        while time.monotonic() < deadline:
            if found := what():
                return found
            if (code := self.ended()) is not None:
                raise AssertionError(f"the driver ended ({code}) before {label}:\n{self.tail()}")
            time.sleep(pause_s)
        raise AssertionError(f"no {label} within {SESSION_S:g} s:\n{self.tail()}")

    def ended(self) -> int | str | None:
        """How the driver ended, if it has."""
        assert self.driver is not None
        return self.driver.poll()

    def wait_for_file(self, pattern: str) -> Path:
        return self.wait_for(lambda: next(iter(self.folder.glob(pattern)), None), pattern)

    def table(self, name: str) -> list[dict]:
        return pq.read_table(self.folder / "rounds" / name).to_pylist()

    def tail(self) -> str:
        self.log.flush()
        return (self.root / f"{self.id}.log").read_text()[-3000:]


def below(pid: int, title: str) -> list[psutil.Process]:
    """The processes that a process began, and those that they did, whose title starts so."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess, IndexError):
                if " ".join(process.cmdline()).startswith(title):
                    found.append(process)
    return found


def flip_a_byte(file: Path) -> None:
    """Twice gives back the file as it was."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def assert_same_run(broken: ChaosRun, calm: ChaosRun | FinishedRun) -> None:
    """Every prompt answered once, every pair trained once, and all as in a run that nothing disturbed."""
    for round in range(1, len(calm.summary["rounds"])):
        prompts = [row["prompt_id"] for row in calm.table(f"{round:04d}/prompts.parquet")]
        samples = [row["response_id"] for row in broken.table(f"{round:04d}/responses.parquet")]
        assert len(samples) == len(set(samples)) == len(prompts) * int(REFERENCE["rollout.samples"])
        for name in ("prompts", "responses", "pairs", "facts", "heldout_responses"):
            found, expected = (run.table(f"{round:04d}/{name}.parquet") for run in (broken, calm))
            assert found == expected, (round, name)
    assert _counts(broken.summary) == _counts(calm.summary)


def _counts(summary: dict) -> dict:
    """A summary without its times and its name."""
    rounds = [{key: value for key, value in entry.items() if key != "timings"} for entry in summary["rounds"]]
    return {"status": summary["status"], "rounds": rounds}
