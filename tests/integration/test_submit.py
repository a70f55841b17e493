"""A job on a head node of the test's own: what the job API shows of a run, and a run whose workers die one after the other."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.chaos.harness import SESSION_S, ChaosRun, assert_same_run
from tests.integration.runs import REFERENCE, REPOSITORY, words_of

BIN = Path(sys.executable).parent
ENDS = {"SUCCEEDED", "FAILED", "STOPPED"}
GAUGES = ("ray_flame_round", "ray_flame_stage", "ray_flame_factual_precision")
SUBMISSION = "tiny"


@dataclass(frozen=True)
class Head:
    """A Ray head with ports and a folder of its own, that demands a token."""

    process: subprocess.Popen
    environment: dict[str, str]
    address: str
    dashboard: str
    metrics: str

    def get(self, url: str) -> str | None:
        token = Path(self.environment["RAY_AUTH_TOKEN_PATH"]).read_text()
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def get_json(self, path: str) -> dict:
        return json.loads(self.get(f"{self.dashboard}/api/{path}") or "{}")


@dataclass
class SubmittedRun(ChaosRun):
    """A run that the job API starts; its processes are those below the head."""

    head: Head = field(kw_only=True)
    status: str = ""
    seen_actors: set[str] = field(default_factory=set)
    seen_gauges: str = ""

    def start(self, resume: bool = False) -> None:
        self.driver = self.head.process
        words = words_of(REFERENCE | {"rollout.workers": "1", "run.root": str(self.root), "run.id": self.id})
        command = [BIN / "ray", "job", "submit", "--address", self.head.dashboard, "--working-dir", "."]
        command += ["--no-wait", "--submission-id", SUBMISSION, "--"]
        command += ["python", "-m", "flame_ray", "run", "jobs/quickstart.yaml", *words]
        sent = subprocess.run(
            command, cwd=REPOSITORY, env=self.head.environment, capture_output=True, text=True, timeout=SESSION_S
        )
        assert sent.returncode == 0, sent.stdout + sent.stderr

    def ended(self) -> str | None:
        status = self.head.get_json(f"jobs/{SUBMISSION}").get("status")
        return status if status in ENDS else None

    def finish(self) -> str:
        """Its status in the job API, once it has ended."""
        while (status := self.ended()) is None:
            time.sleep(0.5)
        self.printed = self.tail()
        return status

    def tail(self) -> str:
        return self.head.get_json(f"jobs/{SUBMISSION}/logs").get("logs", "")

    def actors(self) -> set[str]:
        listed = self.head.get_json("v0/actors?limit=100")
        return {actor["name"] for actor in listed.get("data", {}).get("result", {}).get("result", [])}

    def gauges(self) -> str | None:
        """What Prometheus would scrape, once it has all of the run's gauges."""
        text = self.head.get(self.head.metrics) or ""
        return text if all(name in text for name in GAUGES) else None


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Iterator[Head]:
    """A Ray head with ports and a folder of its own; ended by its process group, never by `ray stop`."""
    folder = tmp_path_factory.mktemp("h")
    gcs, dashboard, agent, metrics = free_ports(4)
    token = folder / "token"
    token.write_text("0123456789abcdef" * 4)
    token.chmod(0o600)
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
    environment["PATH"] = f"{BIN}:{environment['PATH']}"  # as in an activated environment: a job's `python` is found there
    environment.pop("RAY_ADDRESS", None)
    # A short folder: Ray's sockets lie in it, and a socket's path has at most 107 characters.
    with subprocess.Popen(
        [BIN / "ray", "start", "--head", "--block", f"--port={gcs}", f"--dashboard-port={dashboard}", 
         "--dashboard-host=127.0.0.1",
         f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}", "--num-cpus=2",
         "--object-store-memory=1000000000", f"--temp-dir=/tmp/fr{gcs}"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:  # fmt: skip
        made = Head(
            process, environment, f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}", f"http://127.0.0.1:{metrics}/metrics"
        )
        try:
            wait_for_jobs_api(made)
            yield made
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def wait_for_jobs_api(head: Head) -> None:
    deadline = time.monotonic() + SESSION_S
    while head.get(f"{head.dashboard}/api/jobs/") is None:
        assert head.process.poll() is None, "the head node ended"
        assert time.monotonic() < deadline, f"no jobs API at {head.dashboard} after {SESSION_S:g} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def submitted(head, model, tmp_path_factory) -> SubmittedRun:
    """The README's command on that head, at the reference's size, with one sampler: its samples are those of two.

    A worker of each kind is killed while it works.
    """
    run = SubmittedRun(tmp_path_factory.mktemp("submitted"), "submitted", head=head)
    run.start()
    run.kill("ray::JudgeActor")
    run.wait_for_file("rounds/0001/sampled/*.json.gz")
    run.kill("ray::FactualityActor")
    run.wait_for_file("rounds/0001/pairs.json.gz")
    run.kill("ray::LearnerActor.advance")
    run.wait_for_file("rounds/0002/prompts.json.gz")
    run.kill("ray::RolloutActor.generate")  # its successor must get the weights of round 1 before it serves
    run.seen_actors = run.wait_for(run.actors, "actors in the dashboard", pause_s=0.5)
    run.seen_gauges = run.wait_for(run.gauges, "gauges of the run", pause_s=0.5)
    run.status = run.finish()
    return run


def test_a_submitted_job_ends_well_and_leaves_its_folder(submitted):
    assert submitted.status == "SUCCEEDED", submitted.printed
    assert submitted.summary["status"] == "complete" and len(submitted.summary["rounds"]) == 3


def test_a_run_outlives_a_worker_of_each_kind_and_ends_as_if_nothing_had_happened(submitted, tiny_run):
    assert submitted.printed.count("is lost and is replaced") >= 3
    assert "starts again from its newest state" in submitted.printed
    assert_same_run(submitted, tiny_run)


def test_a_person_can_tell_the_actors_in_the_dashboard(submitted):
    assert {"rollout-0", "factuality-0", "judge-0", "learner-0"} <= submitted.seen_actors


def test_the_gauges_are_in_rays_prometheus_endpoint(submitted):
    assert 'run="submitted"' in submitted.seen_gauges


def test_the_head_refuses_a_caller_without_the_token(head):
    with pytest.raises(OSError, match="401"):
        urllib.request.urlopen(f"{head.dashboard}/api/jobs/", timeout=10)


JOIN = """
from flame_ray.cluster.connect import connected
from flame_ray.config import ClusterConfig
from flame_ray.errors import PlacementError
try:
    with connected(ClusterConfig(), "a-driver"):
        print("joined")
except PlacementError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("token", "told"), [("0123456789abcdef" * 4, "joined"), ("fedcba9876543210" * 4, "expected a Ray cluster")]
)
def test_a_driver_joins_the_head_with_its_token_and_is_refused_with_another(head, tmp_path, token, told):
    (tmp_path / "token").write_text(token)
    environment = head.environment | {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"), "RAY_ADDRESS": head.address}
    done = subprocess.run([sys.executable, "-c", JOIN], env=environment, capture_output=True, text=True, timeout=100)
    assert done.stdout.startswith(told), done.stdout + done.stderr
