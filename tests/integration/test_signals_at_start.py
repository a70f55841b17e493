"""A run that is told to stop while it starts ends as an interrupted one, and leaves no process."""

import os
import signal
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.integration.chaos.harness import ChaosRun
from tests.integration.gate import wait_for

ENDS_S = 30.0
INTERRUPTED = 75
MARK = "FLAME_RAY_TEST_RUN"  # a variable that every process of a run inherits
LAST_SECOND = 120  # of a start on a slow machine


@dataclass(frozen=True)
class Stopped:
    code: int
    printed: str


@pytest.fixture
def start(tmp_path, model):
    """Starts a run in a process group of its own."""
    made: list[ChaosRun] = []

    def start() -> ChaosRun:
        run = ChaosRun(tmp_path, f"run-{len(made)}", {"cluster.dashboard": "true"}, {MARK: uuid.uuid4().hex})
        run.start()
        made.append(run)
        return run

    yield start
    for run in made:
        run.end()


def stopped(run: ChaosRun, number: int, group: bool) -> Stopped:
    """Signal the driver, or its whole process group, as a terminal and `timeout` do."""
    assert run.driver.poll() is None, run.text()
    (os.killpg if group else os.kill)(run.driver.pid, number)
    code = run.driver.wait(ENDS_S)
    wait_for(lambda: not alive(run.environment[MARK]))
    return Stopped(code, run.text())


def alive(mark: str) -> list[psutil.Process]:
    """The processes with this mark in their environment, whoever their parents are."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


MOMENTS = {
    "its prompts and models are checked": lambda run: imports(run, "libtorch"),
    "Ray starts": lambda run: any("gcs_server" in " ".join(each.cmdline()) for each in run.processes("")),
    "its actors start": lambda run: run.processes("ray::"),
}


def imports(run: ChaosRun, library: str) -> bool:
    return library in Path(f"/proc/{run.driver.pid}/maps").read_text()


@pytest.mark.parametrize(
    ("moment", "number", "group"),
    [
        ("its prompts and models are checked", signal.SIGTERM, False),
        ("Ray starts", signal.SIGTERM, True),
        ("its actors start", signal.SIGINT, False),
    ],
)
def test_a_run_that_is_told_to_stop_while_it_starts_ends_and_leaves_nothing(start, moment, number, group):
    run = start()
    run.wait_for(lambda: MOMENTS[moment](run), moment)
    found = stopped(run, number, group)
    assert found.code == INTERRUPTED, found.printed
    assert "nothing is written yet" in found.printed and "Traceback" not in found.printed
    assert not run.folder.exists()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("number", "group"),
    [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGTERM, False)],
    ids=["Ctrl-C", "SIGTERM to all", "SIGTERM"],
)
def test_at_every_second_of_its_start_a_run_ends_when_it_is_told_to(start, number, group):
    """In the first second or two Python itself starts, and ends as any Python program does."""
    for second in range(1, LAST_SECOND):
        run = start()
        try:
            run.driver.wait(second)
            pytest.fail(f"the run ended by itself: {run.text()}")
        except subprocess.TimeoutExpired:
            started = "start actors" in run.text()
        heard = imports(run, "libtorch")
        found = stopped(run, number, group)
        assert found.code in ((INTERRUPTED,) if heard else (INTERRUPTED, 130, -number)), (second, found)
        if started:
            return
    pytest.fail(f"a start of more than {LAST_SECOND} s")
