"""Ray's launcher starts each node with the labels and resources of its type: the shipped commands run in a real shell."""

import fcntl
import json
import subprocess
from pathlib import Path

import pytest
from ray.autoscaler._private.command_runner import _with_environment_variables
from ray.autoscaler._private.commands import get_or_create_head_node
from ray.autoscaler._private.updater import STATUS_UP_TO_DATE, TAG_RAY_NODE_STATUS
from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.instance_manager.ray_installer import RayInstaller
from ray.core.generated.instance_manager_pb2 import Instance

from flame_ray.config.load import load_config
from tests.unit.clusters.launches import LAUNCHED, REPOSITORY, cluster, hosts, plan

WORKERS = ("learner", "rollout", "cpu")
ON_PREMISES = "on-premises.yaml"
HOSTS = {"learner": {"CPU": 96, "GPU": 8}, "rollout": {"CPU": 8, "GPU": 1}, "cpu": {"CPU": 8}}  # as its comments say


class Shell:
    """A node that is reached without SSH: the commands that start Ray run here, and all others are left out."""

    def __init__(self, home: Path):
        self._home = home

    def run(self, cmd: str, environment_variables: dict | None = None, **ignored) -> str:
        if "ray start" in cmd or "watch-node" in cmd:
            command = _with_environment_variables(cmd, environment_variables or {}) + "\nwait"  # for the watch, which goes on
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
    ray.write_text('#!/bin/bash\nenv > "$HOME/environment"\necho "$*" > "$HOME/arguments"\n')
    ray.chmod(0o755)
    watch = ray.with_name("flame-ray")
    watch.write_text('#!/bin/bash\necho "$*" "$RAY_AUTH_MODE" "$RAY_ADDRESS" >> "$HOME/watches"\n')
    watch.chmod(0o755)
    (tmp_path / ".ray").mkdir()  # the token is in it
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    """What Ray was started with."""
    return dict(line.partition("=")[::2] for line in (home / "environment").read_text().splitlines())


def labels(home: Path) -> dict[str, str]:
    """The labels that Ray was told on its command line."""
    (given,) = [word for word in (home / "arguments").read_text().split() if word.startswith("--labels=")]
    return dict([given.removeprefix("--labels=").split("=")])


def start_worker(name: str, kind: str, home: Path) -> OneNode:
    nodes, provider = cluster(name), OneNode(home)
    nodes.get_raw_config_mutable()["file_mounts"] = {}  # nothing is copied to this machine
    instance = Instance(instance_id="1", instance_type=kind, cloud_instance_id="i-1")
    RayInstaller(provider, nodes).install_ray(instance, "10.0.0.1")
    assert provider.node_tags("i-1")[TAG_RAY_NODE_STATUS] == STATUS_UP_TO_DATE
    return provider


def start_head(name: str, home: Path) -> None:
    config = cluster(name).get_raw_config_mutable() | {"file_mounts": {}, "auth": {"ssh_user": "nobody"}}
    get_or_create_head_node(
        config, name, no_restart=False, restart_only=False, yes=True, override_cluster_name=None, _provider=OneNode(home)
    )


@pytest.mark.parametrize("name", LAUNCHED)
@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_of_a_cloud_starts_with_the_labels_and_the_resources_of_its_type(home, name, kind):
    start_worker(name, kind, home)
    started = environment(home)
    assert json.loads(started["RAY_OVERRIDE_LABELS"]) == {"flame-ray/role": kind}
    assert json.loads(started["RAY_OVERRIDE_RESOURCES"]) == cluster(name).get_node_resources(kind)
    assert (started["RAY_NODE_TYPE_NAME"], started["RAY_CLOUD_INSTANCE_ID"], started["RAY_AUTH_MODE"]) == (kind, "i-1", "token")


@pytest.mark.parametrize("name", LAUNCHED)
def test_a_worker_of_a_cloud_watches_for_the_notices_of_that_cloud_but_not_twice(home, name):
    with (home / ".ray" / "watch-node.lock").open("w") as one:
        fcntl.flock(one, fcntl.LOCK_EX)  # as another watch has it
        start_worker(name, "rollout", home)
        assert not (home / "watches").exists()
    start_worker(name, "rollout", home)
    assert (home / "watches").read_text().splitlines() == [f"watch-node {name.partition('.')[0]} token 10.0.0.1:6379"]


