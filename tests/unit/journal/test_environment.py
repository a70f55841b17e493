"""What a run ran on, without a secret."""

import json
import subprocess
from pathlib import Path

import pytest

import flame_ray
from flame_ray.journal import environment
from flame_ray.journal.environment import describe_environment, source_digest

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


def test_a_package_without_a_checkout_has_the_commit_that_the_user_tells(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "PACKAGE", tmp_path / "flame_ray")
    assert describe_environment({})["git_commit"] is None
    monkeypatch.setenv("FLAME_RAY_COMMIT", "abc")
    assert describe_environment({})["git_commit"] == "abc"
    told = {"job_submission_id": "one", "git_commit": "def"}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"metadata": told}))
    assert describe_environment({})["git_commit"] == "def"


def test_a_package_inside_another_checkout_is_not_of_its_commit(monkeypatch):
    inside = Path(flame_ray.__file__).parents[1] / "tests" / "flame_ray"
    monkeypatch.setattr(environment, "PACKAGE", inside)
    assert describe_environment({})["git_commit"] is None


def test_the_digest_of_the_source_is_that_of_its_content_and_names_and_of_nothing_else(tmp_path):
    def package(name: str, text: str = "x = 1\n", file: str = "a.py") -> str:
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / file).write_text(text)
        (tmp_path / name / "notes.txt").write_text(name)
        return source_digest(tmp_path / name)

    first = package("first")
    assert package("second") == first
    assert first not in (package("third", text="x = 2\n"), package("fourth", file="b.py"))
    assert describe_environment({})["source_sha256"] == source_digest()


def test_the_password_of_a_url_is_left_out_of_the_command(monkeypatch):
    monkeypatch.setattr("sys.argv", ["flame-ray", "run", "--set", f"run.root=s3://me:{SECRET}@host/runs"])
    assert describe_environment({})["command"][-1] == "run.root=s3://me:***@host/runs"
