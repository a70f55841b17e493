"""The parts of the page that only a fine-tuning has: what it learned, what was left out, and the curves of its training."""

from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

from flame_ray.report.axes import Axis, ticks
from flame_ray.report.page.markup import el, table
from flame_ray.report.page.plots import line, series, svg, text
from flame_ray.report.page.records import LearnedSource, SftRecord
from flame_ray.report.page.step_curves import Placed, step_charts
from flame_ray.rewards.factuality.scores import wilson

WIDTH, LEFT, RIGHT, TOP, ROW = 500, 74, 12, 8, 34
CUT = ("cut off", "empty")  # of the model's own answers; other reasons count instructions


def reached(record: SftRecord) -> str:
    """How far the training is."""
    steps = _steps(record)
    return f"{steps:,} steps" if steps else "before its first step"


def headline(record: SftRecord) -> Element | None:
    """What was learned, and how the loss went."""
    answers, tokens = sum(each.answers for each in record.sources), record.training.get("tokens")
    cells = [
        _cell("answers learned", f"{answers:,}", f"of {_counted(len(record.sources), 'source')}") if answers else None,
        _cell("tokens of answers", f"{tokens:,}", "of every epoch") if tokens is not None else None,
        _loss(record),
    ]
    return el("dl", cells, class_="headline") if any(each is not None for each in cells) else None


def curves(placed: Sequence[Placed]) -> Iterator[Element]:
    """A chart for each figure of a step."""
    if charts := list(step_charts(placed)):
        yield el("p", "Each step before its update: means over its answers.", class_="note")
        yield el("div", *charts, class_="charts")


def mixture(record: SftRecord) -> Element:
    """The share of each source, as bars and as a table."""
    known = all(each.tokens is not None for each in record.sources)
    totals = [sum(each.answers for each in record.sources), sum(each.tokens or 0 for each in record.sources)]
    rows = [
        [each.name, _of(each.answers, totals[0]), "-" if each.tokens is None else _of(each.tokens, totals[1])]
        for each in record.sources
    ]
    items = (el("li", el("span", class_=f"swatch {series(place)}"), each.name) for place, each in enumerate(record.sources))
    bars = el("div", el("ul", *items, class_="legend"), _bars(record, totals if known else totals[:1]))
    found = table(f"What {record.id} learned, by source", ("source", "answers", "tokens of each epoch"), rows)
    return el("div", bars, el("div", found, *_own(record)), class_="beside")


def left_out(record: SftRecord) -> Element:
    """What was not learned, by reason."""
    answers = record.own_answers + sum(record.own_left_out.get(reason, 0) for reason in CUT)
    own = [
        (f"own answers: {reason}", _share(count, answers if reason in CUT else record.asked), _of_what(reason))
        for reason, count in record.own_left_out.items()
        if count
    ]
    rows = [*((reason, f"{count:,}", "of the sources") for reason, count in record.left_out.items()), *own]
    caption = f"What {record.id} left out; shares of the model's own answers with their 95 % Wilson interval"
    return table(caption, ("reason", "how many", "of what"), rows)


def has_left_out(record: SftRecord) -> bool:
    return any([*record.left_out.values(), *record.own_left_out.values()])


def _own(record: SftRecord) -> Iterator[Element]:
    """How the model's own answers were made, if they were."""
    shown, asked = record.shown, record.asked
    found: Mapping[str, str | None] = {
        "seeds": None if record.seeds is None else f"{record.seeds:,}",
        "seeds that need facts": None if record.fact_based is None else f"{record.fact_based:,}",
        "seeds that the model answered itself": f"{asked:,}" if asked else None,
        "own answers that are learned": f"{record.own_answers:,}" if asked else None,
        "examples shown, in all prompts": _room(shown, "examples"),
        "passages shown, in all prompts": _room(shown, "passages"),
    }
    if rows := [(name, words) for name, words in found.items() if words is not None]:
        yield table(f"Seeds of {record.id}", ("", "how many"), rows)


def _room(shown: Mapping[str, int], what: str) -> str | None:
    """How many were shown, and how many had no room; None where none were to be shown."""
    count, without = shown.get(what, 0), shown.get(f"{what}_left_out", 0)
    if not count and not without:
        return None
    return f"{count:,}" + (f"; {without:,} more had no room" if without else "")


def _bars(record: SftRecord, totals: Sequence[int]) -> Element:
    """A bar of answers, and one of tokens if these are counted."""
    bottom = TOP + ROW * len(totals)
    x = Axis(0.0, 1.0, LEFT, WIDTH - RIGHT)
    parts = [text(LEFT - 8, TOP + ROW * row + 21, name, "end") for row, name in enumerate(("answers", "tokens")[: len(totals)])]
    for row, total in enumerate(totals):
        counts = [each.answers if row == 0 else each.tokens or 0 for each in record.sources]
        parts += _bar(record.sources, counts, total, TOP + ROW * row, x)
    parts += [line(f"M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}", "axis")]
    parts += [text(x.at(value), bottom + 16, f"{value:.0%}") for value in ticks(0.0, 1.0)]
    told = ", ".join(f"{each.name} {_of(each.answers, totals[0])}" for each in record.sources)
    return svg(WIDTH, bottom + 24, f"Answers that {record.id} learned, by source: {told}", parts)


def _bar(sources: Sequence[LearnedSource], counts: Sequence[int], total: int, top: float, x: Axis) -> Iterator[Element]:
    done = 0
    for place, (source, count) in enumerate(zip(sources, counts, strict=True)):
        start, done = done, done + count
        if count:
            size = {"x": x.at(start / total), "width": x.at(done / total) - x.at(start / total)}
            words = el("title", f"{source.name}: {_of(count, total)}")
            yield el("rect", words, class_=f"bar {series(place)}", y=top + 4.0, height=ROW - 8.0, **size)


def _loss(record: SftRecord) -> Element | None:
    losses = [value for value in record.steps.get("loss", ()) if value is not None]
    if not losses:
        return None
    mean = record.training.get("loss")
    aside = "first and last step" + ("" if mean is None else f"; mean of all {mean:.3f}")
    return _cell("loss, nats a token", f"{losses[0]:.3f} → {losses[-1]:.3f}", aside)


def _cell(name: str, words: str, aside: str) -> Element:
    return el("div", el("dt", name), el("dd", words), el("dd", el("small", aside)))


def _steps(record: SftRecord) -> int:
    return int(record.training.get("steps", 0)) or max((len(each) for each in record.steps.values()), default=0)


def _of(count: int, total: int) -> str:
    """
    >>> _of(1, 4), _of(0, 0)
    ('1 (25.0%)', '0')
    """
    return f"{count:,} ({count / total:.1%})" if total else f"{count:,}"


def _share(count: int, total: int) -> str:
    """
    >>> _share(1, 4)
    '1 (25.0% [4.6%, 69.9%])'
    """
    if not total:
        return f"{count:,}"
    low, high = wilson(count, total)
    return f"{count:,} ({count / total:.1%} [{low:.1%}, {high:.1%}])"


def _of_what(reason: str) -> str:
    return "of its own answers" if reason in CUT else "of the seeds that it was asked"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
