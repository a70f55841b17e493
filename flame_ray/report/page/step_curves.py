"""Draws how each figure of the learner goes from step to step: a line for each run, over all of its rounds, or fine-tuning."""

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from flame_ray.report.axes import Axis, axis_of, ticks
from flame_ray.report.page.curves import SIZE
from flame_ray.report.page.markup import el
from flame_ray.report.page.plots import frame, line, series, svg
from flame_ray.report.page.records import RunRecord, SftRecord
from flame_ray.types import Interval

MOST = 240  # points of a line: a small chart shows no more
Steps = Sequence[float | None]
Placed = tuple[int, RunRecord | SftRecord]  # with its place on the page, which gives the colour


def step_charts(placed: Sequence[Placed]) -> Iterator[Element]:
    """A chart for each figure that some run has."""
    for name in dict.fromkeys(name for _, run in placed for name in run.steps):
        found = [_points(run.steps.get(name, ())) for _, run in placed]
        if any(found):
            yield _chart(name.replace("_", " ").capitalize(), placed, found)


def _points(values: Steps) -> list[tuple[int, float]]:
    """The number of each step that has a value, and that; of many steps, as many as can be seen, the last among them."""
    known = [(number, value) for number, value in enumerate(values, start=1) if value is not None]
    return known[:: -(len(known) // MOST + 1)][::-1]


def _chart(title: str, placed: Sequence[Placed], found: Sequence[Sequence[tuple[int, float]]]) -> Element:
    last = max(number for points in found for number, _ in points)
    x = Axis(0.0, float(last + 1), SIZE.left, SIZE.width - SIZE.right)
    values = [Interval(value, None, None, 1) for points in found for _, value in points]
    y = axis_of(values, SIZE.height - SIZE.bottom, SIZE.top)
    parts = list(
        frame(SIZE, x, y, [each for each in ticks(0.0, float(last + 1)) if each == int(each)], ("step", title.lower()))
    )
    for (place, _), points in zip(placed, found, strict=True):
        if points:
            steps = "L".join(f"{x.at(number):.1f} {y.at(value):.1f}" for number, value in points)
            parts.append(line(f"M{steps}", f"path {series(place)}"))
    ends = [
        f"{run.id}: {points[0][1]:.4g} at first, {points[-1][1]:.4g} at last"
        for (_, run), points in zip(placed, found, strict=True)
        if points
    ]
    label = f"{title}, by step. {'. '.join(ends)}"
    return el("figure", el("figcaption", title), svg(SIZE.width, SIZE.height, label, parts))
