"""A whole run that lies on an object store: stopped while it trains, refused a write, and resumed by its URL."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.chaos.harness import SESSION_S, TINY, ChaosRun, assert_same_run
from tests.integration.runs import REPOSITORY, words_of
from tests.integration.shared_store import install

pytestmark = pytest.mark.long


@pytest.fixture
def driver(model, tmp_path):
    """Starts drivers that know the store; ends what is left of them."""
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | install(tmp_path)
    drivers = []

    def start(*more: str) -> subprocess.Popen:
        settings = TINY | {"run.root": "shared://bucket", "run.id": "mine"}
        command = [sys.executable, "-m", "flame_ray", "run", "jobs/quickstart.yaml", *words_of(settings), *more]
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        drivers.append(subprocess.Popen(command, cwd=REPOSITORY, env=environment, **out))
        return drivers[-1]

    yield start
    for each in drivers:
        each.kill()


def wait_for_file(driver: subprocess.Popen, path: Path) -> None:
    deadline = time.monotonic() + SESSION_S
    while not path.exists():
        assert driver.poll() is None and time.monotonic() < deadline, driver.communicate()[0]
        time.sleep(0.1)


def test_a_run_on_an_object_store_is_the_run_on_a_disk_also_if_it_was_stopped_and_refused(driver, calm, tmp_path):
    found = ChaosRun(tmp_path / "store" / "bucket", "mine")
    first = driver()
    wait_for_file(first, found.folder / "checkpoints/round-0001/steps/000001/manifest.json")
    first.send_signal(signal.SIGTERM)
    printed = first.communicate(timeout=SESSION_S)[0]
    assert first.returncode == 75 and "--resume mine" in printed, printed
    assert found.summary["status"] == "interrupted"
    assert found.spans("interrupted") == {"train 1"}

    refusal = tmp_path / "store" / "refuse"
    refusal.write_text("mine/rounds/0002/pairs")
    second = driver("--resume", "shared://bucket/mine")
    printed = second.communicate(timeout=SESSION_S)[0]
    assert second.returncode == 6 and "check the credentials" in printed and "rounds/0002/pairs" in printed, printed
    assert not refusal.exists(), "nothing was refused"

    third = driver("--resume", "shared://bucket/mine")
    printed = third.communicate(timeout=SESSION_S)[0]
    assert third.returncode == 0 and "shared://bucket/mine" in printed, printed
    assert_same_run(found, calm)
    kinds = {path.parent.name for path in found.folder.glob("checkpoints/*/*/manifest.json")}
    assert kinds == {"state", "adapter"}
