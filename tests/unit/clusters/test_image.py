"""The image has the locks' packages and nothing of the builder's, and runs as the user that the pods name."""

import re

from tests.unit.clusters.kubernetes import pods
from tests.unit.clusters.launches import REPOSITORY
from tests.unit.clusters.test_locks import PROJECT

TEXT = (REPOSITORY / "clusters" / "Dockerfile").read_text(encoding="utf-8")
STEPS = [line.split(maxsplit=1) for line in TEXT.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def steps(name: str) -> list[str]:
    return [words for step, words in STEPS if step == name]


def test_the_base_is_an_exact_release_of_a_python_that_the_lock_is_for():
    (base,) = steps("FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?", base)


def test_the_image_installs_the_locks_and_then_flame_ray_alone():
    installs = [words for words in steps("RUN") if "pip install" in words]
    assert "--no-deps -r /tmp/gpu.lock -r /tmp/trackers.lock" in installs[0]
    assert "--no-deps --no-build-isolation -e ." in installs[1]


def test_the_image_holds_the_locks_the_package_and_the_jobs_and_nothing_else():
    copied = [source for words in steps("COPY") for source in words.split()[:-1] if not source.startswith("--")]
    package = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "flame_ray", "jobs"}
    assert set(copied) == package | {"clusters/gpu.lock", "clusters/trackers.lock"} and len(copied) == len(set(copied))
    assert not steps("ADD") and not steps("ARG")


def test_the_image_runs_as_the_user_that_the_pods_name():
    (user,) = steps("USER")
    for name in ("raycluster.yaml", "rayjob.yaml"):
        for pod in pods(name).values():
            assert user == f"{pod.security_context.run_as_user}:{pod.security_context.run_as_group}"


def test_the_image_finds_nvidias_driver_where_gke_mounts_it():
    set_ = dict(pair.split("=", 1) for words in steps("ENV") for pair in words.split())
    assert set_["LD_LIBRARY_PATH"] == "/usr/local/nvidia/lib64" and set_["PATH"] == "$PATH:/usr/local/nvidia/bin"


def test_the_pods_mount_folders_that_the_image_has():
    mounts = {mount.mount_path for pod in pods("raycluster.yaml").values() for mount in pod.containers[0].volume_mounts}
    made = next(words for words in steps("RUN") if "install -d" in words)
    assert all(mount in made for mount in mounts)


def test_all_pods_have_the_image_that_its_comment_builds():
    built = re.findall(r"-t (\S+) \.", TEXT)
    for name in ("raycluster.yaml", "rayjob.yaml"):
        assert {pod.containers[0].image for pod in pods(name).values()} == set(built)
