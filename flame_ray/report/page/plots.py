"""What all charts of the page share: the frame with its axes, marks with intervals, and words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from flame_ray.report.axes import Axis, ticks
from flame_ray.report.page.markup import el
from flame_ray.report.summary import interval_text
from flame_ray.types import Interval

COLOURS = 6  # of series, in page.css; the dashes of their lines differ too
CLEAR = 18  # pixels from the top of an axis, where its highest value may stand, up to its name


@dataclass(frozen=True, slots=True)
class Size:
    """A drawing in pixels: the whole, and the room around its axes."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float


def svg(width: float, height: float, label: str, *parts: Iterable[Element] | Element) -> Element:
    """A drawing that a screen reader calls by its label."""
    return el("svg", *parts, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=label)


def text(x: float, y: float, words: str, anchor: str = "middle", class_: str | None = None) -> Element:
    return el("text", words, x=x, y=y, text_anchor=anchor, class_=class_)


def line(steps: str, class_: str) -> Element:
    return el("path", d=steps, class_=class_)


def frame(size: Size, x: Axis, y: Axis, x_ticks: Sequence[float], names: tuple[str, str]) -> Iterator[Element]:
    """Both axes with their values, lines across at those of y, and the names of x and y."""
    for value in ticks(y.low, y.high):
        yield line(f"M{x.start:.1f} {y.at(value):.1f}H{x.end:.1f}", "grid")
        yield text(x.start - 6, y.at(value) + 4, f"{value:g}", "end")
    yield line(f"M{x.start:.1f} {y.end:.1f}V{y.start:.1f}H{x.end:.1f}", "axis")
    for value in x_ticks:
        yield text(x.at(value), y.start + 16, f"{value:g}")
    yield text((x.start + x.end) / 2, size.height - 6, names[0], class_="name")
    yield text(size.left - 40, size.top - CLEAR, names[1], "start", "name")


def upright(at: float, value: Interval, y: Axis, class_: str) -> Iterator[Element]:
    """The interval of a value on y, if it has one."""
    if value.low is not None and value.high is not None:
        yield line(f"M{at:.1f} {y.at(value.low):.1f}V{y.at(value.high):.1f}", f"interval {class_}")


def flat(at: float, value: Interval, x: Axis, class_: str) -> Iterator[Element]:
    """The same for a value on x."""
    if value.low is not None and value.high is not None:
        yield line(f"M{x.at(value.low):.1f} {at:.1f}H{x.at(value.high):.1f}", f"interval {class_}")


def series(place: int) -> str:
    """The class of a run's marks, by its place among the runs."""
    return f"s{place % COLOURS}"


def letter(place: int) -> str:
    """A short name of a run, by its place.

    >>> letter(0), letter(27)
    ('A', 'B2')
    """
    return chr(ord("A") + place % 26) + ("" if place < 26 else str(place // 26 + 1))


def interval_words(value: Interval | None) -> str:
    """A value with its interval and number, as far as they are known.

    >>> interval_words(Interval(0.5, 0.25, 0.75, 9)), interval_words(Interval(0.5, None, None, 0)), interval_words(None)
    ('0.50 [0.25, 0.75] (n 9)', '0.50', '-')
    """
    if value is None or value.mean is None:
        return "-"
    return interval_text(value) + (f" (n {value.n})" if value.n else "")
