"""What the doctor sees: a cluster that does not answer, this machine, Ray's token, and the installed packages."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from flame_ray.config import Config
from flame_ray.doctor.checks import Check, Level, Site
from flame_ray.doctor.probe import PYTHONS, _softened, check_auth, check_versions, find_auth, find_site
from flame_ray.journal.environment import TESTED
from tests.unit.doctor.samples import HERE, job, levels

ROOT = Path(__file__).parents[3]


def test_a_cluster_that_does_not_answer_is_a_problem_and_this_machine_is_described():
    site, check = find_site(job(cluster={"address": "127.0.0.1:1"}))
    assert (site.name, check.level) == ("this machine", Level.PROBLEM)
    assert "127.0.0.1:1" in check.expected and "refused" in check.found


def test_a_job_server_cannot_be_asked_and_the_way_to_ask_is_told(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    _, check = find_site(Config())
    assert check.level is Level.WARNING and "ray job submit" in check.fix


@pytest.mark.parametrize(
    ("address", "mode", "has_token", "level"),
    [
        ("local", "token", False, Level.OK),  # Ray makes it
        ("local", "disabled", True, Level.WARNING),
        ("10.0.0.1:6379", "token", True, Level.OK),
        ("10.0.0.1:6379", "token", False, Level.PROBLEM),
        ("10.0.0.1:6379", "", True, Level.WARNING),
        ("127.0.0.1:6379", "", False, Level.OK),
        ("http://localhost:8265", "", False, Level.OK),
        ("ray://[::1]:10001", "", False, Level.OK),
        ("ray://head:10001", "", False, Level.WARNING),
    ],
)
def test_a_ray_off_loopback_asks_for_a_token(address, mode, has_token, level):
    assert check_auth(address, mode, has_token).level is level


def test_the_tested_versions_are_those_of_the_lock_file_and_of_the_project():
    locked = dict(re.findall(r"^([\w-]+)==([\d.]+)", (ROOT / "clusters/cpu.lock").read_text(), re.M))
    assert {name: locked[name] for name in TESTED} == TESTED
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = dict(
        re.fullmatch(r"([\w-]+)(?:\[\w+\])?(.*)", line).groups()
        for line in (*project["dependencies"], *project["optional-dependencies"]["cpu"])
    )
    assert [name for name, version in TESTED.items() if version not in SpecifierSet(asked[name])] == []
    assert project["requires-python"] == f">=3.{PYTHONS[0][1]},<3.{PYTHONS[-1][1] + 1}"


def test_the_tested_set_is_one_line():
    (only,) = check_versions(TESTED | {"torch": "2.13.0+cpu"}, (3, 11), on_gpu=False)
    assert only.level is Level.OK
    assert "python 3.11, ray 2.60.0" in only.found


def test_what_is_missing_is_a_problem_and_what_is_untested_a_warning():
    found = {name: version for name, version in TESTED.items() if name != "peft"} | {"ray": "2.61.0"}
    assert levels(check_versions(found, (3, 12), on_gpu=False)) == {"peft": "problem", "ray": "warning", "python": "warning"}
    assert levels(check_versions(TESTED, (3, 13), on_gpu=False)) == {"python": "problem"}


def test_no_set_for_gpus_is_tested_and_a_cpu_build_cannot_serve_them():
    found = TESTED | {"vllm": "0.32.0", "torch": "2.13.0 (CUDA 13.0)"}
    assert levels(check_versions(found, (3, 11), on_gpu=True)) == {"packages": "warning"}
    checks = levels(check_versions(TESTED | {"torch": "2.13.0+cpu"}, (3, 11), on_gpu=True))
    assert checks == {"vllm": "problem", "torch": "problem", "packages": "warning"}


def test_packages_of_this_machine_are_only_a_warning_for_a_cluster():
    problem = Check(Level.PROBLEM, "vllm", "", "")
    assert _softened([problem], HERE) == [problem]
    assert levels(_softened([problem], Site("cluster", {}, ()))) == {"vllm": "warning"}


def test_a_token_that_others_may_read_is_a_warning(tmp_path, monkeypatch):
    path = tmp_path / "token"
    path.write_text("a token")
    path.chmod(0o644)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    check = find_auth("local")
    assert check.level is Level.WARNING and "0644" in check.found and f"chmod 600 {path}" in check.fix
    path.chmod(0o600)
    assert find_auth("local").level is Level.OK
