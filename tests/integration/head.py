"""A Ray head of a test's own, and its job API as a person uses it: submit, watch, stop."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from tests.integration.chaos.faults import below
from tests.integration.chaos.harness import SESSION_S

BIN = Path(sys.executable).parent
PORTS = range(20_000, 32_000)  # above those of Ray's workers, below those that the system gives to whoever asks for any
PATIENT = {  # with a node that is slow because the machine is busy; one that is gone is found as soon as ever
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_health_check_timeout_ms": "60000",
}
ENDS = {"SUCCEEDED", "FAILED", "STOPPED"}


@dataclass(frozen=True)
class Head:
    """A Ray head with ports and a folder of its own, that demands a token."""

    process: subprocess.Popen
    environment: dict[str, str]
    gcs: int
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

    def get_json(self, path: str) -> Any:
        return json.loads(self.get(f"{self.dashboard}/api/{path}") or "{}")

    def listed(self, what: str) -> list[dict[str, Any]]:
        """The state API's `actors` or `nodes`."""
        return self.get_json(f"v0/{what}?limit=100&detail=true").get("data", {}).get("result", {}).get("result", [])

    def submit(self, job: str, folder: Path, words: list[str], env_vars: Mapping[str, str] | None = None) -> None:
        """`ray job submit` from `folder`, which is the job's working directory. `words` follow `python`."""
        options = ["--working-dir", ".", "--no-wait", "--submission-id", job]
        options += ["--runtime-env-json", json.dumps({"env_vars": env_vars or {}})]
        self._ray_job("submit", folder, [*options, "--", "python", *words])

    def stop(self, job: str) -> None:
        """`ray job stop`, which waits until the job has ended."""
        self._ray_job("stop", Path.cwd(), [job])

    def job(self, job: str) -> dict[str, Any]:
        return self.get_json(f"jobs/{job}")

    def log(self, job: str) -> str:
        return self.get_json(f"jobs/{job}/logs").get("logs", "")

    def ended(self, job: str) -> str | None:
        """Its status, once it has ended."""
        status = self.job(job).get("status")
        return status if status in ENDS else None

    def wait_for_end(self, job: str, limit_s: float = SESSION_S) -> dict[str, Any]:
        """The job's details in the API, once it has ended."""
        wait_until(lambda: self.ended(job), limit_s, lambda: f"{job} goes on:\n{self.log(job)[-3000:]}")
        return self.job(job)

    def _ray_job(self, verb: str, folder: Path, words: list[str]) -> None:
        command = [BIN / "ray", "job", verb, "--address", self.dashboard, *words]
        done = subprocess.run(command, cwd=folder, env=self.environment, capture_output=True, text=True, timeout=SESSION_S)
        assert done.returncode == 0, done.stdout + done.stderr


def wait_until(what: Callable[[], Any], limit_s: float, otherwise: Callable[[], str]) -> Any:
    """What it gives, as soon as it gives something; `otherwise` says what was found when the time is over."""
    deadline = time.monotonic() + limit_s
    while not (found := what()):
        assert time.monotonic() < deadline, f"after {limit_s:g} s, {otherwise()}"
        time.sleep(0.2)
    return found


@contextmanager
def started_head(folder: Path, *options: str, gcs: int, environment: Mapping[str, str] | None = None) -> Iterator[Head]:
    """A head for the block. `options` are those of `ray start`; all that it started ends with it, never by `ray stop`.

    Ray aborts a node whose agents have not told their ports within 15 s of its start, unless they are given.
    """
    dashboard, agent, metrics, grpc, runtime_env = free_ports(5)
    token = folder / "token"
    token.write_text("0123456789abcdef" * 4)
    token.chmod(0o600)
    variables = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
    variables |= PATIENT
    variables["PATH"] = f"{BIN}:{variables['PATH']}"  # as in an activated environment: a job's `python` is found there
    variables.pop("RAY_ADDRESS", None)
    variables |= environment or {}
    # A short folder: Ray's sockets lie in it, and a socket's path has at most 107 characters.
    process = subprocess.Popen(
        [BIN / "ray", "start", "--head", "--block", f"--port={gcs}", f"--dashboard-port={dashboard}", 
         "--dashboard-host=127.0.0.1", f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}",
         f"--dashboard-agent-grpc-port={grpc}", f"--runtime-env-agent-port={runtime_env}",
         f"--temp-dir=/tmp/fr{gcs}", *options],
        env=variables, stdout=(folder / "head.log").open("w"), stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    head = Head(process, variables, gcs, f"http://127.0.0.1:{dashboard}", f"http://127.0.0.1:{metrics}/metrics")
    try:
        health = f"http://127.0.0.1:{agent}/api/local_raylet_healthz"  # of the agent, which starts the jobs' drivers
        wait_until(
            lambda: _serves_jobs(head) and head.get(health),
            SESSION_S,
            lambda: f"no jobs API:\n{(folder / 'head.log').read_text()}",
        )
        yield head
    finally:
        _end(process)


def free_ports(count: int) -> list[int]:
    """Ports that the system gives to nobody else before they are used."""
    return list(islice((port for port in random.sample(PORTS, len(PORTS)) if _is_free(port)), count))


def free_block(size: int) -> int:
    """The first of so many free ports in a row."""
    starts = random.sample(PORTS[:-size], len(PORTS) - size)
    return next(start for start in starts if all(map(_is_free, range(start, start + size))))


def _is_free(port: int) -> bool:
    with socket.socket() as tried, suppress(OSError):
        tried.bind(("", port))
        return True
    return False


def _serves_jobs(head: Head) -> bool:
    assert head.process.poll() is None, "the head node ended"
    return head.get(f"{head.dashboard}/api/jobs/") is not None


def _end(process: subprocess.Popen) -> None:
    """End a head, the nodes that its autoscaler launched, and their drivers, which are in sessions of their own."""
    ours = {each.pid: each for each in [*below(process.pid, ""), *_of_session(process.pid)]}
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    ours |= {each.pid: each for each in _of_session(process.pid)}
    for each in ours.values():
        with suppress(psutil.NoSuchProcess):
            each.kill()  # does nothing to another process that has got this number since
    process.wait(timeout=30)
    _, left = psutil.wait_procs(ours.values(), timeout=30)
    assert not left, f"these processes of the head go on: {left}"


def _of_session(session: int) -> list[psutil.Process]:
    """Those that a process of this session started, although their parents may be gone."""
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == session:
                found.append(process)
    return found
