"""Loaded before any test module, because Ray and OpenMP read their environment when they are first imported."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from flame_ray import cli
from flame_ray.cluster.connect import prepare_ray
from flame_ray.config import ClusterConfig

os.environ.update(
    OMP_WAIT_POLICY="PASSIVE",  # many processes share few cores here: a thread that spins takes time from the others
    RAY_memory_monitor_refresh_ms="0",  # each Ray would end its workers for the memory that other tests take
    RAY_worker_niceness="0",  # Ray's 15 would let an engine wait for every other process
    RAY_prestart_worker_first_driver="0",  # a worker for each CPU, which no actor of a run takes
)
os.environ.pop("RAY_ADDRESS", None)
prepare_ray(ClusterConfig(address="local"))


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def flame(monkeypatch, capsys) -> Callable[..., Ended]:
    """Runs the command line in this process, which has loaded the heavy packages already."""

    def run(*words, folder: Path) -> Ended:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["flame-ray", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Ended(ended.value.code or 0, *capsys.readouterr())

    return run
