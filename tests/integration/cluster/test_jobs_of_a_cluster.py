"""`flame-ray submit`, `status`, `logs` and `stop`, as a person types them, on a head of the test's own. No engine runs.

The job is a stand-in for flame-ray that keeps a run's record. One is flame-ray itself, and ends before it places anything.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.chaos.harness import SESSION_S
from tests.integration.head import Head, free_ports, started_head, wait_until

REPOSITORY = Path(__file__).resolve().parents[3]
SMALL = ("--set", "learner.cpus=0.5", "--set", "judge.cpus=0.5", "--set", "factuality.cpus=0.5")
STAND_IN = """
import json, os, pathlib, signal, socket, sys, time
import psutil
words = sys.argv[1:]
given = dict(word.removeprefix("--set=").split("=", 1) for word in words if word.startswith("--set="))
name = words[words.index("--resume") + 1] if "--resume" in words else given["run.id"]
folder = pathlib.Path(given["run.root"], name)
folder.mkdir(parents=True, exist_ok=True)
(folder / "config.yaml").write_text("run: {rounds: 3}")
(folder / "environment.json").write_text('{"format": 5}')
job = json.loads(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])["metadata"]
jobs = folder / "submissions.json"
jobs.write_text(json.dumps([*(json.loads(jobs.read_text()) if jobs.exists() else []), job["job_submission_id"]]))
machine = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip() + " " + os.readlink("/proc/self/ns/pid")
owner = {"token": "t", "host": socket.gethostname(), "pid": os.getpid(), "machine": machine, "renewed": time.time()}
(folder / "owner.json").write_text(json.dumps(owner | {"started": psutil.Process().create_time()}))

def end(status, code):
    (folder / "summary.json").write_text(json.dumps({"status": status, "rounds": [{"round": 0}]}))
    (folder / "owner.json").unlink()
    print("ended", status, flush=True)
    os._exit(code)

def slowly(*signal):
    if os.environ.get("DEAF"):
        return
    time.sleep(5)  # longer than Ray waits by itself
    end("interrupted", 75)

signal.signal(signal.SIGTERM, slowly)
print("begun", job["job_submission_id"], job["run_id"], os.environ.get("GREETING"), flush=True)
if "--resume" in words:
    end("complete", 0)
while True:
    time.sleep(0.2)
"""


@dataclass(frozen=True)
class Person:
    """Who types commands in a folder, with the head's token."""

    head: Head
    folder: Path

    def types(self, *words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-P", "-m", "flame_ray", *words]
        environment = self.head.environment | {"GREETING": "hello", "DEAF": "1"}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=SESSION_S)

    def submits(self, *words: str) -> subprocess.CompletedProcess:
        root = f"run.root={self.folder}/runs"
        return self.types("submit", "job.yaml", "--address", self.head.dashboard, *SMALL, "--set", root, *words)

    def waits_for_the_run(self, run: str) -> None:
        made = self.folder / "runs" / run / "owner.json"
        wait_until(lambda: made.exists() or self.head.ended(run), SESSION_S, lambda: self.head.log(run))
        assert made.exists(), self.head.log(run)


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Iterator[Head]:
    environment = {"PYTHONPATH": str(REPOSITORY)}
    options = ("--num-cpus=2", "--object-store-memory=200000000")
    with started_head(tmp_path_factory.mktemp("h"), *options, gcs=free_ports(1)[0], environment=environment) as made:
        yield made


@pytest.fixture
def person(head, tmp_path) -> Person:
    (tmp_path / "job.yaml").write_text("rollout: {workers: 1, cpus: 0.5}\n")
    return Person(head, tmp_path)


@pytest.fixture
def stand_in(person) -> Person:
    (person.folder / "flame_ray").mkdir()
    (person.folder / "flame_ray" / "__init__.py").write_text("")
    (person.folder / "flame_ray" / "__main__.py").write_text(STAND_IN)
    return person


def test_a_job_is_followed_and_the_command_exits_as_the_run_does(person):
    done = person.submits("--set", "run.id=lacking", "--set", "prompts.sources=[{source: /nowhere.jsonl}]")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "flame-ray: expected" in done.stdout and "/nowhere.jsonl" in done.stdout
    assert "lacking has ended: FAILED, exit code 3" in done.stdout
    job = person.head.job("lacking")
    assert job["metadata"] | {"run_id": "lacking", "job_file": "job.yaml"} == job["metadata"]


def test_what_the_head_has_no_room_for_is_not_sent(person):
    done = person.submits("--set", "run.id=large", "--set", "learner.cpus=64")
    assert done.returncode == 5, done.stdout + done.stderr
    assert "not ready on cluster of 1 node" in done.stdout
    assert person.head.job("large") == {}


def test_a_run_is_sent_looked_at_stopped_and_resumed_as_another_job(stand_in):
    sent = stand_in.submits("--set", "run.id=mine", "--env", "GREETING", "--no-wait")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    stand_in.waits_for_the_run("mine")
    again = stand_in.submits("--set", "run.id=mine")
    assert again.returncode == 6 and "which goes on" in again.stderr

    looked = stand_in.types("status", "mine", "--address", stand_in.head.dashboard)
    assert "state     running" in looked.stdout and "job mine  RUNNING" in looked.stdout, looked.stdout + looked.stderr

    stopped = stand_in.types("stop", "mine", "--address", stand_in.head.dashboard)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert "mine has ended: interrupted; continue with --resume mine" in stopped.stdout
    assert stand_in.head.job("mine")["status"] == "STOPPED"

    resumed = stand_in.submits("--resume", "mine")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "mine-2 has ended: SUCCEEDED, exit code 0" in resumed.stdout
    read = stand_in.types("logs", "mine", "--address", stand_in.head.dashboard)
    assert "begun mine-2 mine None" in read.stdout
    assert "begun mine mine hello" in stand_in.head.log("mine")
    assert "state     complete" in stand_in.types("status", str(stand_in.folder / "runs" / "mine")).stdout


def test_the_end_of_a_run_that_was_killed_before_it_stored_its_state_is_an_error(stand_in):
    short = stand_in.head.environment | {"RAY_JOB_STOP_WAIT_TIME_S": "1"}
    person = Person(Head(**{**vars(stand_in.head), "environment": short}), stand_in.folder)
    variables = ("--env", "RAY_JOB_STOP_WAIT_TIME_S", "--env", "DEAF")
    assert person.submits("--set", "run.id=deaf", *variables, "--no-wait").returncode == 0
    person.waits_for_the_run("deaf")
    stopped = person.types("stop", "deaf", "--address", person.head.dashboard)
    assert stopped.returncode == 6, stopped.stdout + stopped.stderr
    assert "was killed before it wrote how it ended" in stopped.stderr and "--resume deaf" in stopped.stderr


def test_a_wrong_token_and_a_silent_address_are_said(person, tmp_path):
    (tmp_path / "token").write_text("fedcba9876543210" * 4)
    wrong = person.head.environment | {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    refused = Person(Head(**{**vars(person.head), "environment": wrong}), tmp_path).submits()
    assert refused.returncode == 5 and "that the head at" in refused.stderr, refused.stdout + refused.stderr
    silent = person.types("logs", "mine", "--address", "http://127.0.0.1:1")
    assert silent.returncode == 5 and "the job server of a Ray cluster at http://127.0.0.1:1" in silent.stderr
