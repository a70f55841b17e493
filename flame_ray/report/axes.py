"""Maps values to pixels: the axes of every chart, with their round values, and the sizes of dots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from flame_ray.types import Interval

SMALLEST, LARGEST = 3.0, 12.0  # radius of a dot


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values from `low` to `high` to pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """
        >>> Axis(40.0, 50.0, 0.0, 100.0).at(45.0)
        50.0
        """
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def axis_of(values: Sequence[Interval], start: float, end: float) -> Axis:
    """With a tenth of the range on either side; one of a width where all values are equal. Raises ValueError without values.

    >>> axis_of([Interval(2.0, 1.0, 3.0, 9)], 0.0, 10.0)
    Axis(low=0.8, high=3.2, start=0.0, end=10.0)
    """
    ends = [each for value in values for each in (value.mean, value.low, value.high) if each is not None]
    room = (max(ends) - min(ends)) / 10 or 1.0
    return Axis(min(ends) - room, max(ends) + room, start, end)


def ticks(low: float, high: float) -> list[float]:
    """Round values between the ends of an axis, four to ten of them.

    >>> ticks(27.3, 61.0), ticks(0.42, 0.61)
    ([30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0], [0.45, 0.5, 0.55, 0.6])
    """
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(size for size in (power, power / 2, power / 5, power / 10) if (high - low) / size >= 3.5)
    first = math.ceil(low / step)
    return [round(place * step, 10) for place in range(first, math.floor(high / step) + 1)]


def radius(length: float | None, longest: float) -> float:
    """The area of a dot grows with a length; one of unknown length is the smallest.

    >>> radius(250.0, 1000.0), radius(1000.0, 1000.0), radius(None, 1000.0)
    (6.0, 12.0, 3.0)
    """
    return max(SMALLEST, LARGEST * (length / longest) ** 0.5) if length and longest else SMALLEST
