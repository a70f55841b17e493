"""Draws figure 1 as SVG: helpfulness against factuality, a dot a model, its size the mean length, intervals as crosses.

A dot has the number of its model in the list beside the figure, since names of models that are near would cover each other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from flame_ray.report.axes import Axis, axis_of, radius, ticks
from flame_ray.reproduction.results import Cell, FilledTable
from flame_ray.types import Interval

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 520, 70, 190, 40, 60
MOST_LETTERS = 27  # of a name that the list beside the figure has room for
OURS, PAPERS = "#1f77b4", "#888888"


@dataclass(frozen=True, slots=True)
class Dot:
    """A model in the figure: `x` its factuality, `y` its helpfulness, in points of 100; `length` in characters, if known."""

    name: str
    x: Interval
    y: Interval
    length: float | None
    is_ours: bool


def dots(filled: FilledTable) -> list[Dot]:
    """The paper's dots, then ours; a model without both values has none. The baseline wins half the comparisons with itself."""
    helpful, factual, length = (measure.name for measure in filled.table.measures[:3])
    found = []
    for is_ours in (False, True):
        for system in filled.table.rows:
            x, y, size = (_value(filled.cell(system.name, each), is_ours) for each in (factual, helpful, length))
            if x is not None and y is not None:
                found.append(Dot(system.name, x, y, size.mean if size else None, is_ours))
    return found


def _value(cell: Cell, is_ours: bool) -> Interval | None:
    if not is_ours:
        return None if cell.paper is None else Interval(cell.paper, None, None, 1)
    if cell.is_baseline:
        return Interval(50.0, None, None, 1)
    return cell.ours.interval if cell.ours else None


def svg(dots: Sequence[Dot], x_name: str, y_name: str) -> str:
    """The figure as a document. Without dots it says that there is nothing to draw."""
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    if dots:
        x = axis_of([each.x for each in dots], LEFT, WIDTH - RIGHT)
        y = axis_of([each.y for each in dots], HEIGHT - BOTTOM, TOP)
        numbers = {name: place for place, name in enumerate(dict.fromkeys(each.name for each in dots), start=1)}
        longest = {
            is_ours: max((each.length or 0.0 for each in dots if each.is_ours is is_ours), default=0.0)
            for is_ours in (True, False)
        }
        parts += [*_frame(x, y, x_name, y_name), *_legend(x.end, numbers)]
        parts += [part for each in dots for part in _drawn(each, numbers[each.name], x, y, longest[each.is_ours])]
    else:
        parts.append(_text(WIDTH / 2, HEIGHT / 2, "nothing to draw yet", "middle"))
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    font = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>\n' + "\n".join(parts) + "\n</svg>\n"


def _frame(x: Axis, y: Axis, x_name: str, y_name: str) -> Iterator[str]:
    yield _path(f"M{x.start:.1f} {y.end:.1f}V{y.start:.1f}H{x.end:.1f}", "#333333")
    for value in ticks(x.low, x.high):
        yield _text(x.at(value), y.start + 18, f"{value:g}", "middle")
    for value in ticks(y.low, y.high):
        yield _text(x.start - 8, y.at(value) + 4, f"{value:g}", "end")
    yield _text((x.start + x.end) / 2, HEIGHT - 14, x_name, "middle")
    yield _text(LEFT - 50, TOP - 18, y_name, "start")


def _legend(left: float, numbers: Mapping[str, int]) -> Iterator[str]:
    for row, (name, colour) in enumerate((("ours", OURS), ("the paper's", PAPERS))):
        yield f'<circle cx="{left + 14:.1f}" cy="{TOP + 18 * row:.1f}" r="5" {_paint(colour, colour == OURS)}/>'
        yield _text(left + 26, TOP + 4 + 18 * row, name, "start")
    yield _text(left + 8, TOP + 46, "larger dots: longer answers,", "start")
    yield _text(left + 8, TOP + 62, "each side by its longest", "start")
    for name, number in numbers.items():
        yield _text(left + 8, TOP + 72 + 18 * number, f"{number}  {_end(name)}", "start")


def _end(name: str) -> str:
    """A long name is a path or a hub id, whose end tells it from others."""
    return name if len(name) <= MOST_LETTERS else f"\u2026{name[1 - MOST_LETTERS :]}"


def _drawn(dot: Dot, number: int, x: Axis, y: Axis, longest: float) -> Iterator[str]:
    assert dot.x.mean is not None and dot.y.mean is not None
    colour, (at_x, at_y) = OURS if dot.is_ours else PAPERS, (x.at(dot.x.mean), y.at(dot.y.mean))
    if dot.x.low is not None and dot.x.high is not None:
        yield _path(f"M{x.at(dot.x.low):.1f} {at_y:.1f}H{x.at(dot.x.high):.1f}", colour)
    if dot.y.low is not None and dot.y.high is not None:
        yield _path(f"M{at_x:.1f} {y.at(dot.y.low):.1f}V{y.at(dot.y.high):.1f}", colour)
    size = radius(dot.length, longest)
    yield f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="{size:.1f}" {_paint(colour, dot.is_ours)}/>'
    yield _text(at_x + size + 2, at_y - 3, str(number), "start", colour)


def _paint(colour: str, is_filled: bool) -> str:
    return f'fill="{colour if is_filled else "none"}" fill-opacity="0.6" stroke="{colour}"'


def _path(steps: str, colour: str) -> str:
    return f'<path d="{steps}" fill="none" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
