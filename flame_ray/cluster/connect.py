"""Connecting to a Ray cluster, or starting one on this machine.

Ray reads its environment when it is first imported, and `prepare_ray` must run before that. So this module imports Ray only
inside `connected`.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flame_ray.cluster.interrupt import is_interrupted, keep_handlers, raise_if_interrupted, signals_recorded
from flame_ray.cluster.streams import start_thread
from flame_ray.cluster.token import secure_token
from flame_ray.config import ClusterConfig
from flame_ray.errors import FlameError, PlacementError

LOCAL = "local"
LOOPBACK = "127.0.0.1"
CLIENT_PORT = 10001  # Ray's own default for ray://
KEEP_S, GIVE_UP_S = 0.01, 20.0
ANSWER_S = 5.0  # how long a cluster may take to answer its first call


class _Children:
    """Gives the processes that Ray starts here process groups of their own.

    A signal to this process's group, as by a terminal or `timeout`, would end Ray too, and then this process by the death of
    its Ray, before it can end in order. Ray's processes end with this one, however it ends. Ray starts them in a way that
    cannot be told a group, but that calls what is registered for forks.
    """

    def __init__(self) -> None:
        self._active = False
        os.register_at_fork(after_in_child=self._leave_group)

    def _leave_group(self) -> None:
        if self._active:
            os.setpgrp()

    @contextmanager
    def in_own_groups(self) -> Iterator[None]:
        self._active = True
        try:
            yield
        finally:
            self._active = False


_children = _Children()


def cluster_address(config: ClusterConfig) -> str:
    """`auto` means the cluster that RAY_ADDRESS names, as in a submitted job, or a new one on this machine."""
    return os.environ.get("RAY_ADDRESS") or LOCAL if config.address == "auto" else config.address


def prepare_ray(config: ClusterConfig) -> None:
    """Set Ray's environment variables, except those that the user has set: no usage reports, and tokens on a local cluster.

    In token mode the token is kept in the user's home: `secure_token` makes it. No call of Ray may start or join a Ray by
    itself: one that comes after the end of the connection would hang the process.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    if cluster_address(config) == LOCAL:
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def check_address(config: ClusterConfig) -> None:
    """Raise PlacementError for the address of a job server, which takes jobs and no drivers."""
    address = cluster_address(config)
    if address.startswith(("http://", "https://")):
        raise PlacementError(
            "the address of a Ray cluster to join (cluster.address, or RAY_ADDRESS), such as 10.0.0.1:6379",
            f"{address}, which only takes jobs",
            f"send the job there: flame-ray submit JOB --address {address}; another command: ray job submit --address "
            f"{address} --working-dir . -- python -m flame_ray COMMAND; or use cluster.address=local",
        )


def check_answer(address: str, timeout_s: float = ANSWER_S) -> None:
    """Raise PlacementError unless a Ray answers in time. Ray itself retries for minutes at an address where none is.

    It sends the first call of Ray's own protocol. An answer that refuses it, as for want of a token, is left to Ray.
    """
    try:
        if address.startswith("ray://"):
            client = urlsplit(address)
            socket.create_connection((client.hostname, client.port or CLIENT_PORT), timeout=timeout_s).close()
        elif address != LOCAL:
            _ask_cluster_id(address, timeout_s)
    except (OSError, ValueError) as error:
        raise unreachable(address, str(error)) from error


def unreachable(address: str, found: str) -> PlacementError:
    fix = "start it, correct cluster.address or RAY_ADDRESS, or use cluster.address=local"
    return PlacementError(f"a Ray cluster at {address} (cluster.address)", found, fix)


def _not_started(error: Exception) -> PlacementError:
    reason = str(error).strip().partition("\n")[0] or "no reason"
    fix = (
        "give the command again; if it goes on, see /tmp/ray/session_latest/logs, and end what else needs this machine's memory"
    )
    return PlacementError("Ray to start on this machine (cluster.address=local)", f"{type(error).__name__}: {reason}", fix)


def _ask_cluster_id(address: str, timeout_s: float) -> None:
    import grpc
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.services import canonicalize_bootstrap_address
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

    address = canonicalize_bootstrap_address(address) or address  # `auto`: the cluster that runs on this machine
    with init_grpc_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        messages: Any = gcs_service_pb2  # made when it is imported, so that mypy does not know what is in it
        stub = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
        try:
            stub.GetClusterId(messages.GetClusterIdRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            code = error.code()
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError(f"no answer within {timeout_s:g} s") from error
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNKNOWN):
                raise ConnectionError(f"no Ray there: {error.details()}") from error


@contextmanager
def connected(config: ClusterConfig, namespace: str) -> Iterator[str]:
    """Join or start a cluster for the block. Yields the dashboard's address, or "" if there is no dashboard.

    Signals are recorded (see interrupt.py), from before the connection until after its end. Raises PlacementError where no
    cluster answers.
    """
    check_address(config)
    raise_if_interrupted()
    with signals_recorded(), _connection(config, namespace) as dashboard:
        raise_if_interrupted()
        yield dashboard


@contextmanager
def _connection(config: ClusterConfig, namespace: str) -> Iterator[str]:
    import ray

    address = cluster_address(config)
    check_answer(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        secure_token()
        options |= {
            "include_dashboard": config.dashboard,
            "dashboard_host": LOOPBACK,
            "object_store_memory": int(config.object_store_gib * 2**30),
        }
    ended = threading.Event()
    try:
        context = _started(partial(ray.init, address=address, namespace=namespace, **options), ended)
    except FlameError:
        raise
    except Exception as error:  # Ray raises a plain one for a node that does not start, others for no token or no node here
        raise (_not_started(error) if address == LOCAL else unreachable(address, str(error))) from error
    try:
        yield context.dashboard_url or ""
    finally:
        ray.shutdown()
        ended.set()


def _started(init: Callable[[], Any], ended: threading.Event) -> Any:
    """Run `init` on a thread that stays until `ended`: Ray's processes die with the thread that has started them.

    On the main thread Ray would replace the handlers of signals. Its C++ code does so on any thread, for a moment.
    """
    started: Future = Future()

    def start() -> None:
        started.set_result(init())
        ended.wait()

    with _children.in_own_groups():
        thread = start_thread(start)
        ends = None
        while not wait([started, thread], KEEP_S, FIRST_COMPLETED).done:
            keep_handlers()
            if is_interrupted():  # a Ray that is half started is ended in order, unless that takes too long
                ends = ends or time.monotonic() + GIVE_UP_S
                if time.monotonic() > ends:
                    raise_if_interrupted()
    keep_handlers()
    return started.result() if started.done() else thread.result()
