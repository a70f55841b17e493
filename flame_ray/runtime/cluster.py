"""Which Ray the run lives on, and whether it can ever hold what the settings ask for.

In: cluster settings. Out: a connected Ray, or a PlacementError before anything is placed. Knows nothing of stages.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from flame_ray.config import ClusterConfig, Config, Workers
from flame_ray.errors import PlacementError
from flame_ray.runtime.prepare import cluster_address

log = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"


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
    return {"rollout": config.rollout, "factuality": config.factuality, "judge": config.judge, "learner": config.learner}


def check_capacity(config: Config) -> None:
    """Refuse what the cluster can never place, naming the kinds that ask for it. Raises PlacementError."""
    have = _capacity()
    for resource, unit in (("CPU", "cpus"), ("GPU", "gpus")):
        asked = {name: role.workers * getattr(role, unit) for name, role in roles(config).items()}
        total = sum(asked.values())
        if total > have.get(resource, 0.0) + 1e-9:
            parts = ", ".join(f"{name} {amount:g}" for name, amount in asked.items() if amount)
            raise PlacementError(
                f"at most {have.get(resource, 0.0):g} {resource} (what the cluster has or may grow to)",
                f"{total:g} asked for: {parts}",
                f"lower <role>.workers or <role>.{unit} in the job, or add nodes",
            )


def _capacity() -> dict[str, float]:
    """What the cluster has now or may grow to, whichever is more (Ray has no public call for its autoscaler's limit)."""
    limit = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    have = ray.cluster_resources()
    return {key: max(have.get(key, 0.0), float(limit.get(key, 0.0))) for key in have.keys() | limit.keys()}
