"""What Ray's own autoscaler would start for a job on the nodes of a cluster file, and where each role would be."""

import copy
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import prepare_config
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, ResourceRequestSource, SchedulingRequest
from ray.autoscaler.v2.schema import AutoscalerInstance
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import GangResourceRequest, NodeState, NodeStatus, ResourceRequest
from ray.core.generated.common_pb2 import LabelSelectorOperator
from ray.core.generated.instance_manager_pb2 import Instance, NodeKind

from flame_ray.cluster.capacity import Request, requests
from flame_ray.config import Config

REPOSITORY = Path(__file__).parents[3]
LAUNCHED = ("aws.yaml", "gcp.yaml")  # Ray's launcher asks a cloud for their nodes
CLUSTERS = (*LAUNCHED, "kubernetes/raycluster.yaml", "kubernetes/rayjob.yaml")
TAG = "role:"  # none of this resource is asked for: it says in Ray's plan whose request one is
AFFINITY = ResourceRequestUtil.PlacementConstraintType.AFFINITY
IN, NOT_IN = LabelSelectorOperator.LABEL_OPERATOR_IN, LabelSelectorOperator.LABEL_OPERATOR_NOT_IN


@dataclass(frozen=True)
class Plan:
    """Nodes to start, by type; by role, how many workers on each type; and how many workers of a role have no type of node."""

    starts: Mapping[str, int]
    homes: Mapping[str, Mapping[str, int]]
    unplaceable: Mapping[str, int]


def cluster(name: str, without: Sequence[str] = ()) -> AutoscalingConfig:
    """A cluster file as the autoscaler on its head reads it; `without` takes away types of node."""
    tree = written(name)
    tree = as_launched(tree) if "provider" in tree else _derive_autoscaling_config_from_ray_cr(ray_cluster(tree))
    for kind in without:
        del tree["available_node_types"][kind]
    return AutoscalingConfig(tree, skip_content_hash=True)


def written(name: str) -> dict[str, Any]:
    """The first document of a cluster file, which may be changed."""
    return copy.deepcopy(_read(name))


@cache
def _read(name: str) -> dict[str, Any]:
    return next(yaml.safe_load_all((REPOSITORY / "clusters" / name).read_text(encoding="utf-8")))


def as_launched(tree: dict[str, Any]) -> dict[str, Any]:
    """What `ray up` writes to the head; for machines of one's own, with the one type of node that Ray makes of them."""
    return prepare_config(tree) if tree["provider"]["type"] == "local" else copy.deepcopy(tree)


