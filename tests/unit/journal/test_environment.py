"""What a run ran on, without a secret."""

import json
import subprocess
from pathlib import Path

import pytest

import flame_ray
from flame_ray.journal.environment import describe_environment

SECRET = "hunter2-no-such-string-elsewhere"


def test_no_environment_variables_value_is_recorded(monkeypatch):
    for name in ("FAKE_SECRET", "HF_TOKEN", "WANDB_API_KEY", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    assert SECRET not in json.dumps(describe_environment({}))


def test_the_record_is_json_that_names_versions_machine_and_command():
    found = json.loads(json.dumps(describe_environment({"CPU": 2.0}), allow_nan=False))
    assert found["flame_ray"] == flame_ray.__version__
    assert {"numpy", "pyarrow", "ray"} <= set(found["packages"])
    assert found["machine"]["cores"] >= 1 and found["machine"]["memory_gib"] > 0
    assert found["command"]


def test_a_package_that_is_not_installed_is_left_out():
    assert all(describe_environment({})["packages"].values())


def test_nodes_addresses_are_left_out_of_the_clusters_resources():
    resources = {"CPU": 2.0, "node:10.0.0.5": 1.0, "node:__internal_head__": 1.0, "memory": 5.0}
    assert describe_environment(resources)["cluster"] == {"CPU": 2.0, "memory": 5.0}


def test_the_commit_is_that_of_the_checkout():
    root = Path(flame_ray.__file__).parents[1]
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    if asked.returncode:
        pytest.skip("not a checkout")
    assert describe_environment({})["git_commit"].rstrip("+") == asked.stdout.strip()
