"""Looking at a run and stopping it, by its folder and by its jobs."""

import io
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from flame_ray.cluster.job_log import TRIES
from flame_ray.cluster.job_server import JobServer
from flame_ray.commands import jobs
from flame_ray.config import Config
from flame_ray.errors import ConfigError, PlacementError, StorageError
from flame_ray.journal.run_folder import SUBMISSIONS, RunFolder
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.lease import OWNER, _machine
from tests.doubles import FakeJob, FakeJobClient

STARTS = "INFO Runtime env is setting up.\nRunning entrypoint for job other: python -m flame_ray run\n"  # Ray's own lines


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def run(tmp_path, monkeypatch) -> RunFolder:
    """The folder of a run `mine` that was submitted as a job of another name. A process elsewhere owns it."""
    monkeypatch.chdir(tmp_path)
    made = RunFolder(Storage(tmp_path / "shared" / "mine"))
    made.create(Config(), {})
    made.write_json(SUBMISSIONS, ["raysubmit_1"])
    own(made, "far", 1, "there")
    return made


def own(run: RunFolder, host: str, pid: int, machine: str, started: float = 0.0) -> None:
    owner = {"token": "t", "host": host, "pid": pid, "machine": machine}
    run.write_json(OWNER, owner | {"started": started, "renewed": jobs.time.time()})


def server(*found: FakeJob, stopped=lambda job: None) -> JobServer:
    return JobServer(FakeJobClient(*found, stopped=stopped), "http://head:8265")


def end(run: RunFolder, status: str | None, job: FakeJob) -> None:
    """How a job ends: it writes its record, or is killed."""
    job.status = "STOPPED"
    run.storage.remove(OWNER)
    if status:
        run.write_json("summary.json", {"status": status})


def test_the_state_is_told_without_a_cluster(run, console):
    jobs.status(run.storage.url, None, console)
    printed = console.file.getvalue()
    assert "state     running\n" in printed and f"rounds    none of {Config().run.rounds} done\n" in printed
    assert "process   1 on far, " in printed and "raysubmit_1 (--address of their cluster shows more)" in printed
    end(run, None, FakeJob("raysubmit_1"))
    jobs.status(run.storage.url, None, console)
    said = "state     killed\nrounds    none of 3 done\ngo on     --resume mine\n"
    assert said not in printed and said in console.file.getvalue()


def test_the_jobs_of_a_run_are_told_and_its_folder_is_found_by_them(run, console):
    job = FakeJob("mine", "FAILED", 3, metadata={"run_id": "mine", "run_folder": run.storage.url})
    jobs.status("mine", server(job), console)
    assert f"folder    {run.storage.url}\n" in console.file.getvalue()
    assert "job mine  FAILED, exit code 3\n" in console.file.getvalue()


def test_the_id_of_two_runs_names_neither_and_a_folder_names_one(run, console):
    folders = [run.storage.url, "s3://bucket/runs/mine"]
    found = [FakeJob(id, metadata={"run_id": "mine", "run_folder": folder}) for id, folder in zip("ab", folders, strict=True)]
    for command in (jobs.status, partial(jobs.stop, sleep=lambda _: None)):
        with pytest.raises(ConfigError, match=r"the id of one run; found mine, which two runs have: .*To fix: give the folder"):
            command("mine", server(*found), console)
    jobs.status(run.storage.url, server(*found), console)
    assert "job a" in console.file.getvalue() and "job b" not in console.file.getvalue()


def test_a_run_whose_folder_cannot_be_seen_is_told_by_its_jobs(run, console):
    job = FakeJob("other", metadata={"run_id": "other", "run_folder": "nowhere://bucket/other"})
    jobs.status("other", server(job), console)
    assert "no folder that can be seen from here" in console.file.getvalue()
    assert "job other RUNNING" in console.file.getvalue()


def test_another_command_that_was_sent_under_a_name_is_looked_at_followed_and_stopped_by_it(run, console, capsys):
    """As clusters/README.md sends `reproduce` and `evaluate`: its second job has an id of its own, and the same name."""
    sent = {"run_id": "tables"}
    first = FakeJob("tables", "STOPPED", None, 1, metadata=sent, pieces=["flame-ray has ended with exit code 75\n"])
    second = FakeJob("tables-2", "RUNNING", None, 2, metadata=sent, pieces=["job 1 of 3\n"])

    def stopped(job: FakeJob) -> None:
        job.status, job.pieces = "STOPPED", [*job.pieces, "flame-ray has ended with exit code 75\n"]

    head = server(first, second, FakeJob("other"), stopped=stopped)
    jobs.status("tables", head, console)
    assert jobs.logs("tables", head, False, console) == 0
    assert jobs.stop("tables", head, console) == 0
    assert console.file.getvalue().splitlines() == [
        "run       tables",
        "record    none that can be seen from here; `flame-ray logs tables` shows what it says",
        "job tables STOPPED",
        "job tables-2 RUNNING",
        "tables has ended with exit code 75; `flame-ray logs tables` says how to go on",
    ]
    assert capsys.readouterr().out == "job 1 of 3\n" and jobs.logs("tables", head, True, console) == 75


