"""A run of the whole loop in a process of its own, at a tiny size, and the hands that break parts of it.

Everything is real: Ray, vLLM, DeepSpeed, SIGKILL. A process is found below the run's own driver, so that no other Ray on
the machine is touched.

A fault must show: what it falls on is at work (`caught`), a lost worker is reported by the run, and `finish` fails if a
declared fault hit nothing.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from tests.integration.chaos.faults import Fault, Hit, below, caught, missed, title_of
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
SESSION_S = 800.0  # a limit that fails a test which would hang; nothing is measured with it
LISTED_S = 0.5  # to list processes is slow, and some work is short: the same ones are looked at for so long
REPORTS = {  # by the start of a process's title: what a run prints once it has noticed that it lost one
    "ray::RolloutActor": r"rollout-\d+ is lost and is replaced",
    "VLLM::Worker": r"rollout-\d+ is lost and is replaced",
    "ray::JudgeActor": r"judge-\d+ is lost and is replaced",
    "ray::FactualityActor": r"factuality-\d+ is lost and is replaced",
    "ray::LearnerActor": "the learner starts again from its newest state",
}


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
    faults: list[Fault] = field(default_factory=list)

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
        """Wait for the driver; its exit code. What it printed is in `printed`. Fails if a fault hit nothing."""
        assert self.driver is not None
        try:
            code = self.driver.wait(SESSION_S)
        except subprocess.TimeoutExpired:
            self.end()
            raise
        self.log.seek(0)
        self.printed = self.log.read()
        self.log.close()
        self.assert_all_hit()
        return code

    def declare(self, what: str) -> Fault:
        """A fault that must have hit something by the time the run ends."""
        self.faults.append(Fault(what))
        return self.faults[-1]

    def assert_all_hit(self) -> None:
        assert not missed(self.faults), f"hit nothing at work: {missed(self.faults)}; the run printed:\n{self.printed}"

    def end(self) -> None:
        """Let nothing of this run live on."""
        for process in self.processes(""):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self.driver is not None:
            self.driver.kill()
            self.driver.wait()

    def kill_driver(self, moment: str = "its run", reached: Callable[[], object] = lambda: True) -> Hit:
        """SIGKILL the driver and, with it, the Ray that it started: what is left of a machine that lost its power.

        It is caught while `reached` holds. Gives the hit, with the stages that were under way.
        """
        hit = self.catch_driver(f"a kill of the driver in {moment}", reached)
        assert self.driver is not None
        below = self.processes("")
        self.driver.kill()
        assert self.driver.wait() == -signal.SIGKILL, "the driver ended by itself"
        for process in below:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(below, timeout=30)
        return hit

    def tell_to_stop(self, moment: str, reached: Callable[[], object]) -> Hit:
        """SIGTERM the driver while `reached` holds."""
        hit = self.catch_driver(f"a request to stop in {moment}", reached)
        assert self.driver is not None
        self.driver.send_signal(signal.SIGTERM)
        self.driver.send_signal(signal.SIGCONT)
        return hit

    def catch_driver(self, what: str, reached: Callable[[], object]) -> Hit:
        """Stop the driver while `reached` holds."""
        assert self.driver is not None
        fault, pid = self.declare(what), self.driver.pid
        self.wait_for(lambda: self.ended() is None and reached() and caught(psutil.Process(pid), reached), what)
        return fault.hit(pid, ", ".join(sorted(self.under_way())) or "between two stages")

    def under_way(self) -> set[str]:
        """The stages that run now, as "sample 1"."""
        return self.spans("running")

    def spans(self, ended: str) -> set[str]:
        """The stages that ended so, by the run's own timeline."""
        file = self.folder / "timeline.json"
        spans = json.loads(file.read_text()) if file.exists() else []
        return {f"{span['stage']} {span['round']}" for span in spans if span["ended"] == ended}

    def processes(self, title: str) -> list[psutil.Process]:
        """Those below the driver whose title starts so."""
        assert self.driver is not None
        return below(self.driver.pid, title)

    def catch(self, title: str, root: int | None = None, when: Callable[[], object] = lambda: True) -> psutil.Process:
        """Stop the first process that is caught at this work while `when` holds. It is below the driver, or below `root`."""
        fault = self.declare(f"a stop of {title}")
        process = self.wait_for(lambda: self.caught_at(title, root, when), f"a process at {title}")
        fault.hit(process.pid, title_of(process))
        return process

    def caught_at(self, title: str, root: int | None = None, when: Callable[[], object] = lambda: True):
        """A process that was at this work while `when` holds, and is stopped now; None if there is none."""
        assert self.driver is not None

        def is_at_work(process: psutil.Process) -> bool:
            return title_of(process).startswith(title) and bool(when())

        actors, until = below(root or self.driver.pid, title.partition(".")[0]), time.monotonic() + LISTED_S
        while actors and time.monotonic() < until:
            for process in actors:
                if is_at_work(process) and caught(process, partial(is_at_work, process)):
                    return process
            time.sleep(0.002)
        return None

    def kill(self, title: str, part: str = "", when: Callable[[], object] = lambda: True) -> Hit:
        """SIGKILL the first process that is caught at this work while `when` holds, and wait until the run reports the loss.

        `part`: kill the first process of this title instead, while the caught one stands still.
        """
        fault = self.declare(f"a kill of {part or title}")
        report = next(report for start, report in REPORTS.items() if title.startswith(start))
        before = self.reported(report)
        process = self.wait_for(lambda: self.caught_at(title, when=when), f"a process at {title}")
        victim = self.processes(part)[0] if part else process
        hit = fault.hit(victim.pid, title_of(process))
        victim.kill()
        self.wait_for(lambda: is_dead(victim), f"the end of {part or title}")
        with suppress(psutil.NoSuchProcess):
            process.resume()
        self.wait_for(lambda: self.reported(report) > before, f"a report that {part or title} is lost", pause_s=0.1)
        return hit

    def reported(self, report: str) -> int:
        return len(re.findall(report, self.text()))

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

    def text(self) -> str:
        """All that the drivers of this run have printed so far."""
        return (self.root / f"{self.id}.log").read_text()

    def tail(self) -> str:
        return self.text()[-3000:]


