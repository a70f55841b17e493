"""Shared by the integration tests: the small model, one Ray in this process, and one whole run that others must equal."""

from pathlib import Path

import pytest

from flame_ray.config import ModelConfig
from tests.integration.gate import Gate
from tests.integration.listening import listeners
from tests.integration.quickstart import QuickstartRun
from tests.integration.runs import FinishedRun


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
    run = QuickstartRun(tmp_path_factory.mktemp("runs"), "tiny", {"cluster.dashboard": "true"})
    run.start()
    try:
        run.wait_for(run.under_way, "its first stage")
        listening = listeners(run.processes(""))
        assert run.finish() == 0, run.printed
    finally:
        run.end()
    return FinishedRun(run.printed, run.folder, listening)


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
