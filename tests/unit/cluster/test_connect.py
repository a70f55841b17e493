"""The environment that Ray reads at its first import, set before it."""

import os
import subprocess
import sys

import pytest

from flame_ray.cluster.connect import cluster_address, prepare_ray
from flame_ray.config import ClusterConfig

NAMES = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Each test starts without Ray's variables, and what it sets is gone after it."""
    for name in NAMES:
        monkeypatch.setenv(name, "so that it is restored")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("setting", "variable", "address"),
    [
        ("auto", None, "local"),
        ("auto", "", "local"),
        ("auto", "10.0.0.1:6379", "10.0.0.1:6379"),
        ("local", "10.0.0.1:6379", "local"),
        ("ray://head:10001", None, "ray://head:10001"),
    ],
)
def test_auto_joins_the_cluster_of_ray_address_and_every_other_setting_means_itself(setting, variable, address, monkeypatch):
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    assert cluster_address(ClusterConfig(address=setting)) == address


def test_a_ray_that_the_run_starts_demands_a_token_and_reports_no_usage():
    prepare_ray(ClusterConfig())
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_cluster_that_the_run_joins_decides_about_tokens_itself():
    prepare_ray(ClusterConfig(address="ray://head:10001"))
    assert "RAY_AUTH_MODE" not in os.environ


def test_what_the_user_has_set_is_kept(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    prepare_ray(ClusterConfig())
    assert (os.environ["RAY_AUTH_MODE"], os.environ["RAY_USAGE_STATS_ENABLED"]) == ("disabled", "1")


def test_importing_the_package_the_command_line_and_this_module_imports_no_ray():
    code = (
        "import sys, flame_ray, flame_ray.cli, flame_ray.cluster.connect, flame_ray.round, flame_ray.pairs;"
        "print(sorted({'ray', 'torch', 'vllm', 'deepspeed', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