def is_dead(process: psutil.Process) -> bool:
    """Also while a parent that stands still leaves it unburied."""
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def without_support(row: dict) -> dict:
    """A row of a table without a fact's support score. The verdict stays.

    A checker gives a slightly other score in a batch of another shape, and nodes have caches of their own.
    """
    return {key: value for key, value in row.items() if not ("verdict" in row and key == "score")}


def assert_same_run(broken: ChaosRun, calm: ChaosRun | FinishedRun) -> None:
    """Every prompt answered once, every pair trained once, and all as in a run that nothing disturbed."""
    for round in range(1, len(calm.summary["rounds"])):
        assert_same_round(broken, calm, round)
        assert_same_rows(broken, calm, f"{round:04d}/heldout_responses.parquet")
    assert _counts(broken.summary) == _counts(calm.summary)


def assert_same_round(broken: ChaosRun, calm: ChaosRun | FinishedRun, round: int) -> None:
    """Every prompt answered once, and the pairs that are trained are those of a round that nothing disturbed."""
    broken.assert_all_hit()
    prompts = [row["prompt_id"] for row in calm.table(f"{round:04d}/prompts.parquet")]
    samples = [row["response_id"] for row in broken.table(f"{round:04d}/responses.parquet")]
    assert len(samples) == len(set(samples)) == len(prompts) * int(REFERENCE["rollout.samples"])
    for name in ("prompts", "responses", "pairs", "facts"):
        assert_same_rows(broken, calm, f"{round:04d}/{name}.parquet")


def assert_same_rows(broken: ChaosRun, calm: ChaosRun | FinishedRun, table: str) -> None:
    found, expected = broken.table(table), calm.table(table)
    assert [without_support(row) for row in found] == [without_support(row) for row in expected], table


def _counts(summary: dict) -> dict:
    """A summary without its times and its name."""
    rounds = [{key: value for key, value in entry.items() if key != "timings"} for entry in summary["rounds"]]
    return {"status": summary["status"], "rounds": rounds}
