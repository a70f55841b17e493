"""Where a run stands by its folder: it runs, it has written how it ended, or it was killed."""

import json
import os
import socket

import psutil
import pytest

from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.errors import StorageError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.run_status import State, read_status
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.lease import OWNER, STALE_S, Lease, _machine
from flame_ray.storage.shared_paths import JOB
from tests.doubles import FakeClock


@pytest.fixture
def run(tmp_path) -> RunFolder:
    made = RunFolder(Storage(tmp_path / "mine"))
    made.create(Config(), {})
    return made


@pytest.mark.parametrize(
    ("summary", "state", "code"),
    [
        ({"status": "complete"}, State.COMPLETE, 0),
        ({"status": "interrupted"}, State.INTERRUPTED, 75),
        ({"status": "failed", "error": "DataError: expected x"}, State.FAILED, 3),
        ({"status": "failed", "error": "LearnerDied: a rank is gone"}, State.FAILED, 8),
        ({"status": "failed", "error": "ZeroDivisionError: by zero"}, State.FAILED, 1),
        ({"status": "running"}, State.LOST, None),
        (None, State.LOST, None),
    ],
)
def test_a_run_that_nobody_owns_has_the_state_that_it_wrote_and_its_exit_code(run, summary, state, code):
    if summary:
        run.write_json("summary.json", summary)
    status = read_status(run)
    assert (status.state, status.exit_code) == (state, code)


def test_a_run_that_a_process_owns_runs_whatever_its_last_process_wrote(run):
    run.write_json("summary.json", {"status": "interrupted", "rounds": [{"round": 0}, {"round": 1}]})
    spans = [{"stage": "sample", "round": 1, "start": 0, "end": 1, "ended": "ok"}]
    spans += [{"stage": "train", "round": 2, "start": 1, "end": 2, "ended": "running"}]
    run.write_json("timeline.json", spans)
    with Lease(run.storage):
        status = read_status(run)
    assert status.state is State.RUNNING and status.owner.pid == os.getpid() and status.exit_code is None
    assert (status.rounds, status.planned) == ((0, 1), Config().run.rounds)
    assert [(each.round, each.stage) for each in status.stages] == [(2, "train")]
    assert read_status(run).stages == ()


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_process_is_alive_if_it_runs_here_or_renewed_its_lease_elsewhere(run, elsewhere):
    clock, process = FakeClock(), psutil.Process()
    host, machine = ("far", "there") if elsewhere else (socket.gethostname(), _machine())
    owner = {"token": "t", "host": host, "pid": process.pid, "machine": machine}
    run.write_json(OWNER, owner | {"started": process.create_time(), "renewed": clock.now()})
    assert read_status(run, clock).state is State.RUNNING
    clock.time += STALE_S + 1
    assert read_status(run, clock).state is (State.LOST if elsewhere else State.RUNNING)


def test_a_fine_tuning_has_no_rounds(tmp_path):
    run = RunFolder(Storage(tmp_path / "mine"))
    run.create(parse_config({"sft": {"sources": [{"source": "a.jsonl"}]}, "learner": {"loss": "nll"}}, "here"), {})
    assert read_status(run).planned == 0


def test_the_jobs_that_were_a_run_are_in_its_record(run, monkeypatch):
    run.note_submission()
    assert read_status(run).submissions == ()
    for submission in ("mine", "mine-2"):
        monkeypatch.setenv(JOB, json.dumps({"metadata": {"job_submission_id": submission}}))
        run.note_submission()
    assert read_status(run).submissions == ("mine", "mine-2")
    assert read_status(run).is_of("mine-2") and not read_status(run).is_of("mine")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"the folder of a run; found no .*config\.yaml"):
        read_status(RunFolder(Storage(tmp_path)))
