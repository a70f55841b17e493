"""Draws when each stage of a run ran: a row for each stage, a bar for each time."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from flame_ray.report.axes import Axis, ticks
from flame_ray.report.page.markup import el, folded, table
from flame_ray.report.page.plots import line, series, svg, text
from flame_ray.report.page.records import RunRecord, SftRecord, StageTime

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 80, 12, 6, 24
NARROW = 16.0  # pixels: a bar that is narrower has no number in it
UNITS = ((2 * 86400, 86400, "days"), (2 * 3600, 3600, "hours"), (600, 60, "minutes"))


def timeline(run: RunRecord | SftRecord) -> Element:
    """The chart and a table of seconds by stage and round. A fine-tuning, which has one round, names none."""
    if not run.stages:
        return el("p", "No stage has started yet.")
    in_rounds = isinstance(run, RunRecord)
    names = list(dict.fromkeys(each.stage for each in run.stages))
    divisor, unit = _unit(max(each.end for each in run.stages))
    x = Axis(0.0, max(max(each.end for each in run.stages) / divisor, 1e-9), LEFT, WIDTH - RIGHT)
    bottom = TOP + ROW * len(names)
    parts = [text(LEFT - 8, TOP + ROW * row + 16, name, "end") for row, name in enumerate(names)]
    for value in ticks(x.low, x.high):
        parts += [line(f"M{x.at(value):.1f} {TOP}V{bottom}", "grid"), text(x.at(value), bottom + 16, f"{value:g}")]
    for each in run.stages:
        parts += _bar(each, TOP + ROW * names.index(each.stage), x, divisor, in_rounds)
    drawn = svg(WIDTH, bottom + 24, f"When each stage of {run.id} ran; the table below has the seconds", parts)
    numbers = "; the numbers are rounds" if in_rounds else ""
    caption = el("p", f"{unit} of run time{numbers}".capitalize(), class_="caption")
    region = el("div", drawn, class_="scroll wide", tabindex="0", role="region", aria_label="Timeline")
    return el("div", caption, region, _table(run, names))


def _unit(seconds: float) -> tuple[float, str]:
    """
    >>> _unit(45.0), _unit(5400.0)
    ((1, 'seconds'), (60, 'minutes'))
    """
    return next(((divisor, name) for least, divisor, name in UNITS if seconds >= least), (1, "seconds"))


def _bar(stage: StageTime, top: float, x: Axis, divisor: float, in_rounds: bool) -> Iterator[Element]:
    start, end = x.at(stage.start / divisor), x.at(stage.end / divisor)
    name = f"round {stage.round} {stage.stage}" if in_rounds else stage.stage
    words = f"{name}: {stage.end - stage.start:.1f} s from {stage.start:.1f} s, {stage.ended}"
    size = {"x": start, "y": top + 3.0, "width": max(end - start, 1.5), "height": ROW - 6.0}
    yield el("rect", el("title", words), class_=f"bar {series(stage.round)} {stage.ended}", **size)
    sign = {"failed": " ✗", "interrupted": " ✗", "running": " …"}.get(stage.ended, "")
    inside = f"{stage.round}{sign}" if in_rounds else sign.strip()
    if end - start > NARROW:
        yield text((start + end) / 2, top + 16, inside, class_="inside")
    elif sign:
        yield text(end + 3, top + 16, sign.strip(), "start", "mark")


def _table(run: RunRecord | SftRecord, names: list[str]) -> Element:
    rounds = sorted({each.round for each in run.stages}, reverse=True)
    seconds: dict[tuple[str, int], float] = {}
    ended: dict[tuple[str, int], str] = {}
    for each in run.stages:
        key = each.stage, each.round
        seconds[key] = seconds.get(key, 0.0) + each.end - each.start
        ended[key] = "" if each.ended == "ok" else f" ({each.ended})"
    rows = [
        (name, *(f"{seconds[name, r]:.1f}{ended[name, r]}" if (name, r) in seconds else "-" for r in rounds)) for name in names
    ]
    heading = ("stage", *(f"round {each}" if isinstance(run, RunRecord) else "seconds" for each in rounds))
    caption = f"Seconds of {run.id} by stage; stages may overlap"
    return folded("As a table", table(caption, heading, rows))