@pytest.mark.parametrize("found", [None, server()])
def test_a_run_that_nobody_knows_is_an_error_with_the_path(run, found, console):
    with pytest.raises(StorageError, match=r"the folder of a run; found no .*runs/nobody/config\.yaml"):
        jobs.status("nobody", found, console)


def test_a_stop_waits_until_the_run_has_written_how_it_ended(run, console, monkeypatch):
    monkeypatch.setattr(jobs, "REMIND_S", 0.0)
    job, told, looks = FakeJob("raysubmit_1"), [], []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            end(run, "interrupted", job)

    jobs.stop(run.storage.url, server(job, stopped=told.append), console, sleep)
    assert told == [job] and len(looks) == 3
    assert console.file.getvalue().count("waiting for the end of mine") == 3
    assert console.file.getvalue().endswith("mine has ended: interrupted; continue with --resume mine\n")


def test_a_stop_whose_run_was_killed_is_an_error(run, console):
    job = FakeJob("raysubmit_1")
    with pytest.raises(StorageError, match=r"whose process was killed before it wrote how it ended.*--resume mine"):
        jobs.stop(run.storage.url, server(job, stopped=partial(end, run, None)), console)


class Flaky(FakeJobClient):
    """After the stop, some of its answers are lost on their way."""

    lost = 0

    def list_jobs(self):
        if self.jobs[0].message == "stopping" and self.lost:
            self.lost -= 1
            raise ConnectionError("reset")
        return super().list_jobs()


def test_a_stop_waits_over_answers_that_are_lost_and_gives_up_a_head_that_stays_away(run, console):
    def stopping(job: FakeJob) -> None:
        job.message = "stopping"

    client = Flaky(FakeJob("raysubmit_1"), stopped=stopping)
    client.lost = TRIES - 1
    stopped = partial(jobs.stop, run.storage.url, JobServer(client, "http://head:8265"), console)
    assert stopped(lambda seconds: None if client.lost else end(run, "interrupted", client.jobs[0])) == 0
    client.jobs[0].status, client.jobs[0].message, client.lost = "RUNNING", None, TRIES + 1
    with pytest.raises(PlacementError, match="ConnectionError: reset"):
        stopped(lambda seconds: None)
    assert client.lost == 1


def test_ctrl_c_ends_the_wait_for_a_stop_and_says_that_the_run_goes_on_to_its_end(run, console):
    def press(seconds: float) -> None:
        raise KeyboardInterrupt

    assert jobs.stop(run.storage.url, server(FakeJob("raysubmit_1")), console, press) == 130
    assert (
        "mine is told to stop, and stores its state without this command. See: flame-ray status mine" in console.file.getvalue()
    )


def test_a_stop_of_a_run_whose_folder_cannot_be_seen_believes_the_last_line_of_its_log(run, console):
    job = FakeJob("other", metadata={"run_id": "other"}, pieces=["flame-ray has ended with exit code 75\n"])

    def stopped(job: FakeJob) -> None:
        job.status = "STOPPED"

    jobs.stop("other", server(job, stopped=stopped), console)
    assert "other has ended with exit code 75; `flame-ray logs other` says how to go on" in console.file.getvalue()
    job.status, job.pieces = "RUNNING", [f"{STARTS}round 1 sample\n"]
    with pytest.raises(StorageError, match="a run that says how it ended"):
        jobs.stop("other", server(job, stopped=stopped), console)


def test_a_run_that_has_ended_is_left_as_it_is(run, console):
    end(run, "complete", FakeJob("raysubmit_1"))
    jobs.stop(run.storage.url, server(FakeJob("raysubmit_1", "SUCCEEDED", 0)), console)
    assert console.file.getvalue() == "mine has ended: complete\n"


