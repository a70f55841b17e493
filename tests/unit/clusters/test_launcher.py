"""Ray's launcher starts each AWS node with the labels and resources of its type: the shipped commands run in a real shell."""

import json
import subprocess
from pathlib import Path

import pytest
from ray.autoscaler._private.command_runner import _with_environment_variables
from ray.autoscaler._private.commands import get_or_create_head_node
from ray.autoscaler._private.updater import STATUS_UP_TO_DATE, TAG_RAY_NODE_STATUS
from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.v2.instance_manager.ray_installer import RayInstaller
from ray.core.generated.instance_manager_pb2 import Instance

from tests.unit.clusters.launches import cluster

WORKERS = ("learner", "rollout", "cpu")


class Shell:
    """A node that is reached without SSH: the commands that start Ray run here, and all others are left out."""

    def __init__(self, home: Path):
        self._home = home

    def run(self, cmd: str, environment_variables: dict | None = None, **ignored) -> str:
        if "ray start" in cmd:
            command = _with_environment_variables(cmd, environment_variables or {})
            subprocess.run(["bash", "-c", command], env={"HOME": str(self._home), "PATH": "/usr/bin:/bin"}, check=True)
        return ""

    def run_rsync_up(self, *ignored, **options) -> None:
        pass

    def run_init(self, **ignored) -> bool:
        return False


class OneNode(NodeProvider):
    """A cloud with one node."""

    def __init__(self, home: Path):
        super().__init__({}, "one")
        self._home, self._tags = home, {}

    def get_command_runner(self, *ignored, **options) -> Shell:
        return Shell(self._home)

    def node_tags(self, node_id: str) -> dict[str, str]:
        return self._tags

    def set_node_tags(self, node_id: str, tags: dict[str, str]) -> None:
        self._tags |= tags

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        return ["i-1"]

    def create_node(self, *ignored) -> None:
        pass

    def terminate_node(self, node_id: str) -> None:
        pass

    def external_ip(self, node_id: str) -> str:
        return "10.0.0.1"

    def is_terminated(self, node_id: str) -> bool:
        return False


@pytest.fixture
def home(tmp_path) -> Path:
    """A home with a `ray` that writes down what it was started with."""
    ray = tmp_path / "venv" / "bin" / "ray"
    ray.parent.mkdir(parents=True)
    ray.write_text('#!/bin/bash\nenv > "$HOME/environment"\n')
    ray.chmod(0o755)
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    """What Ray was started with."""
    return dict(line.partition("=")[::2] for line in (home / "environment").read_text().splitlines())


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_of_aws_starts_with_the_labels_and_the_resources_of_its_type(home, kind):
    nodes, provider = cluster("aws.yaml"), OneNode(home)
    nodes.get_raw_config_mutable()["file_mounts"] = {}  # nothing is copied to this machine
    instance = Instance(instance_id="1", instance_type=kind, cloud_instance_id="i-1")
    RayInstaller(provider, nodes).install_ray(instance, "10.0.0.1")
    assert provider.node_tags("i-1")[TAG_RAY_NODE_STATUS] == STATUS_UP_TO_DATE
    started = environment(home)
    assert json.loads(started["RAY_OVERRIDE_LABELS"]) == {"flame-ray/role": kind}
    assert json.loads(started["RAY_OVERRIDE_RESOURCES"]) == nodes.get_node_resources(kind)
    assert (started["RAY_NODE_TYPE_NAME"], started["RAY_CLOUD_INSTANCE_ID"], started["RAY_AUTH_MODE"]) == (kind, "i-1", "token")


def test_the_head_of_aws_starts_with_the_autoscaler_that_heeds_labels(home, monkeypatch):
    monkeypatch.delenv("RAY_UP_enable_autoscaler_v2", raising=False)
    config = cluster("aws.yaml").get_raw_config_mutable() | {"file_mounts": {}}
    get_or_create_head_node(
        config, "aws.yaml", no_restart=False, restart_only=False, yes=True, override_cluster_name=None, _provider=OneNode(home)
    )
    started = environment(home)
    assert started["RAY_enable_autoscaler_v2"] == "1"
    assert (started["RAY_CLOUD_INSTANCE_ID"], started["RAY_NODE_TYPE_NAME"]) == ("i-1", "head")
    assert json.loads(started["RAY_OVERRIDE_RESOURCES"]) == {"CPU": 0}
    assert json.loads(started["RAY_OVERRIDE_LABELS"]) == {"flame-ray/role": "head"}


def test_the_worker_types_are_all_that_the_file_has():
    nodes = cluster("aws.yaml")
    assert {*WORKERS, nodes.get_head_node_type()} == set(nodes.get_node_type_configs())
