"""The sections of the page that need no script: what ran, the figures as charts and as tables, and the audit."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from xml.etree.ElementTree import Element

from flame_ray.report.audit import COLUMNS, ROWS, finding_text
from flame_ray.report.page import fine_tuning
from flame_ray.report.page.curves import metric_charts, training_charts
from flame_ray.report.page.gantt import timeline
from flame_ray.report.page.markup import el, folded, table
from flame_ray.report.page.pair_yield import yields
from flame_ray.report.page.paths import path_figure
from flame_ray.report.page.plots import interval_words, letter, series
from flame_ray.report.page.records import RoundRecord, RunRecord, SftRecord
from flame_ray.report.page.step_curves import Placed, step_charts
from flame_ray.report.summary import EVALUATION_METRICS, interval_text, number

Shown = TypeVar("Shown", bound=RunRecord | SftRecord)
STATUS = {
    "complete": "complete",
    "running": "not finished: it runs, or its process was killed",
    "interrupted": "interrupted, to be resumed",
    "failed": "failed",
}
NOTE = (
    "Means over held-out prompts of greedy answers, with 95 % bootstrap intervals over prompts. Precision is the share of "
    "facts that the run's own checker finds supported; an audit says how far to believe it."
)


def sections(runs: Sequence[RunRecord], tuned: Sequence[SftRecord] = ()) -> list[Element]:
    """Those that these runs and fine-tunings have, in the order of the page. The fine-tunings stand behind the runs."""
    return [*_sections(runs, tuned)]


def _sections(runs: Sequence[RunRecord], tuned: Sequence[SftRecord]) -> Iterator[Element]:
    shown: list[RunRecord | SftRecord] = [*runs, *tuned]
    placed = list(enumerate(tuned, start=len(runs)))
    yield _section("runs", "Runs", *(_card(place, each, len(shown)) for place, each in enumerate(shown)))
    each_of = partial(_each, several=len(shown) > 1)
    if runs:
        yield _section("figure", "Helpfulness against factuality", *_figures(runs))
        yield _section("curves", "Round by round", *_curves(runs))
        yield _section("pairs", "Pairs", *each_of(runs, yields))
    if charts := list(fine_tuning.curves(placed)):
        yield _section("training", "Fine-tuning, step by step", _legend(placed), *charts)
    if mixed := [each for each in tuned if each.sources]:
        yield _section("mixture", "What was learned", *each_of(mixed, fine_tuning.mixture))
    if lacking := [each for each in tuned if fine_tuning.has_left_out(each)]:
        yield _section("left-out", "What was left out", *each_of(lacking, fine_tuning.left_out))
    yield _section("timeline", "Timeline", *each_of(shown, timeline))
    if runs:
        yield _section("tables", "Tables", *each_of(runs, _tables))
        yield _section("audit", "Audit by people", *each_of(runs, _audit))


def _section(id: str, title: str, *children: Element | None) -> Element:
    return el("section", el("h2", title, id=f"{id}-title"), *children, id=id, aria_labelledby=f"{id}-title")


def _each(runs: Sequence[Shown], show: Callable[[Shown], Element], several: bool) -> Iterator[Element]:
    for run in runs:
        if several:
            yield el("h3", run.id)
        yield show(run)


def _card(place: int, run: RunRecord | SftRecord, of: int) -> Element:
    """What a run or a fine-tuning is, where it stands, and what it reached."""
    name = f"{letter(place)}: {run.id}" if of > 1 else run.id
    if isinstance(run, RunRecord):
        reached, headline = _reached(run), _headline(run)
    else:
        reached, headline = fine_tuning.reached(run), fine_tuning.headline(run)
    seconds = "" if run.seconds is None else f"; {_duration(run.seconds)} of run time"
    head = el("h3", el("span", class_=f"swatch {series(place)}"), name)
    state = el("p", el("strong", STATUS.get(run.status, run.status)), f"; {reached}{seconds}", class_=f"state {run.status}")
    error = el("pre", run.error, class_="fault") if run.error else None
    about = el("dl", (each for key, value in run.about.items() for each in (el("dt", key), el("dd", value))), class_="about")
    return el(
        "article",
        head,
        state,
        error,
        headline,
        folded("What it was made with", about),
        class_="card",
    )


def _reached(run: RunRecord) -> str:
    done = max((each.round for each in run.rounds), default=None)
    return "before its first evaluation" if done is None else f"round {done} of {run.planned}"


def _headline(run: RunRecord) -> Element | None:
    """What became of the answers, from round 0 to the round that the run delivers: the best, or else the last."""
    if not run.trained:
        return None
    first = run.trained[0]
    last = next((each for each in run.trained if each.round == run.best), run.trained[-1])
    cells = [
        _figure(name, first, last) for name in ("factual_precision", "relevant_facts", "erroneous_facts", "instruction_score")
    ]
    best = f"The best round, by development prompts, is round {run.best}." if run.best is not None else None
    return el("div", el("dl", cells, class_="headline"), el("p", best) if best else None)


def _figure(name: str, first: RoundRecord, last: RoundRecord) -> Element | None:
    before, after, change = first.heldout.get(name), last.heldout.get(name), last.change.get(name)
    if before is None or before.mean is None:
        return None
    if first is last or after is None or after.mean is None:
        words, aside = number(before.mean), f"round {first.round}: {interval_words(before)}"
    else:
        words = f"{number(before.mean)} → {number(after.mean)}"
        aside = f"round {first.round} to {last.round}" + (
            f"; change {interval_text(change, '+')}, n {change.n}" if change else ""
        )
    return el("div", el("dt", EVALUATION_METRICS[name]), el("dd", words), el("dd", el("small", aside)))


def _duration(seconds: float) -> str:
    """
    >>> _duration(42.4), _duration(579.0), _duration(7384.0)
    ('42 s', '9 min 39 s', '2 h 3 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _legend(runs: Sequence[Placed]) -> Element | None:
    if len(runs) < 2:
        return None
    items = (el("li", el("span", class_=f"swatch {series(place)}"), f"{letter(place)}: {run.id}") for place, run in runs)
    return el("ul", *items, class_="legend")


def _figures(runs: Sequence[RunRecord]) -> Iterator[Element]:
    """A figure for all runs that can be compared. Others have one of their own."""
    groups: dict[str, list[tuple[int, RunRecord]]] = defaultdict(list)
    for place, run in enumerate(runs):
        groups[run.measure].append((place, run))
    yield el(
        "p",
        f"{NOTE} A larger dot has longer answers, by its area. Crosses are intervals. Numbers are rounds; a ring marks the "
        "best round; a line comes from the round whose weights a round started from.",
        class_="note",
    )
    if len(groups) > 1:
        yield el(
            "p",
            "Runs share a figure only where one judge, one checker and the same held-out prompts measured them: other "
            "scores cannot be compared.",
            class_="note",
        )
    for group in groups.values():
        legend = _legend(group)
        yield el("figure", legend, path_figure(group), class_="paths")


def _curves(runs: Sequence[RunRecord]) -> Iterator[Element]:
    if not any(run.rounds for run in runs):
        yield el("p", "No round was evaluated yet.")
        return
    if len({run.measure for run in runs}) > 1:
        yield el(
            "p",
            "Not all of these runs were measured by one judge, one checker and the same held-out prompts: compare a run "
            "with itself, not with the others.",
            class_="note",
        )
    if legend := _legend(list(enumerate(runs))):
        yield legend
    yield el("h3", "Held-out prompts; bars are 95 % bootstrap intervals over prompts")
    yield el("div", *metric_charts(runs), class_="charts")
    if development := list(metric_charts(runs, development=True)):
        title = "Development prompts, which choose the best round; with the same intervals"
        yield folded(title, el("div", *development, class_="charts"))
    if training := list(training_charts(runs)):
        yield el("h3", "Training; means over a round's pairs, of which a run keeps no interval")
        yield el("div", *training, class_="charts")
    if steps := list(step_charts(list(enumerate(runs)))):
        yield folded("Training, step by step, each before its update", el("div", *steps, class_="charts"))


def _tables(run: RunRecord) -> Element:
    """All metrics of a run, and how many values each has."""
    if not run.rounds:
        return el("p", "No round was evaluated yet.")
    rows: list[list[Element | str]] = []
    rounds = run.rounds[::-1]
    for name, heading in EVALUATION_METRICS.items():
        rows.append([heading, *(interval_words(each.heldout.get(name)) for each in rounds)])
        if any(each.change for each in rounds):
            rows.append([_changed(heading, "change from round 0"), *(_change(each.change, name) for each in rounds)])
    caption = (
        f"{run.id}: held-out prompts; mean [95 % bootstrap interval over prompts] (n values). Changes are paired by prompt. "
        "The newest round stands first"
    )
    return el("div", table(caption, _heading(rounds), rows), _others(run))


def _changed(what: str, words: str) -> Element:
    """The name of a row below that of what changes, which a screen reader says again."""
    return el("span", el("span", f"{what}: ", class_="unseen"), words, class_="change")


def _others(run: RunRecord) -> Iterator[Element]:
    """The tables of the development prompts and of the trainings, if there are any."""
    rounds = run.rounds[::-1]
    if any(each.development for each in rounds):
        metrics = EVALUATION_METRICS.items()
        found = ([words, *(interval_words(each.development.get(name)) for each in rounds)] for name, words in metrics)
        caption = f"{run.id}: development prompts; mean [95 % bootstrap interval over prompts] (n values)"
        yield folded("Development prompts", table(caption, _heading(rounds), found))
    if names := list(dict.fromkeys(name for each in run.trained for name in each.training)):
        trained = [each for each in run.trained[::-1] if each.training]
        figures = (
            [name, *(f"{each.training[name]:.4g}" if name in each.training else "-" for each in trained)] for name in names
        )
        yield folded("Training", table(f"{run.id}: means over a round's pairs", _heading(trained), figures))


def _heading(rounds: Sequence[RoundRecord]) -> list[str]:
    return ["", *(f"round {each.round}{', skipped' if each.is_skipped else ''}" for each in rounds)]


def _change(change: Mapping[str, Any], name: str) -> str:
    value = change.get(name)
    return "" if value is None or value.mean is None else f"{interval_text(value, '+')} (n {value.n})"


def _audit(run: RunRecord) -> Element:
    """What people found in the run, if they have read some of it."""
    if not (audit := run.audit) and run.status != "complete":
        return el("p", "People can audit a run once it is complete.")
    if not audit:
        command = el("code", f"flame-ray audit {run.id}")
        more = " draws some for people to label, and shows what the precision above is worth."
        return el("p", "Nobody has read facts of this run yet. ", command, more)
    readers = ", ".join(f"{each['name']} ({each['labels']} labels)" for each in audit["readers"])
    rounds = audit["rounds"][::-1]
    rows: list[list[Element | str]] = [
        ["facts read (of prompts)", *(f"{each['facts']} ({each['prompts']})" for each in rounds)]
    ]
    rows += [
        [_name(name), *(finding_text(each.get(name), name) for each in rounds)]
        for name in ROWS
        if any(each.get(name) and each[name]["value"] is not None for each in rounds)
    ]
    caption = f"{run.id}: held-out facts, read by {readers}; [95 % bootstrap interval over prompts]"
    found = table(caption, ("", *(f"round {each['round']}" for each in rounds)), rows)
    notes = el("ul", (el("li", note) for note in audit["notes"])) if audit["notes"] else None
    return el("div", found, _agreement(audit["agreement"]), notes)


def _name(finding: str) -> Element | str:
    """Of a row; a change is named with what changes."""
    if not finding.endswith("change"):
        return ROWS[finding]
    return _changed(ROWS[finding.removesuffix("change").rstrip("_") or "precision"], ROWS[finding].strip())


def _agreement(agreement: Sequence[Mapping[str, Any]]) -> Element | None:
    if not agreement:
        return None
    rows = [
        [
            " and ".join(each["readers"]),
            COLUMNS[each["column"]],
            str(each["n"]),
            *("-" if each[name] is None else number(each[name]) for name in ("share", "kappa")),
        ]
        for each in agreement
    ]
    caption = "Agreement between readers, on the facts that both labelled"
    return table(caption, ("readers", "column", "facts", "same", "Cohen's kappa"), rows)
