"""What a job asks of a cluster, what the cluster has, and how room on it is reserved."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from flame_ray.cluster.autoscaler import scales
from flame_ray.cluster.waiting import Waiting, room_in_words
from flame_ray.config import Config, LearnerConfig, Workers
from flame_ray.errors import PlacementError

SETTINGS = {"CPU": "cpus", "GPU": "gpus"}  # Ray's name of a resource -> the setting's name
ROUNDING = 1e-9  # sums of fractions


def roles(config: Config) -> dict[str, Workers]:
    """Every kind of actor that a run places: each section of the settings that asks for workers."""
    sections = {name: section for name, section in config if isinstance(section, Workers)}
    return {name: section for name, section in sections.items() if name != "verifier" or config.factuality.asks_verifier}


def sft_roles(config: Config) -> tuple[str, ...]:
    """Those that `flame-ray sft` places, one after another."""
    asks = config.sft.classifies and config.classify.by == "model"
    return (*(["judge"] if asks else []), *(["rollout"] if config.sft.elicits else []), "learner")


@dataclass(frozen=True, slots=True)
class Demand:
    """How much of one resource a job asks for, by role, and how much the cluster has.

    `least` is for the workers that must be there at the start, `all` for all workers.
    """

    resource: str
    least: Mapping[str, float]
    all: Mapping[str, float]
    have: float

    @property
    def least_fit(self) -> bool:
        return self._fit(self.least)

    @property
    def all_fit(self) -> bool:
        return self._fit(self.all)

    @property
    def fix(self) -> str:
        count = "workers" if self.least_fit or self.least == self.all else "workers (and min_workers)"
        return f"lower <role>.{count} or <role>.{SETTINGS[self.resource]} in the job, or add nodes"

    def _fit(self, amounts: Mapping[str, float]) -> bool:
        return sum(amounts.values()) <= self.have + ROUNDING


def demands(config: Config, have: Mapping[str, float], only: Collection[str] = ()) -> list[Demand]:
    """The demand for each resource, summed over all roles, or over the roles in `only`. Shared GPUs count as the learner's."""
    counted = {name: role for name, role in roles(config).items() if not only or name in only}
    guests = {"rollout", "judge"} if config.shares_gpus and "learner" in counted else set()
    takers = {"CPU": counted, "GPU": {name: role for name, role in counted.items() if name not in guests}}
    return [
        Demand(
            resource,
            {name: least_workers(role) * getattr(role, setting) for name, role in takers[resource].items()},
            {name: role.workers * getattr(role, setting) for name, role in takers[resource].items()},
            have.get(resource, 0.0),
        )
        for resource, setting in SETTINGS.items()
    ]


def shared_bundle(config: Config) -> dict[str, float]:
    """What is reserved for each GPU that a sampler, a judge and a rank of the learner share."""
    return {"CPU": config.rollout.cpus + config.judge.cpus + config.learner.cpus, "GPU": 1.0}


def least_workers(role: Workers) -> int:
    """How many workers must be there at the start: all of the learner's, because they train together."""
    return role.workers if isinstance(role, LearnerConfig) else role.least


@dataclass(frozen=True, slots=True)
class Request:
    """What Ray places as a whole: one actor, or, with a `strategy` (one of Ray's, in lower case), a group of actors.

    `bundles`: Ray's resource names and amounts, one for each actor. `labels`: as in `node_labels`.
    """

    role: str
    bundles: tuple[Mapping[str, float], ...]
    labels: Mapping[str, str]
    strategy: str | None = None


def requests(config: Config, only: Collection[str] = ()) -> list[Request]:
    """All that a job asks Ray for: an actor at a time, and as one group the learner's ranks, or the room of shared GPUs."""
    counted = {name: role for name, role in roles(config).items() if not only or name in only}
    if not (config.shares_gpus and "learner" in counted):
        return [request for name, role in counted.items() for request in _requests_of(name, role)]
    learner, bundle = config.learner, shared_bundle(config)
    shared = Request("learner", (bundle,) * learner.workers, learner.node_labels, learner.placement)
    rest = (name for name in counted if name not in ("rollout", "judge", "learner"))
    return [shared, *(request for name in rest for request in _requests_of(name, counted[name]))]


