"""A cluster that scales from nothing on one machine: a head without CPUs, Ray's autoscaler v2, and nodes that are processes."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
import yaml

from tests.integration.head import Head, free_block, free_ports, started_head

HEAD, HEAD_ID = "ray.head.default", "f" * 51 + "00000"  # names that the provider has built in
PROVIDER = Path(__file__).with_name("local_nodes.py")
NODE_OBJECT_STORE = 10**9  # bytes: each node has its own, although all are on one machine
MOST_PORTS = 256  # of all nodes that ever come


@dataclass(frozen=True)
class NodeType:
    """What one kind of node has, and how many of it there may be. Its GPUs are only numbers."""

    name: str
    cpus: int
    gpus: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    least: int = 0
    most: int = 1


@contextmanager
def autoscaling_head(folder: Path, *types: NodeType, idle_s: float = 60.0) -> Iterator[Head]:
    """A head for the block, whose nodes come when something asks for them and go when they have been idle for `idle_s`."""
    gcs, metrics = free_ports(2)
    config = folder / "cluster.yaml"
    shutil.copyfile(PROVIDER, folder / PROVIDER.name)  # alone: the tests' folders are none of a job's business
    config.write_text(yaml.safe_dump(_config(types, idle_s, f"{ray.util.get_node_ip_address()}:{gcs}")))
    environment = {
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "AUTOSCALER_METRIC_PORT": str(metrics),
    }
    options = ("--num-cpus=0", "--object-store-memory=200000000", f"--autoscaling-config={config}")
    with started_head(folder, *options, gcs=gcs, environment=environment) as head:
        yield head


def _config(types: tuple[NodeType, ...], idle_s: float, gcs_address: str) -> dict[str, Any]:
    """The autoscaler's configuration. Every key stands in it: the provider has no file of defaults."""
    lists = ("cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands")
    lists += ("head_setup_commands", "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands")
    provider = {
        "type": "external",
        "module": f"{PROVIDER.stem}.LocalNodes",
        "gcs_address": gcs_address,
        "head_node_id": HEAD_ID,
        "first_port": free_block(MOST_PORTS),
        "launch_multiple": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    }
    head = {"resources": {"CPU": 0}, "labels": {}, "min_workers": 0, "max_workers": 0, "node_config": {}}
    return {
        "cluster_name": "test",
        "max_workers": sum(each.most for each in types),
        "upscaling_speed": 1000.0,
        "idle_timeout_minutes": idle_s / 60,
        "provider": provider,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        "head_node_type": HEAD,
        "available_node_types": {HEAD: head} | {each.name: _node_type(each) for each in types},
        **{name: [] for name in lists},
    }


def _node_type(node: NodeType) -> dict[str, Any]:
    resources = {"CPU": node.cpus, "GPU": node.gpus, "object_store_memory": NODE_OBJECT_STORE}
    return {
        "resources": {name: amount for name, amount in resources.items() if amount},
        "labels": dict(node.labels),
        "min_workers": node.least,
        "max_workers": node.most,
        "node_config": {},
    }
