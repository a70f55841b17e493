"""Shared by the integration tests: the small model, one local Ray, and one whole run of the quickstart at a tiny size."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from flame_ray.config import ModelConfig

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = (
    "run.rounds=2",
    "run.save_merged=true",
    "prompts.sources=[{source: factbook, heldout_limit: 6}, {source: open-ended, heldout_limit: 3}]",
    "prompts.per_round=10",
    "rollout.workers=2",
    "rollout.samples=4",
    "rollout.max_tokens=64",
    "rollout.batch_sequences=12",
    "learner.workers=2",
    "learner.batch_pairs=4",
    "learner.micro_batch_pairs=2",
    "cluster.dashboard=false",
)


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended well: what it printed, and its folder."""

    printed: str
    folder: Path

    @property
    def summary(self) -> dict:
        return json.loads((self.folder / "summary.json").read_text())


def settings(*overrides: str) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


@pytest.fixture(scope="session")
def model() -> Path:
    """SmolLM2-135M, made once into the cache of this machine."""
    from flame_ray.engines.models import SMOLLM2, resolve_model

    return resolve_model(SMOLLM2, ModelConfig())


@pytest.fixture(scope="session")
def tiny_run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """`make quickstart`, two rollout actors and two learner ranks, small enough for a test; made once for all that read it."""
    root = tmp_path_factory.mktemp("runs")
    overrides = settings(*TINY, f"run.root={root}", "run.id=tiny")
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    quoted = " ".join(f"'{word}'" for word in overrides)
    if Path(sys.prefix) == REPOSITORY / ".venv":
        command = ["make", "quickstart", f"ARGS={quoted}"]
    else:
        command = [sys.executable, "-m", "flame_ray", "run", "jobs/quickstart.yaml", *overrides]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return FinishedRun(done.stdout, root / "tiny")


@pytest.fixture(scope="module")
def local_ray():
    """One Ray on this machine for the tests of a file; ended by ray.shutdown, which ends only what it started."""
    import ray

    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=10**9)
    yield ray
    ray.shutdown()
