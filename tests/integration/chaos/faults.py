"""Faults with witnesses: what a test breaks is at work when it is hit, and each hit is recorded."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


@dataclass(frozen=True)
class Hit:
    """A blow that fell: on which process, what was under way there (its title, or the stages of a run), and when."""

    pid: int
    under_way: str
    at_s: float  # of time.monotonic


@dataclass
class Fault:
    """Something that a test does to a run. It must have hit something at work by the time the run ends."""

    what: str
    hits: list[Hit] = field(default_factory=list)

    def hit(self, pid: int, under_way: str) -> Hit:
        self.hits.append(Hit(pid, under_way, time.monotonic()))
        return self.hits[-1]


def missed(faults: list[Fault]) -> list[str]:
    """Those that never hit anything at work: an empty list in a test that may pass.

    >>> missed([Fault("a kill of nobody")])
    ['a kill of nobody']
    """
    return [fault.what for fault in faults if not any(hit.under_way for hit in fault.hits)]


def caught(process: psutil.Process, is_at_work: Callable[[], object]) -> bool:
    """Stop a process and look again. It stays stopped if it is at work; if not, it goes on.

    Between a look and a blow, work may end, and the blow would fall on nothing. What stands still ends nothing.
    """
    with suppress(psutil.NoSuchProcess):
        process.suspend()
        while (status := process.status()) != psutil.STATUS_STOPPED:
            if status in ENDED:
                return False
            time.sleep(0.001)
        if is_at_work():
            return True
        process.resume()
    return False


def title_of(process: psutil.Process) -> str:
    """Ray titles a worker by what it does: `ray::RolloutActor.generate`, and `ray::RolloutActor` while it does nothing."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline()).strip()  # what is left of a longer title is blank
    return ""


def below(pid: int, title: str) -> list[psutil.Process]:
    """The processes that a process began, and those that they did, whose title starts so."""
    with suppress(psutil.NoSuchProcess):
        return [process for process in psutil.Process(pid).children(recursive=True) if title_of(process).startswith(title)]
    return []


def flip_a_byte(file: Path) -> None:
    """Twice gives back the file as it was."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
