"""Which Ray the run lives on, and whether it can ever hold what the settings ask for.

In: cluster settings. Out: a connected Ray, or a PlacementError before anything is placed. Knows nothing of stages.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from flame_ray.cluster.prepare import cluster_address
from flame_ray.config import ClusterConfig, Config, LearnerConfig, Workers
from flame_ray.errors import PlacementError

log = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
UNITS = {"CPU": "cpus", "GPU": "gpus"}  # Ray's name of a resource, and the setting's


@contextmanager
def connected(config: ClusterConfig, namespace: str) -> Iterator[str]:
    """Join or start Ray for the length of the block; gives the dashboard's address ("" when there is none).

    `auto` joins the cluster that RAY_ADDRESS names (as in a submitted job) and else starts one on this machine.
    """
    address = cluster_address(config)
    context = _start_local(config, namespace) if address == "local" else _join(address, namespace)
    try:
        yield context.dashboard_url or ""
    finally:
        ray.shutdown()


def _start_local(config: ClusterConfig, namespace: str) -> Any:
    """A Ray of this run's own: its dashboard on loopback only (see `prepare.py` for the token)."""
    return ray.init(
        address="local",
        namespace=namespace,
        include_dashboard=config.dashboard,
        dashboard_host=LOOPBACK,
        object_store_memory=int(config.object_store_gib * 2**30),
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def _join(address: str, namespace: str) -> Any:
    try:
        return ray.init(address=address, namespace=namespace, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise PlacementError(
            f"a Ray cluster at {address} (cluster.address)", f"{error}", "start it, or use cluster.address=local"
        ) from error


def roles(config: Config) -> dict[str, Workers]:
    """Every kind of actor that a run places."""
    asked = {"verifier": config.verifier} if config.factuality.asks_verifier else {}
    rewards = {"factuality": config.factuality, **asked, "judge": config.judge}
    return {"rollout": config.rollout, **rewards, "learner": config.learner}


@dataclass(frozen=True, slots=True)
class Demand:
    """What a job asks of one resource, by role: its `least` workers, with which it begins, and `all`. `have`: all there is."""

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
        return f"lower <role>.{count} or <role>.{UNITS[self.resource]} in the job, or add nodes"

    def _fit(self, asked: Mapping[str, float]) -> bool:
        return sum(asked.values()) <= self.have + 1e-9


def demands(config: Config, have: Mapping[str, float], only: Collection[str] = ()) -> list[Demand]:
    """What all roles (or `only` these) ask for together, against what there is."""
    asking = {name: role for name, role in roles(config).items() if not only or name in only}
    return [
        Demand(
            resource,
            {name: least_workers(role) * getattr(role, unit) for name, role in asking.items()},
            {name: role.workers * getattr(role, unit) for name, role in asking.items()},
            have.get(resource, 0.0),
        )
        for resource, unit in UNITS.items()
    ]


def least_workers(role: Workers) -> int:
    """How many workers begin without the others. The learner's ranks train together, so all of them."""
    return role.workers if isinstance(role, LearnerConfig) else role.least


def in_words(asked: Mapping[str, float]) -> str:
    """As in "7.25 asked for: rollout 7, judge 0.25"."""
    parts = ", ".join(f"{name} {amount:g}" for name, amount in asked.items() if amount)
    return f"{sum(asked.values()):g} asked for: {parts}" if parts else "none asked for"


def check_capacity(config: Config, only: Collection[str] = ()) -> None:
    """Refuse a job whose least workers the cluster can never place; others may join later. Raises PlacementError."""
    for demand in demands(config, capacity(), only):
        if not demand.least_fit:
            expected = f"at most {demand.have:g} {demand.resource} (what the cluster has or may grow to)"
            raise PlacementError(expected, in_words(demand.least), demand.fix)


def draining_nodes() -> set[str]:
    """Ids of nodes that were told to go (spot notice, scale-down). Ray Train asks the same way; there is no public call."""
    return set(ray._private.state.state.get_draining_nodes())


def capacity() -> dict[str, float]:
    """What the cluster has now or may grow to, whichever is more (Ray has no public call for its autoscaler's limit)."""
    limit = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    have = ray.cluster_resources()
    return {key: max(have.get(key, 0.0), float(limit.get(key, 0.0))) for key in have.keys() | limit.keys()}
