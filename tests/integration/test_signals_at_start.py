"""A run that starts: it opens what the documents say; told to stop, it ends as an interrupted one, and leaves no process."""

import os
import re
import signal
import subprocess
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest

from tests.integration.chaos.faults import title_of
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


# Of the processes whose sockets the table of what listens has on every interface.
ROWS = ("gcs_server", "raylet", "ray::", "/ray/", "ray-dashboard", "VLLM::", "flame_ray run")


def open_to_others(processes: Iterable[psutil.Process]) -> dict[int, str]:
    """By its port, whose each TCP socket is that listens elsewhere than on loopback."""
    found: dict[int, str] = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            for each in process.net_connections("tcp"):
                address = ip_address(each.laddr.ip.removeprefix("::ffff:"))
                if each.status == psutil.CONN_LISTEN and not address.is_loopback:
                    found[each.laddr.port] = title_of(process)
    return found


def test_a_run_opens_to_others_only_what_the_table_of_what_listens_says(start):
    """`Keep it closed` in clusters/README.md: the dashboard is on loopback; Ray's other servers and the ranks' may not be."""
    run = start()
    run.wait_for(run.under_way, "its first stage")
    dashboard = re.search(r"dashboard \S*:(\d+)", run.text())
    found = open_to_others([psutil.Process(run.driver.pid), *run.processes("")])
    assert dashboard and int(dashboard[1]) not in found, found
    assert {port: title for port, title in found.items() if not any(row in title for row in ROWS)} == {}


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
