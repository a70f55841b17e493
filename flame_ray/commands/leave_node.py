"""`flame-ray watch-node` and `flame-ray leave-node`: tell Ray that this node is about to go, so that its workers move first."""

import logging
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flame_ray.cluster.notices import CLOUDS, Notice, Service, watch
from flame_ray.errors import ConfigError, FlameError, PlacementError

log = logging.getLogger(__name__)
ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class NodeToLeave:
    """`id`: None for the node on this machine. `address`: of Ray's control store; None for RAY_ADDRESS, or the Ray here."""

    id: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class RayNode:
    """A node that Ray has, as its control store describes it."""

    id: str
    address: str
    host: str


def watch_node(cloud: str, node: NodeToLeave, metadata: str | None = None) -> Notice:
    """Wait for a notice of the cloud, then drain the node. `metadata`: where the service is, if not at its usual address."""
    if cloud not in CLOUDS:
        raise ConfigError(f"one of {', '.join(CLOUDS)}", repr(cloud), "name the cloud that the node is on")
    return watch(CLOUDS[cloud](Service(metadata) if metadata else None), lambda notice: _has_left(notice, node))


def _has_left(notice: Notice, node: NodeToLeave) -> bool:
    """Whether Ray has taken the drain; if not, it is asked again."""
    try:
        left = leave_node(notice, node)
    except FlameError as error:
        log.warning("%s, but the node does not drain yet: %s", notice.reason, error)
        return False
    log.warning("%s: node %s drains", notice.reason, left)
    return True


def leave_node(notice: Notice, node: NodeToLeave) -> str:
    """Drain the node and return its id. Raises PlacementError."""
    from ray import _raylet as raylet  # type: ignore[attr-defined]
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason  # type: ignore[attr-defined]
    from ray.exceptions import RayError

    address = _control_store(node.address)
    deadline_ms = int((time.time() + notice.within_s) * 1000) if notice.within_s is not None else 0  # 0: none is known
    try:
        gcs = raylet.GcsClient(address=address)  # type: ignore[attr-defined]
        left = node.id or own_node(nodes_of(gcs), *_names_of_this_machine())
        reason = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
        accepted, why = gcs.drain_node(left, reason, notice.reason, deadline_ms)
    except RayError as error:
        raise PlacementError(
            f"an answer of Ray's control store at {address}", str(error), "see whether the head runs"
        ) from error
    if not accepted:
        raise PlacementError(f"node {left} that drains", f"Ray refuses: {why}", "see `ray status` on the head")
    return left


def nodes_of(gcs: Any) -> list[RayNode]:
    """The nodes that are alive, but for the head: a head that drains takes no job with it in time."""
    from ray.core.generated.gcs_pb2 import GcsNodeInfo  # type: ignore[attr-defined]

    alive = [info for info in gcs.get_all_node_info(timeout=ANSWER_S).values() if info.state == GcsNodeInfo.ALIVE]
    workers = [info for info in alive if not info.is_head_node]
    return [RayNode(info.node_id.hex(), info.node_manager_address, info.node_manager_hostname) for info in workers]


def own_node(nodes: Iterable[RayNode], address: str, host: str) -> str:
    """The id of the node on this machine, by its address, or else by its host's name. Raises PlacementError."""
    nodes = tuple(nodes)
    found = [node.id for node in nodes if node.address == address] or [node.id for node in nodes if node.host == host]
    if len(found) != 1:
        raise PlacementError(
            f"one worker node of Ray on this machine ({host}, {address})",
            f"{len(found)} among {len(nodes)}",
            "start Ray here first, or name the node with --node-id (`ray list nodes`)",
        )
    return found[0]


def _names_of_this_machine() -> tuple[str, str]:
    import ray.util

    return ray.util.get_node_ip_address(), socket.gethostname()


def _control_store(address: str | None) -> str:
    from ray._private.services import canonicalize_bootstrap_address_or_die

    try:
        return str(canonicalize_bootstrap_address_or_die(address or "auto"))
    except (ConnectionError, ValueError) as error:
        raise PlacementError(
            "a Ray that runs here, or its address", str(error), "start Ray, or give --address HOST:6379"
        ) from error
