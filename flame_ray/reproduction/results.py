"""Puts our figures beside the paper's, over several seeds; what is not there has a reason, and is never 0."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from flame_ray.evaluation.metrics import difference
from flame_ray.evaluation.suites.base import SuiteResult, bounds_of
from flame_ray.reproduction.figures import PAPER
from flame_ray.reproduction.paired import ByPrompt, paired
from flame_ray.reproduction.plan import PlannedCell, PlannedContrast, PlannedTable
from flame_ray.reproduction.tables import Measure, Table
from flame_ray.types import Interval

Found = SuiteResult | Mapping[str, Any] | str  # a suite's result, a step's summary, or why there is neither
Find = Callable[[str], Found]  # by the key of a job
ValuesOf = Callable[[str, str], ByPrompt | None]  # by the key of an evaluation and a figure; None: not done


@dataclass(frozen=True, slots=True)
class Pooled:
    """The mean over seeds. `interval`: the mean of the seeds' intervals.

    All seeds answer the same prompts, so that more seeds do not narrow the interval over prompts; how far the seeds differ is
    from `least` to `most`.
    """

    interval: Interval
    seeds: int
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Cell:
    """`missing`: why there is no figure of ours, or of some seeds; None if all are there."""

    system: str
    measure: Measure
    paper: float | None
    ours: Pooled | None
    missing: str | None = None
    is_baseline: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of one system minus that of another, over so many seeds, in the paper's unit."""

    first: str
    second: str
    measure: Measure
    paper: float | None
    ours: Interval
    seeds: int

    @property
    def is_as_in_the_paper(self) -> bool | None:
        """Whether ours has the sign of the paper's; None if the paper has none, or if our interval holds 0."""
        low, high = self.ours.low, self.ours.high
        if not self.paper or low is None or high is None or low <= 0 <= high:
            return None
        return (low > 0) == (self.paper > 0)


@dataclass(frozen=True, slots=True)
class Remark:
    """What weakens a system's figures of a suite: over all seeds, answers that are `missing`, and what else was `noted`."""

    system: str
    suite: str
    missing: Mapping[str, int]
    noted: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FilledTable:
    table: Table
    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def cell(self, system: str, measure: str) -> Cell:
        """Raises StopIteration if the table has no such row or column."""
        return next(each for each in self.cells if each.system == system and each.measure.name == measure)


def fill(planned: PlannedTable, find: Find, values_of: ValuesOf) -> FilledTable:
    """The table with what is found so far."""
    cells = tuple(_filled(cell, find) for cell in planned.cells)
    differences = (_difference(each, values_of) for each in planned.contrasts)
    return FilledTable(planned.table, cells, tuple(each for each in differences if each), tuple(_remarks(planned, find)))


def _remarks(planned: PlannedTable, find: Find) -> Iterator[Remark]:
    """One for each system and suite that has something to tell."""
    keys: dict[tuple[str, str], dict[str, SuiteResult]] = {}
    for cell in planned.cells:
        for key in cell.keys:
            if isinstance(found := find(key), SuiteResult):
                keys.setdefault((cell.system, found.suite), {})[key] = found
    for (system, suite), results in keys.items():
        missing, noted = (
            sum((Counter(getattr(each, name) or {}) for each in results.values()), Counter()) for name in ("missing", "noted")
        )
        if missing or noted:
            yield Remark(system, suite, missing, noted)


def _difference(planned: PlannedContrast, values_of: ValuesOf) -> Difference | None:
    """None if no seed has values of both systems."""
    measure, factor = planned.measure, planned.measure.factor
    sides = [tuple(values_of(key, measure.figure) for key in keys) for keys in planned.keys]
    known = [(first, second) for first, second in sides if first and second]
    found = paired(known, difference(bounds_of(measure.figure)))
    if found.mean is None:
        return None
    mean, low, high = (_times(each, factor) for each in (found.mean, found.low, found.high))
    first, second = (PAPER.get(name, {}).get(measure.name) for name in (planned.first, planned.second))
    paper = None if first is None or second is None else first - second
    return Difference(planned.first, planned.second, measure, paper, Interval(mean, low, high, found.n), len(known))


def _filled(cell: PlannedCell, find: Find) -> Cell:
    paper = PAPER.get(cell.system, {}).get(cell.measure.name)
    if cell.lacks or cell.is_baseline:
        return Cell(cell.system, cell.measure, paper, None, cell.lacks, cell.is_baseline)
    figures = [_figure(cell.measure, find(key)) for key in cell.keys]
    known = [each for each in figures if isinstance(each, Interval)]
    reasons = list(dict.fromkeys(each for each in figures if isinstance(each, str)))
    return Cell(cell.system, cell.measure, paper, pooled(known), "; ".join(reasons) or None)


def _figure(measure: Measure, found: Found) -> Interval | str:
    """The figure in the paper's unit, or why there is none."""
    if isinstance(found, str):
        return found
    if isinstance(found, SuiteResult):
        figure = found.figures.get(measure.figure)
        if figure is None or figure.mean is None:
            return f"the result of {found.suite} has no {measure.figure}"
        mean, low, high = (_times(each, measure.factor) for each in (figure.mean, figure.low, figure.high))
        return Interval(mean, low, high, figure.n)
    value = counted(found, measure.figure)
    return f"the summary has no {measure.figure}" if value is None else Interval(value * measure.factor, None, None, 1)


def counted(summary: Mapping[str, Any], path: str) -> float | None:
    """The number at a path of a summary, or the sum of its last names' numbers that are there; None if none is.

    >>> counted({"rounds": [{"a": 1}, {"a": 2, "b": 3}]}, "rounds.-1.a+b")
    5.0
    """
    *parts, last = path.split(".")
    try:
        place = reduce(lambda at, part: at[int(part)] if isinstance(at, list) else at[part], parts, summary)
    except (KeyError, IndexError):
        return None
    numbers = [float(place[name]) for name in last.split("+") if place.get(name) is not None]
    return sum(numbers) if numbers else None


def pooled(figures: Sequence[Interval]) -> Pooled | None:
    """
    >>> both = pooled([Interval(1.0, 0.0, 2.0, 9), Interval(3.0, 2.0, 5.0, 9)])
    >>> both.interval, both.seeds, both.least, both.most
    (Interval(mean=2.0, low=1.0, high=3.5, n=9), 2, 1.0, 3.0)
    """
    means = [each.mean for each in figures if each.mean is not None]
    if not means:
        return None
    low, high = (_mean([getattr(each, end) for each in figures]) for end in ("low", "high"))
    interval = Interval(sum(means) / len(means), low, high, min(each.n for each in figures))
    return Pooled(interval, len(means), min(means), max(means))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
