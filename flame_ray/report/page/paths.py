"""Draws the paper's figure: a path for each run through its rounds, by helpfulness and factuality."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from flame_ray.report.axes import Axis, axis_of, radius, ticks
from flame_ray.report.page.markup import el, table
from flame_ray.report.page.plots import Size, flat, frame, interval_words, letter, line, series, svg, text, upright
from flame_ray.report.page.records import RoundRecord, RunRecord
from flame_ray.types import Interval

FACTUAL, HELPFUL, LENGTH = "factual_precision", "instruction_score", "response_tokens"
SIZE = Size(width=500, height=428, left=58, right=16, top=42, bottom=48)
LETTER, LINE = 9.0, 13.0  # pixels of a letter of a name, and of its line
SIDES = ((1, -1), (-1, -1), (1, 1), (-1, 1), (1, 0), (-1, 0), (0, -1), (0, 1))  # of a dot: to the right, and down
MOST = 60  # names of dots: more would hide the dots, and finding their places takes the square of their number
HEADING = ("run", "round", "factual precision", "helpfulness", "tokens")


@dataclass(frozen=True, slots=True)
class Dot:
    """A round of a run in pixels. `name` stands beside it."""

    round: RoundRecord
    x: float
    y: float
    size: float
    name: str


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the drawing, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: "Box") -> float:
        """The area that both cover.

        >>> Box(0, 0, 4, 4).shared(Box(3, 2, 9, 9)), Box(0, 0, 4, 4).shared(Box(5, 0, 9, 4))
        (2, 0)
        """
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0) * max(high, 0)

    def outside(self) -> float:
        """The area that is not between the axes."""
        axes = Box(SIZE.left, SIZE.top, SIZE.width - SIZE.right, SIZE.height - SIZE.bottom)
        return (self.right - self.left) * (self.bottom - self.top) - self.shared(axes)


def path_figure(runs: Sequence[tuple[int, RunRecord]]) -> Element:
    """The figure of runs that one judge and one checker measured, each with its place on the page."""
    judge = runs[0][1].judge
    shown = [(place, run, [each for each in run.trained if _values(each)]) for place, run in runs]
    rounds = [each for *_, found in shown for each in found]
    if not rounds:
        return el("p", "No round has both scores yet: held-out prompts need a judge's score and facts that were checked.")
    x = axis_of([each.heldout[FACTUAL] for each in rounds], SIZE.left, SIZE.width - SIZE.right)
    y = axis_of([each.heldout[HELPFUL] for each in rounds], SIZE.height - SIZE.bottom, SIZE.top)
    names = ("factual precision (share of facts supported)", f"helpfulness ({judge})")
    parts = list(frame(SIZE, x, y, ticks(x.low, x.high), names))
    longest = max(_mean(each.heldout.get(LENGTH)) for each in rounds)
    paths = {place: _dots(found, x, y, longest, letter(place) if len(runs) > 1 else "") for place, _, found in shown}
    for place, run, _ in shown:
        parts += _path(run, paths[place], x, y, series(place))
    step = math.ceil(len(rounds) / MOST)
    by_place = {place: [*dots.values()][::-step][::-1] for place, dots in paths.items()}
    classes = [f"label {series(place)}" for place, dots in by_place.items() for _ in dots]
    named = [dot for dots in by_place.values() for dot in dots]
    parts += [text(*at, dot.name, class_=class_) for dot, at, class_ in zip(named, _labels(named), classes, strict=True)]
    label = "Helpfulness against factuality, a path for each run through its rounds; the table beside it has the values"
    return el("div", svg(SIZE.width, SIZE.height, label, parts), _table(shown, judge), class_="beside")


def _values(round: RoundRecord) -> bool:
    return all(name in round.heldout and round.heldout[name].mean is not None for name in (FACTUAL, HELPFUL))


def _mean(value: Interval | None) -> float:
    return value.mean or 0.0 if value else 0.0


def _dots(rounds: Sequence[RoundRecord], x: Axis, y: Axis, longest: float, prefix: str) -> dict[int, Dot]:
    """By their rounds."""
    return {
        each.round: Dot(
            each,
            x.at(_mean(each.heldout[FACTUAL])),
            y.at(_mean(each.heldout[HELPFUL])),
            radius(_mean(each.heldout.get(LENGTH)), longest),
            f"{prefix}{each.round}",
        )
        for each in rounds
    }


def _path(run: RunRecord, dots: dict[int, Dot], x: Axis, y: Axis, class_: str) -> Iterator[Element]:
    """A line comes from the round whose weights a round started from."""
    for dot in dots.values():
        if dot.round.start is not None and (before := dots.get(dot.round.start)):
            yield from _arrow(before, dot, class_)
    for number, dot in dots.items():
        values = dot.round.heldout
        yield from flat(dot.y, values[FACTUAL], x, class_)
        yield from upright(dot.x, values[HELPFUL], y, class_)
        words = f"{run.id}, round {number}: precision {interval_words(values[FACTUAL])}, "
        words += f"helpfulness {interval_words(values[HELPFUL])}, {interval_words(values.get(LENGTH))} tokens"
        yield el("circle", el("title", words), cx=dot.x, cy=dot.y, r=dot.size, class_=f"dot {class_}")
        if number == run.best:
            yield el("circle", cx=dot.x, cy=dot.y, r=dot.size + 3.5, class_=f"best {class_}")


def _labels(dots: Sequence[Dot]) -> list[tuple[float, float]]:
    """Where the name of each dot stands: on the side where it covers least of the dots and of the names before it."""
    covered = [Box(dot.x - dot.size, dot.y - dot.size, dot.x + dot.size, dot.y + dot.size) for dot in dots]
    places = []
    for dot in dots:
        boxes = [_beside(dot, *side) for side in SIDES]
        best = min(boxes, key=lambda box: sum(map(box.shared, covered)) + box.outside())
        covered.append(best)
        places.append(((best.left + best.right) / 2, best.bottom - 2))
    return places


def _beside(dot: Dot, right: int, down: int) -> Box:
    wide, high = LETTER * len(dot.name) / 2, LINE / 2
    x, y = dot.x + right * (dot.size + wide + 3), dot.y + down * (dot.size + high + (0 if right else 3))
    return Box(x - wide, y - high, x + wide, y + high)


def _arrow(before: Dot, after: Dot, class_: str) -> Iterator[Element]:
    yield line(f"M{before.x:.1f} {before.y:.1f}L{after.x:.1f} {after.y:.1f}", f"path {class_}")
    if math.hypot(after.x - before.x, after.y - before.y) > 24:
        turn = math.degrees(math.atan2(after.y - before.y, after.x - before.x))
        middle = f"translate({(before.x + after.x) / 2:.1f} {(before.y + after.y) / 2:.1f}) rotate({turn:.0f})"
        yield el("path", d="M-5 -4L4 0L-5 4Z", transform=middle, class_=f"tip {class_}")


def _table(shown: Sequence[tuple[int, RunRecord, Sequence[RoundRecord]]], judge: str) -> Element:
    rows = [
        (run.id, str(each.round), *(interval_words(each.heldout.get(name)) for name in (FACTUAL, HELPFUL, LENGTH)))
        for _, run, found in shown
        for each in found
    ]
    caption = f"The figure as a table; mean [95 % bootstrap interval over prompts] (n prompts). Helpfulness: {judge}"
    return table(caption, HEADING, rows)
