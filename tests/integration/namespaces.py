"""Two hosts on one machine: network namespaces with a cable (veth) between them, and a Ray node in each.

What goes from one to the other goes through the cable, whose bytes the kernel counts. Whatever is started in a namespace
ends with it. Nothing of the machine's own network, or of another Ray on it, is touched.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

CABLE = "cable"
GCS_PORT = 6379
RAY_UP = "Ray runtime started"
START_S = 120.0


@dataclass(frozen=True, slots=True)
class Host:
    """`side` is "a" or "b", and the value of the label `host` of its Ray node."""

    side: str
    namespace: str
    address: str

    @property
    def enter(self) -> tuple[str, ...]:
        """What a command line must begin with to run on this host."""
        return ("ip", "netns", "exec", self.namespace)

    def received(self) -> int:
        """Bytes that have come in through the cable so far."""
        counter = f"/sys/class/net/{CABLE}/statistics/rx_bytes"
        return int(subprocess.run([*self.enter, "cat", counter], check=True, capture_output=True, text=True).stdout)


def why_not() -> str | None:
    """Why no namespace can be made here; None when one can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "network namespaces need `ip` (iproute2)"
    try:
        _ip("netns", "add", trial := f"flame{os.getpid()}")
        _ip("netns", "del", trial)
    except subprocess.CalledProcessError as error:
        return f"this machine refuses network namespaces: {error.stderr.strip()}"
    return None


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Each reaches the other and nothing else."""
    a, b = (Host(side, f"flame{os.getpid()}{side}", f"10.77.0.{last}") for side, last in (("a", 1), ("b", 2)))
    try:
        for host in (a, b):
            _ip("netns", "add", host.namespace)
        _ip("link", "add", CABLE, "netns", a.namespace, "type", "veth", "peer", "name", CABLE, "netns", b.namespace)
        for host, gateway in ((a, b), (b, a)):
            _ip("-n", host.namespace, "address", "add", f"{host.address}/30", "dev", CABLE)
            _ip("-n", host.namespace, "link", "set", "lo", "up")
            _ip("-n", host.namespace, "link", "set", CABLE, "up")
            _ip("-n", host.namespace, "route", "add", "default", "via", gateway.address)
        yield a, b
    finally:
        for host in (a, b):
            with suppress(subprocess.CalledProcessError):  # it was never made
                _end_all_on(host)
                _ip("netns", "del", host.namespace)


@contextmanager
def ray_on(head: Host, other: Host, cpus: int = 2, object_store_mib: int = 1000) -> Iterator[str]:
    """A Ray node on each host, labelled `host: <side>`; gives the cluster's address, which is reached from the hosts alone."""
    address = f"{head.address}:{GCS_PORT}"
    root = Path(tempfile.mkdtemp(prefix="fr", dir="/tmp"))  # Ray's sockets lie below: their paths must be short
    words = (f"--num-cpus={cpus}", f"--object-store-memory={object_store_mib * 2**20}", "--disable-usage-stats")
    try:
        _start_ray(head, root, "--head", f"--port={GCS_PORT}", "--include-dashboard=false", *words)
        _start_ray(other, root, f"--address={address}", *words)
        yield address
    finally:
        for host in (other, head):
            _end_all_on(host)
        shutil.rmtree(root, ignore_errors=True)


def _start_ray(host: Host, root: Path, *words: str) -> None:
    where = (f"--node-ip-address={host.address}", f"--temp-dir={root / host.side}", f"--labels=host={host.side}")
    command = [*host.enter, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *where, *words]
    log = root / f"{host.side}.log"
    shared = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}  # both hosts compute on the same cores
    with log.open("w") as printed:
        process = subprocess.Popen(command, env=shared, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + START_S
    while RAY_UP not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"no Ray on host {host.side} within {START_S:g} s:\n{log.read_text()}")
        time.sleep(0.2)


def _end_all_on(host: Host) -> None:
    """Only what was started in the namespace is in it, whoever its parent is by now."""
    processes = []
    for pid in _ip("netns", "pids", host.namespace).split():
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(int(pid)))
            processes[-1].kill()
    psutil.wait_procs(processes, timeout=30)


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
