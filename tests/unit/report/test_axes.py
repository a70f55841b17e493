"""Where a value lies on an axis, and how large a dot is."""

import pytest

from flame_ray.report.axes import Axis, axis_of, radius, ticks
from tests.builders import make_interval


def test_four_times_the_length_has_twice_the_radius():
    assert radius(1600.0, 1600.0) == 2 * radius(400.0, 1600.0)


def test_an_axis_holds_all_intervals_and_has_room_beside_them():
    axis = axis_of([make_interval(0.5, low=0.2, high=0.9), make_interval(1.0)], 0.0, 100.0)
    assert axis.low < 0.2 and axis.high > 1.0


def test_an_axis_of_one_value_has_a_width():
    assert axis_of([make_interval(0.0)], 0.0, 100.0) == Axis(-1.0, 1.0, 0.0, 100.0)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.281, 0.30), (3.0, 4711.0), (-0.02, 0.01)])
def test_ticks_are_a_few_and_inside_the_axis(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 11 and low <= found[0] < found[-1] <= high
