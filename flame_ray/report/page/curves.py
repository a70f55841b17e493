"""Draws how each figure goes from round to round, a small chart each."""

from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

from flame_ray.report.axes import Axis, axis_of
from flame_ray.report.page.markup import el
from flame_ray.report.page.plots import Size, frame, interval_words, letter, line, series, svg, text, upright
from flame_ray.report.page.records import RunRecord
from flame_ray.types import Interval

SIZE = Size(width=340, height=226, left=48, right=20, top=36, bottom=40)
APART = 5.0  # pixels between the marks of two runs in one round, so that their intervals can be told apart
LETTER, COLUMNS = 15.0, 8  # pixels of a run's letter, each in one of so many columns
UNITS = {
    "factual_precision": ("Factual precision", "share of facts"),
    "correct_facts": ("Correct facts", "facts a response"),
    "relevant_facts": ("Relevant correct facts", "facts a response"),
    "erroneous_facts": ("Erroneous facts", "facts a response"),
    "f_at_k": ("F@K", "0 to 1"),
    "abstention_rate": ("Abstentions", "share of responses"),
    "instruction_score": ("Helpfulness", ""),  # the judge says its unit
    "response_tokens": ("Length", "tokens a response"),
}
Curve = Mapping[int, Interval]  # by the round


def metric_charts(runs: Sequence[RunRecord], development: bool = False) -> Iterator[Element]:
    """A chart for each metric that a run has, on held-out or development prompts; of helpfulness, one for each judge's unit."""
    for name, (title, unit) in UNITS.items():
        curves = [_curve(run, name, development) for run in runs]
        for each in [unit] if unit else dict.fromkeys(run.judge for run in runs):
            alike = [curve if unit or run.judge == each else {} for run, curve in zip(runs, curves, strict=True)]
            if any(alike):
                yield chart(title, each, runs, alike)


def training_charts(runs: Sequence[RunRecord]) -> Iterator[Element]:
    """A chart for each figure of the trainings: their means, of which a run keeps no interval."""
    for name in dict.fromkeys(name for run in runs for each in run.trained for name in each.training):
        found = [{each.round: each.training.get(name) for each in run.trained} for run in runs]
        curves = [{round: Interval(value, None, None, 0) for round, value in run.items() if value is not None} for run in found]
        if any(curves):
            yield chart(name.replace("_", " ").capitalize(), "mean of the round", runs, curves)


def chart(title: str, unit: str, runs: Sequence[RunRecord], curves: Sequence[Curve]) -> Element:
    """A curve for each run, with 95 % intervals."""
    values = [value for curve in curves for value in curve.values()]
    last = max(round for curve in curves for round in curve)
    x = Axis(-0.35, max(last, 1) + 0.35, SIZE.left, SIZE.width - SIZE.right - LETTER * (min(len(runs), COLUMNS) - 1))
    y = axis_of(values, SIZE.height - SIZE.bottom, SIZE.top)
    step = -(-(last + 1) // 10)  # ten numbers fit below the axis
    parts = list(frame(SIZE, x, y, range(0, last + 1, step), ("round", unit)))
    for place, (run, curve) in enumerate(zip(runs, curves, strict=True)):
        parts += _drawn(run, curve, place, len(runs), x, y)
    return el("figure", el("figcaption", title), svg(SIZE.width, SIZE.height, _label(title, unit, runs, curves), parts))


def _curve(run: RunRecord, name: str, development: bool) -> Curve:
    found = {each.round: (each.development if development else each.heldout).get(name) for each in run.trained}
    return {round: value for round, value in found.items() if value is not None and value.mean is not None}


def _drawn(run: RunRecord, curve: Curve, place: int, of: int, x: Axis, y: Axis) -> Iterator[Element]:
    class_, aside = series(place), (place - (of - 1) / 2) * APART
    points = [(round, x.at(round) + aside, value) for round, value in sorted(curve.items())]
    steps = "L".join(f"{at:.1f} {y.at(_mean(value)):.1f}" for _, at, value in points)
    if len(points) > 1:
        yield line(f"M{steps}", f"path {class_}")
    for round, at, value in points:
        yield from upright(at, value, y, class_)
        words = f"{run.id}, round {round}: {interval_words(value)}"
        yield el("circle", el("title", words), cx=at, cy=y.at(_mean(value)), r=3.5, class_=f"dot {class_}")
    if points and of > 1:
        *_, value = points[-1]
        yield text(x.end - 8 + LETTER * (place % COLUMNS), y.at(_mean(value)) + 4, letter(place), "start", f"label {class_}")


def _mean(value: Interval) -> float:
    return value.mean or 0.0


def _label(title: str, unit: str, runs: Sequence[RunRecord], curves: Sequence[Curve]) -> str:
    """What a screen reader says in place of the chart."""
    told_runs = [
        f"{run.id}: " + ", ".join(f"round {round} {interval_words(value)}" for round, value in sorted(curve.items()))
        for run, curve in zip(runs, curves, strict=True)
        if curve
    ]
    return f"{title}, {unit}, by round. {'. '.join(told_runs)}"
