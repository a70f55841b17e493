"""The records that the doctor's files share: a check, a site, and the words for both."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from flame_ray.errors import FlameError

GIB = 2**30
HUB_TIMEOUT_S = 5.0


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. `fix` is shown unless the level is ok."""

    level: Level
    name: str
    expected: str
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the job would run. All memory is in bytes.

    `capacity`: the CPUs and GPUs that are there, or that an autoscaler may add. `scaling`: what an autoscaler says of the nodes
    that it adds, "" without one; how many it may add it does not say. `nodes`: each node's memory. `free`: this machine's free
    memory, or None for a cluster. `gpu`: the smallest GPU's memory, or None if it is unknown. `fixed_nodes`: what
    each node of a cluster has, empty if others may come.
    """

    name: str
    capacity: Mapping[str, float]
    nodes: tuple[float, ...]
    free: float | None = None
    gpu: float | None = None
    scaling: str = ""
    fixed_nodes: tuple[Mapping[str, float], ...] = ()


def refused(name: str, error: FlameError) -> Check:
    return Check(Level.PROBLEM, name, error.expected, error.found, error.fix)


def unreached(setting: str, name: str, error: Exception) -> Check:
    """The hub did not answer, or does not know the name."""
    found = f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), 'no reason given')}"
    fix = "check the id, HF_TOKEN and the network, or give a local folder or file"
    return Check(Level.PROBLEM, setting, f"{name} on the hub or in its cache", found, fix)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def in_units(count: float) -> str:
    """Bytes for a person: 269,000,000 is "256.5 MiB"."""
    for unit, size in (("GiB", GIB), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"
