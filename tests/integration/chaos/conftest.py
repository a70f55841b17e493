"""The undisturbed run that every broken one must equal, made once."""

import pytest

from tests.integration.chaos.harness import ChaosRun


@pytest.fixture(scope="session")
def calm(model, tmp_path_factory) -> ChaosRun:
    run = ChaosRun(tmp_path_factory.mktemp("calm"), "calm")
    run.start()
    assert run.finish() == 0, run.printed
    return run


@pytest.fixture
def chaos(model, tmp_path):
    """A run that is not started; whatever it leaves behind is ended with the test."""
    run = ChaosRun(tmp_path, "broken")
    yield run
    run.end()
