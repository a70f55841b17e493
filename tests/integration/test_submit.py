"""The job API: a head node of the test's own, `ray job submit`, and what the dashboard's server says of the run."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
OVERRIDES = (
    "run.rounds=1",
    "run.id=submitted",
    "prompts.sources=[{source: factbook, heldout_limit: 3}, {source: open-ended, heldout_limit: 2}]",
    "prompts.per_round=8",
    "rollout.samples=4",
    "rollout.max_tokens=64",
)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def head(tmp_path_factory):
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
        address = f"http://127.0.0.1:{dashboard}"
        try:
            wait_for_jobs_api(address, environment, process)
            yield address, environment, metrics
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def wait_for_jobs_api(address: str, environment: dict[str, str], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "the head node ended"
        if get(f"{address}/api/jobs/", environment) is not None:
            return
        time.sleep(1)
    raise AssertionError(f"no jobs API at {address} after 120 s")


def get(url: str, environment: dict[str, str]) -> str | None:
    token = Path(environment["RAY_AUTH_TOKEN_PATH"]).read_text()
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return None


@pytest.fixture(scope="module")
def submitted(head, model, tmp_path_factory):
    """The README's command on that head, with a tiny size; the gauges are read while it runs."""
    address, environment, metrics_port = head
    root = tmp_path_factory.mktemp("submitted")
    words = [word for override in (*OVERRIDES, f"run.root={root}") for word in ("--set", override)]
    command = [BIN / "ray", "job", "submit", "--address", address, "--working-dir", "."]
    command += ["--no-wait", "--submission-id", "tiny", "--"]
    command += ["python", "-m", "flame_ray", "run", "jobs/quickstart.yaml", *words]
    sent = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    gauges, actors = "", set()
    deadline = time.monotonic() + 420
    while time.monotonic() < deadline:
        details = json.loads(get(f"{address}/api/jobs/tiny", environment) or "{}")
        text = get(f"http://127.0.0.1:{metrics_port}/metrics", environment) or ""
        gauges = text if "ray_flame_factual_precision" in text else gauges
        listed = json.loads(get(f"{address}/api/v0/actors?limit=100", environment) or "{}")
        actors |= {actor["name"] for actor in listed.get("data", {}).get("result", {}).get("result", [])}
        if details.get("status") in {"SUCCEEDED", "FAILED", "STOPPED"}:
            break
        time.sleep(1)
    logs = json.loads(get(f"{address}/api/jobs/tiny/logs", environment) or "{}").get("logs", "")
    return {"details": details, "logs": logs, "root": root, "gauges": gauges, "actors": actors}


def test_a_submitted_job_ends_well_and_leaves_its_folder(submitted):
    assert submitted["details"]["status"] == "SUCCEEDED", submitted["logs"]
    summary = json.loads((submitted["root"] / "submitted" / "summary.json").read_text())
    assert summary["status"] == "complete" and len(summary["rounds"]) == 2


def test_a_person_can_tell_the_actors_in_the_dashboard(submitted):
    assert {"rollout-0", "factuality-0", "judge-0", "learner-0"} <= submitted["actors"]


def test_the_gauges_are_in_rays_prometheus_endpoint(submitted):
    for name in ("ray_flame_round", "ray_flame_stage", "ray_flame_factual_precision"):
        assert name in submitted["gauges"]
    assert 'run="submitted"' in submitted["gauges"] or 'run="submitted' in submitted["gauges"]


def test_the_head_refuses_a_caller_without_the_token(head):
    address, _, _ = head
    with pytest.raises(OSError, match="401"):
        urllib.request.urlopen(f"{address}/api/jobs/", timeout=10)
