"""Measures a row: its sides take turns, so that what changes on the machine meets all of them alike."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Protocol

from tests.benchmarks.bench.samples import Result, Row, Samples, Side, Turn


class SideFailed(Exception):
    """A side that did not start, or whose turn failed. The text is the reason for the table."""


class RunningSide(Protocol):
    """A side that is ready to work."""

    command: str

    def turn(self, number: int) -> Turn:
        """Do the work once. Raises SideFailed."""
        ...

    def close(self) -> None: ...


Start = Callable[[Side], RunningSide]  # raises SideFailed


def measure(row: Row, turns: int, start: Start) -> Result:
    """Every side does the work once a turn. One that fails leaves the others to go on, and its reason to the table."""
    failures: list[str] = []
    found: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        running = _started(row.sides, start, failures, stack)
        for number in range(turns):
            for name in _order(list(running), number):
                try:
                    measured = running[name].turn(number)
                except SideFailed as error:
                    failures.append(f"{name}, turn {number + 1} of {turns}: {error}")
                    del running[name]
                    continue
                for key, each in measured.items():
                    found[f"{name}: {key}", each.unit, running[name].command].append(each.value)
    samples = tuple(Samples(name, unit, tuple(values), command) for (name, unit, command), values in found.items())
    return Result(row, samples, tuple(failures))


def _started(sides: Sequence[Side], start: Start, failures: list[str], stack: ExitStack) -> dict[str, RunningSide]:
    """One after the other: two that start together would take each other's cores, and time out."""
    running: dict[str, RunningSide] = {}
    for side in sides:
        try:
            running[side.name] = start(side)
        except SideFailed as error:
            failures.append(f"{side.name}: {error}")
        else:
            stack.callback(running[side.name].close)
    return running


def _order(names: list[str], turn: int) -> list[str]:
    """Each turn in the other direction, so that none is always the first."""
    return names[::-1] if turn % 2 else names