def ray_cluster(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The RayCluster of a manifest. For a RayJob the operator makes one, in its namespace and with a name of its own."""
    if manifest["kind"] == "RayCluster":
        return dict(manifest)
    metadata = {**manifest["metadata"], "name": f"{manifest['metadata']['name']}-x"}
    return {"kind": "RayCluster", "metadata": metadata, "spec": manifest["spec"]["rayClusterSpec"]}


def hosts(head: str, kinds: Mapping[str, Mapping[str, Any]]) -> AutoscalingConfig:
    """Machines that are there already, by kind with their resources and labels: Ray can start none."""
    tree = written("aws.yaml")
    none = {"node_config": {}, "min_workers": 0, "max_workers": 0}
    tree |= {"head_node_type": head, "available_node_types": {name: none | kind for name, kind in kinds.items()}}
    return AutoscalingConfig(tree, skip_content_hash=True)


def plan(config: Config, nodes: AutoscalingConfig, running: Sequence[str] = (), only: Sequence[str] = ()) -> Plan:
    """What Ray would do about all that a job asks for, or the roles in `only`.

    `running`: nodes that are there already, beside the head, and idle.
    """
    asked = requests(config, only)
    actors = [_actor(request) for request in asked if request.strategy is None]
    groups = [_group(request) for request in asked if request.strategy is not None]
    return planned(actors, groups, nodes, running)


def planned(
    actors: list[ResourceRequest], groups: list[GangResourceRequest], nodes: AutoscalingConfig, running: Sequence[str] = ()
) -> Plan:
    """The same for demand as Ray reports it. What is not tagged with a role counts under ""."""
    kinds = [nodes.get_head_node_type(), *running]
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=nodes.get_node_type_configs(),
        max_num_nodes=nodes.get_max_num_nodes(),
        idle_timeout_s=nodes.get_idle_timeout_s(),
        resource_requests=ResourceRequestUtil.group_by_count(actors),
        gang_resource_requests=groups,
        current_instances=[_instance(f"node-{number}", nodes, kind) for number, kind in enumerate(kinds)],
    )
    reply = ResourceDemandScheduler().schedule(copy.deepcopy(request))
    without = [*reply.infeasible_resource_requests]
    without += [bundle for group in reply.infeasible_gang_resource_requests for bundle in group.requests]
    # The reply does not say where what is; the two calls below are how `schedule` decides.
    context = ResourceDemandScheduler.ScheduleContext.from_schedule_request(request)
    ResourceDemandScheduler._sched_gang_resource_requests(context, groups)
    ResourceDemandScheduler._sched_resource_requests(context, actors)
    homes: dict[str, Counter] = {}
    for node in context.get_nodes():
        for each in node.get_sched_requests(ResourceRequestSource.PENDING_DEMAND):
            homes.setdefault(_role(each), Counter())[node.node_type] += 1
    started = {each.instance_type: each.count for each in reply.to_launch}
    assert started == {each.instance_type: each.count for each in context.get_launch_requests()}
    return Plan(started, homes, Counter(map(_role, without)))


def _instance(name: str, nodes: AutoscalingConfig, kind: str) -> AutoscalerInstance:
    known = nodes.get_node_type_configs()[kind]
    state = NodeState(
        node_id=name.encode(),
        instance_id=name,
        ray_node_type_name=kind,
        status=NodeStatus.RUNNING,
        labels=known.labels,
        total_resources=known.resources,
        available_resources=known.resources,
    )
    role = NodeKind.HEAD if kind == nodes.get_head_node_type() else NodeKind.WORKER
    instance = Instance(instance_id=name, instance_type=kind, status=Instance.RAY_RUNNING, node_kind=role)
    return AutoscalerInstance(cloud_instance_id=name, im_instance=instance, ray_node=state)


# The demand as Ray's control store reports it to the autoscaler; integration/cluster/test_demand.py holds it to a real one.


def _actor(request: Request) -> ResourceRequest:
    return ResourceRequestUtil.make(_tagged(request)[0], label_selectors=[_selector(request.labels)])


def _group(request: Request) -> GangResourceRequest:
    together = [(AFFINITY, "the group", "")] if request.strategy == "strict_pack" else None
    labels = [_selector(request.labels)] if request.labels else None
    group = GangResourceRequest(requests=[ResourceRequestUtil.make(bundle, together) for bundle in _tagged(request)])
    bundles = [ResourceRequestUtil.make(bundle, together, labels) for bundle in _tagged(request)]
    group.bundle_selectors.add().resource_requests.extend(bundles)
    return group


def _tagged(request: Request) -> list[dict[str, float]]:
    return [{**bundle, f"{TAG}{request.role}": 0.0} for bundle in request.bundles]


def _role(request: ResourceRequest) -> str:
    return next((name.removeprefix(TAG) for name in request.resources_bundle if name.startswith(TAG)), "")


def _selector(labels: Mapping[str, str]) -> list[tuple[str, Any, list[str]]]:
    """Ray's reading of `a`, `!a`, `in(a,b)` and `!in(a,b)`."""
    found = {key: re.fullmatch(r"(!?)(?:in\()?([^()]+)\)?", value) for key, value in labels.items()}
    return [(key, NOT_IN if match[1] else IN, match[2].split(",")) for key, match in found.items() if match]
