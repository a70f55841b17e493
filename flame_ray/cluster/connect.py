"""Connecting to a Ray cluster, or starting one on this machine.

Ray reads its environment when it is first imported, and `prepare_ray` must run before that. So this module imports Ray only
inside `connected`.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flame_ray.cluster.interrupt import raise_if_interrupted, signals_recorded
from flame_ray.config import ClusterConfig
from flame_ray.errors import PlacementError

LOCAL = "local"
LOOPBACK = "127.0.0.1"


class _Groups:
    """Gives the processes that Ray starts here process groups of their own.

    A signal to this process's group, as by a terminal or `timeout`, would end Ray too, and then this process by the death of
    its Ray, before it can end in order. Ray's processes end with this one, however it ends. Ray starts them in a way that
    cannot be told a group, but that calls what is registered for forks.
    """

    def __init__(self) -> None:
        self._active = False
        os.register_at_fork(after_in_child=self._leave)

    def _leave(self) -> None:
        if self._active:
            os.setpgrp()

    @contextmanager
    def of_their_own(self) -> Iterator[None]:
        self._active = True
        try:
            yield
        finally:
            self._active = False


_groups = _Groups()


def cluster_address(config: ClusterConfig) -> str:
    """`auto` means the cluster that RAY_ADDRESS names, as in a submitted job, or a new one on this machine."""
    return os.environ.get("RAY_ADDRESS") or LOCAL if config.address == "auto" else config.address


def prepare_ray(config: ClusterConfig) -> None:
    """Set Ray's environment variables, except those that the user has set: no usage reports, and tokens on a local cluster.

    In token mode Ray creates the token itself and keeps it in the user's home. No call of Ray may start or join a Ray by
    itself: one that comes after the end of the connection would hang the process.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    if cluster_address(config) == LOCAL:
        os.environ.setdefault("RAY_AUTH_MODE", "token")


@contextmanager
def connected(config: ClusterConfig, namespace: str) -> Iterator[str]:
    """Join or start a cluster for the block. Yields the dashboard's address, or "" if there is no dashboard.

    Signals are recorded (see interrupt.py), from before the connection until after its end.
    """
    raise_if_interrupted()
    with signals_recorded(), _connection(config, namespace) as dashboard:
        raise_if_interrupted()
        yield dashboard


@contextmanager
def _connection(config: ClusterConfig, namespace: str) -> Iterator[str]:
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
        with _groups.of_their_own():
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
