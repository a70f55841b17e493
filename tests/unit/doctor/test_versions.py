"""The tested set is the lock file's; what differs from it is named."""

import re
import tomllib
from pathlib import Path

from flame_ray.doctor.checks import Check, Level, Site
from flame_ray.doctor.versions import PYTHONS, TESTED, _softened, check_versions
from tests.unit.doctor.samples import HERE, levels

ROOT = Path(__file__).parents[3]


def test_the_tested_set_is_the_lock_file_and_the_pythons_are_the_projects():
    locked = dict(re.findall(r"^([\w-]+)==([\d.]+)", (ROOT / "clusters/cpu.lock").read_text(), re.M))
    assert {name: locked[name] for name in TESTED} == TESTED
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
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
