"""What Ray's autoscaler says of the nodes that are coming, and of the requests that no node can be added for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ray

RPC_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """One look at the autoscaler. Each field is in words, of all jobs on the cluster.

    `coming`: nodes that are asked for or boot, by type. `infeasible`: requests for which no node can be added *now*; a node
    that another job gives back may still hold them. `failed`: types that the provider could not launch, with its reason.
    """

    coming: tuple[str, ...] = ()
    infeasible: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = [f"coming: {', '.join(self.coming) or 'no node'}"]
        said += [f"no node can be added now for {', '.join(self.infeasible)}"] if self.infeasible else []
        said += [f"not launched: {'; '.join(self.failed)}"] if self.failed else []
        return "; ".join(said)


def scales() -> bool:
    """Whether an autoscaler (of version 2) adds nodes to the cluster that this process has joined."""
    from ray.autoscaler.v2.utils import is_autoscaler_v2

    return ray.is_initialized() and bool(is_autoscaler_v2(fetch_from_server=True))


def look() -> Scaling | None:
    """What the autoscaler says now; None without one. Ray's public status leaves the infeasible requests out."""
    if not scales():
        return None
    from ray.core.generated import autoscaler_pb2

    protocol: Any = autoscaler_pb2
    reply, raylet = protocol.GetClusterStatusReply(), vars(ray)["_raylet"]
    gcs = raylet.GcsClient(ray.get_runtime_context().gcs_address)
    reply.ParseFromString(gcs.get_cluster_status(timeout_s=RPC_TIMEOUT_S))
    return scaling_of(reply.autoscaling_state)


def scaling_of(state: Any) -> Scaling:
    """The same of Ray's `AutoscalingState`. Pure."""
    coming = Counter(each.ray_node_type_name for each in state.pending_instances)
    for each in state.pending_instance_requests:
        coming[each.ray_node_type_name] += each.count
    alone = [_request(each) for each in state.infeasible_resource_requests]
    groups = [f"one group of {_counted(map(_request, each.requests))}" for each in state.infeasible_gang_resource_requests]
    failed = {each.ray_node_type_name: each.reason or "no reason given" for each in state.failed_instance_requests}
    return Scaling(
        tuple(f"{count} {name}" for name, count in sorted(coming.items())),
        (*([_counted(alone)] if alone else []), *groups),
        tuple(f"{name} ({reason})" for name, reason in sorted(failed.items())),
    )


def _counted(requests: Iterable[str]) -> str:
    return ", ".join(f"{count} x {request}" for request, count in sorted(Counter(requests).items()))


def _request(request: Any) -> str:
    """As in "{CPU 4, GPU 1, flame-ray/role learner}"."""
    asked = [f"{name} {amount:g}" for name, amount in sorted(_amounts(request.resources_bundle).items())]
    rules = (rule for selector in request.label_selectors[:1] for rule in selector.label_constraints)
    asked += [f"{rule.label_key} {'|'.join(rule.label_values)}" for rule in rules]
    return f"{{{', '.join(asked)}}}"


def _amounts(bundle: Mapping[str, float]) -> dict[str, float]:
    """Without the resources of Ray's own, which name a placement group."""
    return {name: amount for name, amount in bundle.items() if not name.startswith("bundle_group")}
