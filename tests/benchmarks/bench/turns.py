"""Measures a row: its sides take turns, so that what changes on the machine meets all of them alike."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
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
    failures: dict[str, str] = {}  # of a side by its name: it is not asked again
    found: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for sides in [(side,) for side in row.sides] if row.apart else [row.sides]:
        for numbers in [(number,) for number in range(turns)] if row.fresh else [range(turns)]:
            for name, command, measured in _by_turns(sides, numbers, turns, start, failures):
                for key, each in measured.items():
                    found[f"{name}: {key}", each.unit, command].append(each.value)
    samples = tuple(Samples(name, unit, tuple(values), command) for (name, unit, command), values in found.items())
    return Result(row, samples, tuple(failures.values()))


def _by_turns(
    sides: Sequence[Side], numbers: Sequence[int], turns: int, start: Start, failures: dict[str, str]
) -> Iterator[tuple[str, str, Turn]]:
    """The name and the command of a side, and what it measured in each of these of all `turns`."""
    running: dict[str, RunningSide] = {}
    try:
        for side in sides:  # one after the other: two that start together would take each other's cores, and time out
            if side.name in failures:
                continue
            try:
                running[side.name] = start(side)
            except SideFailed as error:
                failures[side.name] = f"{side.name}: {error}"
        for number in numbers:
            for name, running_side in _order(list(running.items()), number):
                try:
                    yield name, running_side.command, running_side.turn(number)
                except SideFailed as error:
                    failures[name] = f"{name}, turn {number + 1} of {turns}: {error}"
                    running.pop(name).close()  # one that hangs would compute beside the others
    finally:
        for each in running.values():
            each.close()


def _order(sides: list[tuple[str, RunningSide]], turn: int) -> list[tuple[str, RunningSide]]:
    """Each turn in the other direction, so that none is always the first."""
    return sides[::-1] if turn % 2 else sides
