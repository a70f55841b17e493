"""Two hosts on one machine: namespaces of the network with a cable (veth) between them, and of mounts; a Ray node in each.

What goes from one to the other goes through the cable, whose bytes the kernel counts, or through the one folder that both
see. Each has its own home, /tmp and /dev/shm, hence its own caches. Whatever is started on a host ends with it, and so do its
mounts, which nothing else sees. Nothing of the machine's own network, or of another Ray on it, is touched.
"""

import os
import secrets
import shlex
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

from tests.integration.runs import REPOSITORY

CABLE = "cable"
OWN = (Path.home(), Path("/tmp"))  # what each host has for itself, beside /dev/shm
TOKEN = ("RAY_AUTH_MODE=token", f"RAY_AUTH_TOKEN={secrets.token_hex(32)}")  # which the nodes of a cluster share
INSTALLED = (REPOSITORY, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve())
ELSEWHERE = ("FLAME_RAY_CACHE", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "TMPDIR", "RAY_TMPDIR")  # would leave these
GCS_PORT = 6379
RAY_UP = "Ray runtime started"
START_S = 120.0


@dataclass(frozen=True, slots=True)
class Host:
    """`side` is "a" or "b", and the value of the label `host` of its Ray node. `keeper`: the process that has its mounts."""

    side: str
    namespace: str
    address: str
    keeper: int

    @property
    def enter(self) -> tuple[str, ...]:
        """What a command line must begin with to run on this host."""
        outside = [word for name in ELSEWHERE for word in ("-u", name)]
        return ("nsenter", "-m", "-n", "-t", str(self.keeper), "env", f"--chdir={REPOSITORY}", *outside, *TOKEN)

    def run(self, *command: str) -> str:
        """What a command prints that runs on this host."""
        return subprocess.run([*self.enter, *command], check=True, capture_output=True, text=True).stdout

    def received(self) -> int:
        """Bytes that have come in through the cable so far."""
        return int(self.run("cat", f"/sys/class/net/{CABLE}/statistics/rx_bytes"))


def why_not() -> str | None:
    """Why no namespace can be made here; None when one can."""
    if os.geteuid() != 0:
        return "namespaces need root"
    if missing := [tool for tool in ("ip", "unshare", "nsenter") if not shutil.which(tool)]:
        return f"namespaces need {missing[0]} (iproute2 and util-linux)"
    try:
        subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "trial", "/tmp"], check=True, capture_output=True, text=True)
        _ip("netns", "add", trial := f"flame{os.getpid()}")
        _ip("netns", "del", trial)
    except subprocess.CalledProcessError as error:
        return f"this machine refuses namespaces: {error.stderr.strip()}"
    return None


@contextmanager
def two_hosts(shared: Path) -> Iterator[tuple[Host, Host]]:
    """Each reaches the other and nothing else. Both see the folder `shared`, and the installation, which they cannot change."""
    with (
        tempfile.TemporaryDirectory(prefix="flame-hosts-") as disks,
        _host("a", "10.77.0.1", Path(disks) / "a", shared) as a,
        _host("b", "10.77.0.2", Path(disks) / "b", shared) as b,
    ):
        _ip("link", "add", CABLE, "netns", a.namespace, "type", "veth", "peer", "name", CABLE, "netns", b.namespace)
        for host, gateway in ((a, b), (b, a)):
            _ip("-n", host.namespace, "address", "add", f"{host.address}/30", "dev", CABLE)
            _ip("-n", host.namespace, "link", "set", "lo", "up")
            _ip("-n", host.namespace, "link", "set", CABLE, "up")
            _ip("-n", host.namespace, "route", "add", "default", "via", gateway.address)
        yield a, b


@contextmanager
def _host(side: str, address: str, disk: Path, shared: Path) -> Iterator[Host]:
    namespace = f"flame{os.getpid()}{side}"
    _ip("netns", "add", namespace)
    try:
        with _mounts(namespace, disk, shared) as keeper:
            yield Host(side, namespace, address, keeper)
    finally:
        _end_all_in(namespace)
        _ip("netns", "del", namespace)


@contextmanager
def _mounts(namespace: str, disk: Path, shared: Path) -> Iterator[int]:
    """The process that keeps a host's mounts, once all are made."""
    steps = [step for folder in OWN for step in _own(folder, disk, shared)]
    script = " && ".join(["mount -t tmpfs -o size=50% shm /dev/shm", *steps, "echo mounted", "exec sleep infinity"])
    command = ("ip", "netns", "exec", namespace, "unshare", "-m", "sh", "-c", script)
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, start_new_session=True, **piped) as keeper:  # type: ignore[call-overload]
        try:
            if (said := keeper.stdout.readline()) != "mounted\n":
                raise AssertionError(f"no mounts in {namespace}: {said}{keeper.stdout.read()}")
            yield keeper.pid
        finally:
            keeper.kill()


def _own(folder: Path, disk: Path, shared: Path) -> Iterator[str]:
    """The commands that put a folder of the host's own disk in the place of the machine's, with what both hosts see in it."""
    mine = disk / folder.relative_to("/")
    mine.mkdir(parents=True)
    mine.chmod(0o1777 if folder != Path.home() else 0o700)
    for each in (shared, *INSTALLED):
        if each.is_relative_to(folder):
            place = mine / each.relative_to(folder)
            place.mkdir(parents=True, exist_ok=True)
            yield f"mount --bind {shlex.quote(str(each))} {shlex.quote(str(place))}"
            if each in INSTALLED:
                yield f"mount -o remount,bind,ro {shlex.quote(str(place))}"
    yield f"mount --rbind {shlex.quote(str(mine))} {shlex.quote(str(folder))}"


@contextmanager
def ray_on(head: Host, other: Host, cpus: int = 2, object_store_mib: int = 1000) -> Iterator[str]:
    """A Ray node on each host, labelled `host: <side>`; gives the cluster's address, which is reached from the hosts alone."""
    address = f"{head.address}:{GCS_PORT}"
    words = (f"--num-cpus={cpus}", f"--object-store-memory={object_store_mib * 2**20}", "--disable-usage-stats")
    with tempfile.TemporaryDirectory(prefix="ray-logs-") as logs:
        try:
            _start_ray(head, Path(logs), "--head", f"--port={GCS_PORT}", "--include-dashboard=false", *words)
            _start_ray(other, Path(logs), f"--address={address}", *words)
            yield address
        finally:
            for host in (other, head):
                _end_all_in(host.namespace, but=host.keeper)


def _start_ray(host: Host, logs: Path, *words: str) -> None:
    where = (f"--node-ip-address={host.address}", f"--temp-dir=/tmp/ray-{host.side}", f"--labels=host={host.side}")
    command = [*host.enter, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *where, *words]
    log = logs / host.side
    shared = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}  # both hosts compute on the same cores
    with log.open("w") as printed:
        process = subprocess.Popen(command, env=shared, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + START_S
    while RAY_UP not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"no Ray on host {host.side} within {START_S:g} s:\n{log.read_text()}")
        time.sleep(0.2)


def _end_all_in(namespace: str, but: int | None = None) -> None:
    """Only what was started in the namespace is in it, whoever its parent is by now."""
    processes = []
    for pid in {int(pid) for pid in _ip("netns", "pids", namespace).split()} - {but}:
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
            processes[-1].kill()
    psutil.wait_procs(processes, timeout=30)


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
