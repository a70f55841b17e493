"""No file of clusters/ holds a secret or an unsafe default, and what each one names exists, in the version that is pinned."""

import re

import pytest

from tests.unit.clusters.launches import REPOSITORY
from tests.unit.clusters.test_launcher_files import FILES, launched
from tests.unit.clusters.test_locks import PROJECT

CLUSTERS = REPOSITORY / "clusters"
PATHS = sorted(path for path in CLUSTERS.rglob("*") if path.is_file())
CONFIGURATIONS = [path for path in PATHS if path.suffix in (".yaml", ".sh") or path.name == "Dockerfile"]
RAY = next(pin.partition("==")[2] for pin in PROJECT["dependencies"] if pin.startswith("ray["))

of_each_file = pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)


@of_each_file
def test_every_version_of_ray_that_a_file_names_is_the_one_of_pyproject(path):
    found = re.findall(r"(?:ray\[default\]==|rayVersion: \"|-ray)(\d+\.\d+\.\d+)", path.read_text(encoding="utf-8"))
    assert set(found) <= {RAY}


def test_the_launchers_and_the_rays_of_kubernetes_name_their_version_of_ray():
    named = {path.name for path in CONFIGURATIONS if RAY in path.read_text(encoding="utf-8")}
    assert {*FILES, "raycluster.yaml", "rayjob.yaml"} <= named
    assert f"\nray=={RAY}\n" in (CLUSTERS / "gpu.lock").read_text(encoding="utf-8")


@of_each_file
def test_every_file_of_the_repository_that_a_file_names_exists(path):
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w/.])((?:jobs|clusters)/[\w./-]+\.(?:yaml|sh|lock))", text)
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


@of_each_file
def test_a_file_opens_with_the_commands_that_use_it_and_says_that_it_was_not_tried(path):
    comments = path.read_text(encoding="utf-8").partition("\n\n")[0]
    assert re.search(r"^#   \w", comments, flags=re.MULTILINE)
    assert re.search(r"has not been (?:started|applied|built)", path.read_text(encoding="utf-8"))


UNSAFE = [r"0\.0\.0\.0", "nightly", "ray-wheels", "dev0", r"image: \S+:latest", "LoadBalancer", "NodePort", "privileged"]


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_no_file_holds_an_unsafe_default(unsafe):
    texts = [path.read_text(encoding="utf-8") for path in CONFIGURATIONS] + [str(launched(name)) for name in FILES]
    assert not any(re.search(unsafe, text) for text in texts)


SECRETS = {
    "an AWS key id": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{20,}",
    "a private key": r"-----BEGIN",
    "an account number": r"\b\d{12}\b",
    "a long random string": r"(?<![\w/.@-])(?=[\w+-]*\d)(?=[\w+-]*[A-Za-z])[\w+-]{32,}",
    "a value beside a secret's name": r"(?i)(?:password|passwd|api_?key|secret_?key|auth_?token)[ \t]*[:=][ \t]*['\"]?\w{6,}",
}
EXAMPLES = {
    "an AWS key id": "AKIA" + "ABCDEFGHIJKLMNOP",
    "a Hugging Face token": "hf_" + "abcdefghij" * 3,
    "a GitHub token": "ghp_" + "abcdefghij" * 3,
    "a private key": "-----" + "BEGIN RSA",
    "an account number": "arn:aws:iam::" + "123456789012" + ":role",
    "a long random string": "value: " + "a1b2c3d4" * 5,
    "a value beside a secret's name": "RAY_AUTH_TOKEN=" + "opensesame",
}


@pytest.mark.parametrize("what", SECRETS)
def test_no_file_holds_anything_that_looks_like_a_secret(what):
    assert re.search(SECRETS[what], EXAMPLES[what])
    for path in PATHS:
        assert not re.search(SECRETS[what], path.read_text(encoding="utf-8")), path.name
