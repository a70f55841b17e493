"""What a job asks of a cluster, what the cluster has, and how room on it is reserved."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from flame_ray.cluster.interrupt import POLL_S, raise_if_interrupted
from flame_ray.config import Config, LearnerConfig, Workers
from flame_ray.errors import PlacementError

SETTINGS = {"CPU": "cpus", "GPU": "gpus"}  # Ray's name of a resource -> the setting's name


def roles(config: Config) -> dict[str, Workers]:
    """Every kind of actor that a run places: each section of the settings that asks for workers."""
    sections = {name: section for name, section in config if isinstance(section, Workers)}
    return {name: section for name, section in sections.items() if name != "verifier" or config.factuality.asks_verifier}


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
        return sum(amounts.values()) <= self.have + 1e-9


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


def in_words(amounts: Mapping[str, float]) -> str:
    """An amount by role, as in "7.25 asked for: rollout 7, judge 0.25"."""
    parts = ", ".join(f"{name} {amount:g}" for name, amount in amounts.items() if amount)
    return f"{sum(amounts.values()):g} asked for: {parts}" if parts else "none asked for"


def check_capacity(config: Config, only: Collection[str] = ()) -> None:
    """Raise PlacementError if the cluster can never hold the workers that must be there at the start."""
    for demand in demands(config, capacity(), only):
        if not demand.least_fit:
            expected = f"at most {demand.have:g} {demand.resource} (what the cluster has or may grow to)"
            raise PlacementError(expected, in_words(demand.least), demand.fix)


def capacity() -> dict[str, float]:
    """What the cluster has now or may grow to, whichever is more. Ray has no public call for its autoscaler's limit."""
    limit = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    have = ray.cluster_resources()
    return {key: max(have.get(key, 0.0), float(limit.get(key, 0.0))) for key in have.keys() | limit.keys()}


def draining_nodes() -> set[str]:
    """Ids of the nodes that are about to go (spot notice, scale-down). Ray has no public call; Ray Train uses this one."""
    return set(ray._private.state.state.get_draining_nodes())


def reserve(role: str, workers: Workers, bundle: Mapping[str, float], strategy: str, timeout_s: float) -> PlacementGroup:
    """Reserve one `bundle` (Ray's resource names and amounts) for each worker of a role, all of them or none.

    `strategy` is one of Ray's, in lower case. Raises PlacementError after `timeout_s` and Interrupted on a signal; nothing
    is held then.
    """
    count, labels = workers.workers, dict(workers.node_labels)
    group = placement_group(
        [{name: amount for name, amount in bundle.items() if amount}] * count,
        strategy=strategy.upper(),
        bundle_label_selector=[labels] * count if labels else None,
    )
    try:
        if _is_ready(group, timeout_s):
            return group
        where = f" on nodes labelled {labels}" if labels else ""
        each = " and ".join(f"{amount:g} {name}" for name, amount in bundle.items())
        free = {name: amount for name, amount in ray.available_resources().items() if name in SETTINGS}
        raise PlacementError(
            f"room for {count} {role} workers of {each} each, {strategy}{where}, within {timeout_s:g} s",
            f"free now: {free}",
            f"lower {role}.workers, cpus or gpus, choose another {role}.placement, or add nodes",
        )
    except BaseException:
        remove_placement_group(group)
        raise


def _is_ready(group: PlacementGroup, timeout_s: float) -> bool:
    ready, deadline = group.ready(), time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        raise_if_interrupted()
        if ray.wait([ready], timeout=POLL_S)[0]:
            return True
    return False
