"""Draws what each round gave to train on: its pairs by kind, and why others were dropped."""

import math
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from flame_ray.report.axes import Axis, ticks
from flame_ray.report.page.markup import el, table
from flame_ray.report.page.plots import line, series, svg, text
from flame_ray.report.page.records import RoundRecord, RunRecord
from flame_ray.rewards.factuality.scores import wilson

WIDTH, LEFT, RIGHT, TOP, ROW = 500, 74, 40, 8, 26
MOST = 60  # bars


def yields(run: RunRecord) -> Element:
    """Bars and a table of a run's rounds. A skipped round has no bar, and says so."""
    rounds = [each for each in run.rounds if each.pairs is not None]
    if not rounds:
        return el("p", "No round has made pairs yet.")
    kinds = list(dict.fromkeys(kind for each in rounds for kind, count in (each.pairs or {}).items() if count))
    legend = el("ul", (el("li", el("span", class_=f"swatch {series(place)}"), kind) for place, kind in enumerate(kinds)))
    legend.set("class", "legend")
    return el("div", el("div", legend, _bars(run, rounds, kinds)), _table(run, rounds[::-1]), class_="beside")


def _bars(run: RunRecord, rounds: Sequence[RoundRecord], kinds: Sequence[str]) -> Element:
    step = math.ceil(len(rounds) / MOST)
    rounds = rounds[::-step][::-1]
    most = max(sum((each.pairs or {}).values()) for each in rounds)
    bottom = TOP + ROW * len(rounds)
    x = Axis(0.0, max(most, 1), LEFT, WIDTH - RIGHT)
    parts = [part for row, each in enumerate(rounds) for part in _bar(each, kinds, TOP + ROW * row, x)]
    parts += [line(f"M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}", "axis")]
    parts += [text(x.at(value), bottom + 16, f"{value:g}") for value in ticks(x.low, x.high) if value == int(value)]
    name = "pairs, or single responses, that a round trains on" + (f" (one round in {step})" if step > 1 else "")
    parts.append(text((x.start + x.end) / 2, bottom + 38, name, class_="name"))
    counts = ", ".join(f"round {each.round} {_total(each)}" for each in rounds)
    return svg(WIDTH, bottom + 46, f"Pairs of {run.id} by round: {counts}", parts)


def _bar(round: RoundRecord, kinds: Sequence[str], top: float, x: Axis) -> Iterator[Element]:
    yield text(LEFT - 8, top + 17, f"round {round.round}", "end")
    count = 0
    for place, kind in enumerate(kinds):
        if more := (round.pairs or {}).get(kind, 0):
            words = el("title", f"round {round.round}: {more} {kind}")
            size = {"x": x.at(count), "y": top + 4.0, "width": x.at(count + more) - x.at(count), "height": ROW - 8.0}
            yield el("rect", words, class_=f"bar {series(place)}", **size)
            count += more
    yield text(x.at(count) + 6, top + 17, "skipped" if round.is_skipped else str(count), "start")


def _table(run: RunRecord, rounds: Sequence[RoundRecord]) -> Element:
    kinds = list(dict.fromkeys(kind for each in rounds for kind in each.pairs or {}))
    reasons = list(dict.fromkeys(reason for each in rounds for reason in each.dropped or {}))
    rows = [
        ("responses sampled", *(str(each.responses) for each in rounds)),
        ("cut off by the token limit", *(_truncated(each) for each in rounds)),
        *((f"pairs: {kind}", *(str((each.pairs or {}).get(kind, 0)) for each in rounds)) for kind in kinds),
        *((f"dropped: {reason}", *(str((each.dropped or {}).get(reason, 0)) for each in rounds)) for reason in reasons),
    ]
    caption = f"Pairs of {run.id}, and what was dropped; shares with their 95 % Wilson interval"
    heading = ("", *(f"round {each.round}" for each in rounds))
    return table(caption, heading, rows)


def _total(round: RoundRecord) -> str:
    return "skipped" if round.is_skipped else str(sum((round.pairs or {}).values()))


def _truncated(round: RoundRecord) -> str:
    if not round.responses:
        return "-"
    low, high = wilson(round.truncated, round.responses)
    return f"{round.truncated} ({round.truncated / round.responses:.1%} [{low:.1%}, {high:.1%}])"
