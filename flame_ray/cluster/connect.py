"""Connecting to a Ray cluster, or starting one on this machine.

Ray reads its environment when it is first imported, and `prepare_ray` must run before that. So this module imports Ray only
inside `connected`.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flame_ray.config import ClusterConfig
from flame_ray.errors import PlacementError

LOCAL = "local"
LOOPBACK = "127.0.0.1"


def cluster_address(config: ClusterConfig) -> str:
    """`auto` means the cluster that RAY_ADDRESS names, as in a submitted job, or a new one on this machine."""
    return os.environ.get("RAY_ADDRESS") or LOCAL if config.address == "auto" else config.address


def prepare_ray(config: ClusterConfig) -> None:
    """Set Ray's environment variables, except those that the user has set: no usage reports, and tokens on a local cluster.

    In token mode Ray creates the token itself and keeps it in the user's home.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if cluster_address(config) == LOCAL:
        os.environ.setdefault("RAY_AUTH_MODE", "token")


@contextmanager
def connected(config: ClusterConfig, namespace: str) -> Iterator[str]:
    """Join or start a cluster for the block. Yields the dashboard's address, or "" if there is no dashboard."""
    import ray

    address = cluster_address(config)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= {
            "include_dashboard": config.dashboard,
            "dashboard_host": LOOPBACK,
            "object_store_memory": int(config.object_store_gib * 2**30),
        }
    try:
        context = ray.init(address=address, namespace=namespace, **options)
    except ConnectionError as error:
        if address == LOCAL:
            raise
        raise PlacementError(
            f"a Ray cluster at {address} (cluster.address)", f"{error}", "start it, or use cluster.address=local"
        ) from error
    try:
        yield context.dashboard_url or ""
    finally:
        ray.shutdown()