@pytest.mark.parametrize("name", LAUNCHED)
def test_the_head_of_a_cloud_starts_with_the_autoscaler_that_heeds_labels(home, name, monkeypatch):
    monkeypatch.delenv("RAY_UP_enable_autoscaler_v2", raising=False)
    start_head(name, home)
    started = environment(home)
    assert started["RAY_enable_autoscaler_v2"] == "1"
    assert (started["RAY_CLOUD_INSTANCE_ID"], started["RAY_NODE_TYPE_NAME"]) == ("i-1", "head")
    assert json.loads(started["RAY_OVERRIDE_RESOURCES"]) == {"CPU": 0}
    assert json.loads(started["RAY_OVERRIDE_LABELS"]) == {"flame-ray/role": "head"}


@pytest.mark.parametrize("name", LAUNCHED)
def test_the_worker_types_are_all_that_the_file_has(name):
    nodes = cluster(name)
    assert {*WORKERS, nodes.get_head_node_type()} == set(nodes.get_node_type_configs())


# On premises


def with_gpus(home: Path, gpus: int) -> Path:
    """The same home on a host with so many GPUs; one without has no nvidia-smi."""
    if gpus:
        smi = home / "venv" / "bin" / "nvidia-smi"
        smi.write_text(f"#!/bin/bash\nseq {gpus}\n")
        smi.chmod(0o755)
    return home


@pytest.mark.parametrize(("gpus", "role"), [(0, "cpu"), (1, "rollout"), (4, "rollout"), (8, "learner")])
def test_a_host_on_premises_takes_its_label_from_its_gpus_and_its_resources_from_ray(home, gpus, role):
    start_worker(ON_PREMISES, "local.cluster.node", with_gpus(home, gpus))
    assert labels(home) == {"flame-ray/role": role}
    started = environment(home)
    assert not {"RAY_OVERRIDE_LABELS", "RAY_OVERRIDE_RESOURCES"} & started.keys()
    assert (started["RAY_CLOUD_INSTANCE_ID"], started["RAY_AUTH_MODE"]) == ("i-1", "token")
    assert "--address=10.0.0.1:6379" in (home / "arguments").read_text()


def test_the_head_on_premises_takes_no_actor(home):
    start_head(ON_PREMISES, home)
    assert labels(home) == {"flame-ray/role": "head"}
    assert {"--num-cpus=0", "--num-gpus=0"} <= set((home / "arguments").read_text().split())
    assert environment(home)["RAY_AUTH_MODE"] == "token"


def on_premises(home: Path) -> AutoscalingConfig:
    """The hosts that the file's comments describe, with the labels that its commands give them."""
    kinds = {"head": {"resources": {"CPU": 0}, "labels": {"flame-ray/role": "head"}}}
    for host, resources in HOSTS.items():
        (home / "venv" / "bin" / "nvidia-smi").unlink(missing_ok=True)
        start_worker(ON_PREMISES, "local.cluster.node", with_gpus(home, resources.get("GPU", 0)))
        kinds[host] = {"resources": resources, "labels": labels(home)}
    return hosts("head", kinds)


ALL_HOSTS = ("learner", *("rollout",) * 4, "cpu")


def test_each_role_of_a_paper_job_is_on_the_hosts_that_are_meant_for_it(home):
    found = plan(load_config(REPOSITORY / "jobs/paper/dpo-flame.yaml"), on_premises(home), ALL_HOSTS)
    homes = {"learner": {"learner": 4}, "rollout": {"rollout": 2}, "judge": {"rollout": 2}, "factuality": {"cpu": 4}}
    assert found.homes == homes and not found.starts and not found.unplaceable


def test_the_quickstart_keeps_off_the_learners_host(home):
    found = plan(load_config(REPOSITORY / "jobs/quickstart.yaml"), on_premises(home), ALL_HOSTS)
    assert not found.starts and not found.unplaceable
    assert all("learner" not in homes for homes in found.homes.values())
