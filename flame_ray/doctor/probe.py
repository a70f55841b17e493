"""What there is to run on: the cluster that the settings name, if it answers, and else this machine.

In: settings. Out: a `Site`, and how it was found. Starts no Ray, and leaves the cluster again. Judges nothing.
"""

import os
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

import psutil
import ray

from flame_ray.cluster.capacity import capacity
from flame_ray.cluster.connect import LOCAL, cluster_address, connected
from flame_ray.config import Config
from flame_ray.doctor.checks import Check, Level, Site, counted
from flame_ray.errors import FlameError

ACCELERATOR_GB = {"T4": 16, "A10G": 24, "L4": 24, "A100-40G": 40, "L40S": 48, "A100-80G": 80, "H100": 80, "H200": 141}
JOIN_S, PROBE_S = 30.0, 3.0  # how long a join and a host may take
Result = TypeVar("Result")


def find_site(config: Config) -> tuple[Site, Check]:
    """The cluster that is named, if it answers; else this machine."""
    address = cluster_address(config.cluster)
    if address == LOCAL:
        return this_machine(), Check(Level.OK, "Ray", "a Ray to join or to start", "the run starts one on this machine")
    if address.startswith("http"):
        fix = "to see the cluster: ray job submit --working-dir . -- python -m flame_ray doctor JOB"
        return this_machine(), Check(Level.WARNING, "Ray", "a cluster to ask", f"{address}, which only takes jobs", fix)
    try:
        _probe(address)
        site = _within(JOIN_S, lambda: _ask(config))
    except Exception as error:  # whatever Ray raises is what was found
        found = error.found if isinstance(error, FlameError) else f"{type(error).__name__}: {error}"
        fix = "start it, correct the address, or use cluster.address=local; below: this machine"
        return this_machine(), Check(Level.PROBLEM, "Ray", f"a cluster at {address}", found, fix)
    return site, Check(Level.OK, "Ray", f"a cluster at {address}", site.name)


def _probe(address: str) -> None:
    """Ray waits for a minute where nothing listens. `auto` names no host."""
    host, colon, port = address.rpartition("/")[2].rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_S).close()


def _within(seconds: float, call: Callable[[], Result]) -> Result:
    """The call's result. TimeoutError when it takes longer; its thread then ends with the process."""
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # handed to whoever waits
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    return future.result(timeout=seconds)


def _ask(config: Config) -> Site:
    with connected(config.cluster, "flame-ray-doctor"):
        have = capacity()
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    kinds = [key.partition(":")[2] for key in have if key.startswith("accelerator_type:")]
    sizes = [ACCELERATOR_GB.get(kind, 0) * 1e9 for kind in kinds]
    memory = tuple(node.get("memory", 0.0) + node.get("object_store_memory", 0.0) for node in alive)
    return Site(f"cluster of {counted(len(alive), 'node')}", have, memory, gpu=min(sizes, default=0) or None)


def this_machine() -> Site:
    """What Ray would count here, a container's limits included."""
    from ray._common.utils import get_system_memory
    from ray._private.utils import get_num_cpus

    gpus, memory = _gpus(), float(get_system_memory())
    have, free = {"CPU": float(get_num_cpus()), "GPU": float(len(gpus))}, psutil.virtual_memory().available
    return Site("this machine", have, (memory,), min(memory, free), min(gpus, default=0) or None)


def _gpus() -> list[float]:
    """Bytes of each GPU that this process may use; 0 for one that does not tell."""
    query = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):  # no driver here, or a broken one
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(lines) if visible is None else len([each for each in visible.split(",") if each.strip() not in ("", "-1")])
    return [float(line) * 2**20 if line.strip().isdigit() else 0.0 for line in lines][:count]
