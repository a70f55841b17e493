"""What the doctor's files hand each other: the place it looked at, the lines of its answer, and the words in them.

In: what was found. Out: frozen records. Knows neither how it was found nor what a job needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from flame_ray.errors import FlameError

GIB = 2**30


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the answer; `fix` is shown unless all is well."""

    level: Level
    name: str
    expected: str
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the job would run. `capacity`: CPU and GPU that are there, or that an autoscaler may add. Memory in bytes.

    `free`: of this machine, now; None for a cluster. `gpu`: the smallest GPU's memory; None when it is not known.
    """

    name: str
    capacity: Mapping[str, float]
    nodes: tuple[float, ...]
    free: float | None = None
    gpu: float | None = None


def refused(name: str, error: FlameError) -> Check:
    return Check(Level.PROBLEM, name, error.expected, error.found, error.fix)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def in_units(count: float) -> str:
    """Bytes for a person: 269 MB of weights are "256.6 MiB"."""
    for unit, size in (("GiB", GIB), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"
