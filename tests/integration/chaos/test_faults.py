"""A fault that did not happen fails its test: shown with plain processes in place of a run."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.chaos.faults import caught, title_of
from tests.integration.chaos.harness import ChaosRun
from tests.integration.gate import wait_for

LOST = "judge-0 is lost and is replaced: it was killed"
# A driver with one worker, which says that it lost it, if it has words for that, and then waits for the end of its input.
DRIVER = """
import subprocess, sys
title, words = sys.argv[1:]
subprocess.Popen([title, "600"], executable="/bin/sleep").wait()
print(words, flush=True)
sys.stdin.read()
"""
Start = Callable[..., ChaosRun]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Gives a run whose driver has one worker of this title."""
    runs = []

    def start_one(title: str, words: str = LOST) -> ChaosRun:
        run = ChaosRun(tmp_path, "plain")
        run.log = (tmp_path / "plain.log").open("a+")
        run.driver = subprocess.Popen([sys.executable, "-c", DRIVER, title, words], stdin=subprocess.PIPE, stdout=run.log)
        runs.append(run)
        wait_for(lambda: run.processes(title))
        return run

    yield start_one
    for run in runs:
        run.end()


def end_well(run: ChaosRun) -> None:
    for worker in run.processes(""):
        worker.kill()
    run.driver.stdin.close()
    run.driver.wait(30)


def test_a_worker_that_is_killed_at_work_is_a_hit_that_says_what_it_did(start: Start):
    run = start("ray::JudgeActor.score")
    hit = run.kill("ray::JudgeActor.score")
    assert hit.under_way.startswith("ray::JudgeActor.score") and not psutil.pid_exists(hit.pid)
    run.driver.stdin.close()
    assert run.finish() == 0


def test_a_worker_that_is_idle_until_the_run_ends_is_no_hit(start: Start):
    run = start("ray::JudgeActor")
    end_well(run)
    with pytest.raises(AssertionError, match=r"the driver ended \(0\) before a process at ray::JudgeActor\.score"):
        run.kill("ray::JudgeActor.score")
    with pytest.raises(AssertionError, match=r"hit nothing at work: \['a kill of ray::JudgeActor\.score'\]"):
        run.finish()


def test_a_kill_that_the_run_does_not_report_fails(start: Start):
    run = start("ray::JudgeActor.score", words="all is well")
    run.driver.stdin.close()
    with pytest.raises(AssertionError, match=r"before a report that ray::JudgeActor\.score is lost"):
        run.kill("ray::JudgeActor.score")


def test_a_fault_that_was_declared_and_never_hit_fails_the_run_that_ends_well(start: Start):
    run = start("ray::JudgeActor")
    fault = run.declare("a sampler that stands still")
    end_well(run)
    with pytest.raises(AssertionError, match=r"hit nothing at work: \['a sampler that stands still'\]"):
        run.finish()
    fault.hit(run.driver.pid, "ray::RolloutActor.generate")
    run.assert_all_hit()


def test_a_driver_that_ended_by_itself_cannot_be_killed(start: Start):
    run = start("ray::JudgeActor")
    end_well(run)
    with pytest.raises(AssertionError, match=r"the driver ended \(0\) before a kill of the driver in scoring"):
        run.kill_driver("scoring")
    with pytest.raises(AssertionError, match="hit nothing"):
        run.assert_all_hit()


def test_a_driver_that_is_killed_dies_of_it(start: Start):
    run = start("ray::JudgeActor")
    (worker,) = run.processes("ray::JudgeActor")
    assert run.kill_driver("scoring", lambda: run.processes("ray::JudgeActor")).under_way == "between two stages"
    assert run.driver.returncode == -signal.SIGKILL
    wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    run.assert_all_hit()


def test_work_that_ends_between_the_look_and_the_blow_is_let_go(start: Start):
    (worker,) = start("ray::JudgeActor").processes("ray::JudgeActor")
    assert not caught(worker, lambda: title_of(worker).startswith("ray::JudgeActor.score"))
    assert worker.status() != psutil.STATUS_STOPPED
    assert caught(worker, lambda: title_of(worker).startswith("ray::JudgeActor"))
    assert worker.status() == psutil.STATUS_STOPPED


def test_a_process_that_has_ended_is_not_caught(start: Start):
    run = start("ray::JudgeActor")
    (worker,) = run.processes("ray::JudgeActor")
    end_well(run)
    assert not caught(worker, lambda: True)