def test_a_run_of_this_machine_is_stopped_by_a_signal(run, console):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        own(run, os.uname().nodename, process.pid, _machine(), psutil.Process(process.pid).create_time())
        run.write_json("summary.json", {"status": "interrupted"})
        jobs.stop(run.storage.url, None, console, lambda seconds: None)
        assert process.wait(30) == -signal.SIGTERM
    finally:
        process.kill()
        process.stdin.close()


def test_a_run_of_another_machine_needs_the_address(run, console):
    with pytest.raises(ConfigError, match=r"found process 1 on far.*--address"):
        jobs.stop(run.storage.url, None, console)


def test_a_run_that_is_not_there_cannot_be_stopped(run, console):
    with pytest.raises(StorageError, match=r"a run nobody that goes on.*--address"):
        jobs.stop("nobody", None, console)


def test_the_log_is_that_of_the_newest_job(run, console, capsys):
    found = [FakeJob("raysubmit_1", "FAILED", 3, 1, pieces=["old"]), FakeJob("mine", "FAILED", 5, 2, pieces=["new"])]
    assert jobs.logs(run.storage.url, server(*found), False, console) == 0
    assert capsys.readouterr().out == "new"
    assert jobs.logs(run.storage.url, server(*found), True, console) == 5


def test_a_head_that_is_away_matters_only_if_it_was_named_or_the_folder_is_not_here(run, console):
    def away() -> JobServer:
        raise PlacementError("a head", "nothing", "start it")

    assert jobs.reached(away, run.storage.url, False, console) is None
    assert "without the job server: nothing" in console.file.getvalue()
    for name, given in ((run.storage.url, True), (str(Path("nowhere/mine")), False)):
        with pytest.raises(PlacementError):
            jobs.reached(away, name, given, console)


def test_a_stop_waits_for_a_job_that_has_not_taken_up_its_run_yet(run, console):
    job, looks = FakeJob("raysubmit_1"), []
    end(run, "interrupted", job)
    job.status = "RUNNING"

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        job.status = "STOPPED" if len(looks) == 2 else "RUNNING"

    jobs.stop(run.storage.url, server(job), console, sleep)
    assert len(looks) == 2


def test_a_stop_says_how_its_own_job_ended_and_not_the_one_before_it(run, console):
    end(run, "failed", FakeJob("raysubmit_1"))
    job = FakeJob("mine-2", metadata={"run_id": "mine"}, pieces=["flame-ray has ended with exit code 75\n"])
    jobs.stop(run.storage.url, server(FakeJob("raysubmit_1", "FAILED", 4), job, stopped=partial(end, run, None)), console)
    said = "mine has ended with exit code 75; `flame-ray logs mine` says how to go on\n"
    assert console.file.getvalue() == said


@pytest.mark.parametrize(
    ("folder", "said"),
    [(None, []), (None, [STARTS]), ("runs/other", [STARTS, "a warning\n"])],
    ids=["pending", "before it wrote a line", "before it made its folder"],
)
def test_a_stop_of_a_job_that_had_not_begun_is_no_error(run, console, tmp_path, folder, said):
    (tmp_path / "runs").mkdir()
    at = {"run_folder": str(tmp_path / folder)} if folder else {}
    job = FakeJob("other", "PENDING", metadata={"run_id": "other"} | at, pieces=said)

    def stopped(job: FakeJob) -> None:
        job.status = "STOPPED"

    assert jobs.stop("other", server(job, stopped=stopped), console) == 0
    assert console.file.getvalue() == "other had not begun when it was stopped: there is nothing to resume\n"


@pytest.mark.parametrize("folder", ["nowhere/runs/other", "~/other", "s3://me:***@bucket/other"])
def test_a_run_that_was_killed_where_nobody_here_can_see_it_is_an_error(run, console, tmp_path, folder):
    at = folder if folder[0] in "~s" else str(tmp_path / folder)
    job = FakeJob("other", metadata={"run_id": "other", "run_folder": at}, pieces=[STARTS, "round 1 sample\n"])

    def stopped(job: FakeJob) -> None:
        job.status = "STOPPED"

    with pytest.raises(StorageError, match="a run that says how it ended"):
        jobs.stop("other", server(job, stopped=stopped), console)


def test_a_stop_of_a_job_that_had_not_begun_to_resume_its_run_leaves_the_run_as_it_was(run, console):
    end(run, "failed", FakeJob("raysubmit_1"))
    job = FakeJob("mine-2", "PENDING", metadata={"run_id": "mine"}, pieces=[STARTS])
    assert jobs.stop(run.storage.url, server(job, stopped=partial(end, run, None)), console) == 0
    assert console.file.getvalue() == "mine-2 had not begun when it was stopped: mine is as before, failed\n"
