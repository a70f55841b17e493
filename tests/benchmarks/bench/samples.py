"""What a row of the table is: the samples of its sides, and the figures that are made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Measured:
    """One value of one turn, such as 0.61 s."""

    value: float
    unit: str


Turn = Mapping[str, Measured]  # what one side measured in one turn, by name


def spelled(value: float) -> str:
    """Three digits, without an exponent.

    >>> spelled(12345.6), spelled(0.01234)
    ('12,346', '0.0123')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


@dataclass(frozen=True)
class Samples:
    """The values of one measure, one a turn, and the command that made them. `name` is that of the side and of the measure.

    >>> Samples("here: a pair", "s", (0.6, 0.5, 0.9), "python -m ...").shown
    '0.6 s [0.5, 0.9]'
    """

    name: str
    unit: str
    values: tuple[float, ...]
    command: str

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def shown(self) -> str:
        """The median, and from where to where the values reach."""
        return f"{spelled(self.median)} {self.unit}".strip() + f" [{spelled(min(self.values))}, {spelled(max(self.values))}]"


@dataclass(frozen=True)
class Goal:
    """A figure that the table states beside its samples: a measure, or its ratio to another one of the same turns.

    `of`, `per`: names of samples. `limit`: what it should reach, or with `at_most` not exceed; None: it is only told.
    """

    of: str
    per: str | None = None
    limit: float | None = None
    at_most: bool = False

    @property
    def name(self) -> str:
        return f"{self.of} / {self.per}" if self.per else self.of

    def judged(self, value: float) -> str:
        """The limit, and whether it is met; empty without one."""
        if self.limit is None:
            return ""
        met = value <= self.limit if self.at_most else value >= self.limit
        return f"{'at most' if self.at_most else 'at least'} {self.limit:g}: {'met' if met else 'missed'}"


@dataclass(frozen=True)
class Side:
    """One of those who do a row's work, in a process of its own: a module with its words. `is_peer`: with the peers' Python."""

    name: str
    module: str
    words: tuple[str, ...] = ()
    is_peer: bool = False


@dataclass(frozen=True)
class Row:
    """A row before it is measured. `work`: what each side does and does not. `turns`: None for as many as are asked for.

    `apart`: no two sides are compared, so each has the machine to itself for all its turns. `fresh`: each turn has new
    processes, which remember nothing of the turn before.
    """

    name: str
    title: str
    work: str
    sides: tuple[Side, ...]
    goals: tuple[Goal, ...] = ()
    turns: int | None = None
    apart: bool = False
    fresh: bool = False


@dataclass(frozen=True)
class Result:
    """A row that was measured. `failures`: why a side has no samples, or no more of them."""

    row: Row
    samples: tuple[Samples, ...]
    failures: tuple[str, ...] = ()
    busy_before: float = 0.0  # the share of the cores that others used just before the row, and just after it
    busy_after: float = 0.0
    took_s: float = 0.0

    def figure(self, goal: Goal) -> Samples | None:
        """The values of a goal's measure or ratio, turn by turn; None if there are none."""
        named = {each.name: each for each in self.samples}
        of = named.get(goal.of)
        if of is None or goal.per is None:
            return of
        per = named.get(goal.per)
        if per is None:
            return None
        values = tuple(one / other for one, other in zip(of.values, per.values, strict=False) if other)
        return Samples(goal.name, "", values, of.command) if values else None
