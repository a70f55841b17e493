"""Shared by the integration tests: the small model, one Ray in this process, and one whole run that others must equal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flame_ray.config import ModelConfig
from tests.integration.gate import Gate
from tests.integration.runs import REFERENCE, REPOSITORY, FinishedRun, words_of


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start a Ray of their own in this process come last; all others share one."""
    items.sort(key=lambda item: "no_ray" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def model() -> Path:
    """SmolLM2-135M, made once into the cache of this machine."""
    from flame_ray.engines.models import SMOLLM2, resolve_model

    return resolve_model(SMOLLM2, ModelConfig())


@pytest.fixture(scope="session")
def tiny_run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """`make quickstart`, two rollout actors and two learner ranks, small enough for a test; made once for all that read it."""
    root = tmp_path_factory.mktemp("runs")
    overrides = words_of(REFERENCE | {"run.root": str(root), "run.id": "tiny"})
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    quoted = " ".join(f"'{word}'" for word in overrides)
    if Path(sys.prefix) == REPOSITORY / ".venv":
        command = ["make", "quickstart", f"ARGS={quoted}"]
    else:
        command = [sys.executable, "-m", "flame_ray", "run", "jobs/quickstart.yaml", *overrides]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0, done.stdout + done.stderr
    return FinishedRun(done.stdout, root / "tiny")


@pytest.fixture(scope="session")
def local_ray():
    """One Ray in this process for all files that need no other; ended by ray.shutdown, which ends only what it started.

    A test of what does not fit counts in seats, of which others take none.
    """
    import ray

    options = {"include_dashboard": False, "log_to_driver": False, "object_store_memory": 10**9}
    ray.init(address="local", num_cpus=4, resources={"seat": 2}, **options)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="session")
def joined(local_ray) -> list[str]:
    """The words with which a command joins that Ray and need not start one of its own."""
    return ["--set", f"cluster.address={local_ray.get_runtime_context().gcs_address}"]


@pytest.fixture(scope="module")
def no_ray() -> None:
    """This process is in no Ray, so that a test can start its own."""
    import ray

    ray.shutdown()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)