def _requests_of(name: str, role: Workers) -> list[Request]:
    bundle = {resource: getattr(role, setting) for resource, setting in SETTINGS.items() if getattr(role, setting)}
    if isinstance(role, LearnerConfig):
        return [Request(name, (bundle,) * role.workers, role.node_labels, role.placement)]
    return [Request(name, (bundle,), role.node_labels)] * role.workers


def too_large(request: Request, nodes: Iterable[Mapping[str, float]]) -> str:
    """What one worker of the request needs on a node, as in "4 CPU and 2 GPU", if no node has so much; otherwise "".

    `nodes`: what each node has, whether it is taken or not. Labels do not count here.
    """
    for bundle in request.bundles:
        if not any(all(node.get(name, 0.0) + ROUNDING >= amount for name, amount in bundle.items()) for node in nodes):
            return " and ".join(f"{amount:g} {name}" for name, amount in bundle.items())
    return ""


def in_words(amounts: Mapping[str, float]) -> str:
    """An amount by role, as in "7.25 asked for: rollout 7, judge 0.25"."""
    parts = ", ".join(f"{name} {amount:g}" for name, amount in amounts.items() if amount)
    return f"{sum(amounts.values()):g} asked for: {parts}" if parts else "none asked for"


def check_capacity(config: Config, only: Collection[str] = ()) -> None:
    """Raise PlacementError if the cluster can never hold the workers that must be there at the start.

    An autoscaler does not say how far it goes. With one, the workers are placed, and the wait for them says what is missing.
    """
    if scales():
        return
    for demand in demands(config, capacity(), only):
        if not demand.least_fit:
            expected = f"at most {demand.have:g} {demand.resource} (what the cluster has or may grow to)"
            raise PlacementError(expected, in_words(demand.least), demand.fix)
    nodes = fixed_nodes()
    for request in requests(config, only):
        if nodes and (need := too_large(request, nodes)):
            expected = f"a node with {need}, for one worker of {request.role}"
            raise PlacementError(expected, f"none so large among {len(nodes)}", needs_node(request))


def needs_node(request: Request) -> str:
    """What helps where no node can hold one worker."""
    settings = " or ".join(f"{request.role}.{SETTINGS[name]}" for name in request.bundles[0])
    return f"lower {settings} in the job, or add such a node"


def capacity() -> dict[str, float]:
    """What the cluster has now or may grow to, whichever is more. Only Ray's autoscaler of version 1 says how far it goes."""
    limit, have = _autoscaler_limit(), ray.cluster_resources()
    return {key: max(have.get(key, 0.0), float(limit.get(key, 0.0))) for key in have.keys() | limit.keys()}


def fixed_nodes() -> list[Mapping[str, float]]:
    """What each node has; empty if an autoscaler may add others."""
    return [] if _autoscaler_limit() or scales() else [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _autoscaler_limit() -> Mapping[str, float]:
    return ray._private.state.state.get_max_resources_from_cluster_config() or {}


def draining_nodes() -> set[str]:
    """Ids of the nodes that are about to go (spot notice, scale-down). Ray has no public call; Ray Train uses this one."""
    return set(ray._private.state.state.get_draining_nodes())


def reserve(learner: LearnerConfig, bundle: Mapping[str, float], timeout_s: float) -> PlacementGroup:
    """Reserve one `bundle` (Ray's resource names and amounts) for each rank of the learner, all of them or none.

    Raises PlacementError after `timeout_s` and Interrupted on a signal; nothing is held then.
    """
    count, labels = learner.workers, dict(learner.node_labels)
    group = placement_group(
        [{name: amount for name, amount in bundle.items() if amount}] * count,
        strategy=learner.placement.upper(),
        bundle_label_selector=[labels] * count if labels else None,
    )
    try:
        where = f" on nodes labelled {labels}" if labels else ""
        each = " and ".join(f"{amount:g} {name}" for name, amount in bundle.items() if amount)
        room = f"room for {count} learner workers of {each} each, {learner.placement}{where}"
        if Waiting(room, timeout_s, for_room=True).all_ready([group.ready()]):
            return group
        fix = (
            "lower learner.workers, cpus or gpus, choose another learner.placement, raise cluster.start_timeout_s, or add nodes"
        )
        raise PlacementError(f"{room}, within {timeout_s:.0f} s", room_in_words(), fix)
    except BaseException:
        remove_placement_group(group)
        raise
