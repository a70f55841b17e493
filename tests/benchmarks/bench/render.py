"""Turns measured rows into the table and into JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from tests.benchmarks.bench.machine import Machine, warning
from tests.benchmarks.bench.samples import Goal, Result, Samples

HEAD = "| row | measure | median [lowest, highest] | n | goal |\n|---|---|---|---|---|"
NOT_MEASURED = "not measured"


def markdown(result: Result) -> str:
    """The lines of one row of the table: its samples, its ratios, and why there are not more of them.

    A goal without a figure has a line too: a measure that is named wrongly would else be missed by nobody.
    """
    told = {goal.of: goal for goal in result.row.goals if goal.per is None}
    lines = [_line(each, told[each.name].judged(each.median) if each.name in told else "") for each in result.samples]
    for goal in (goal for goal in result.row.goals if goal.per is not None):
        if figure := result.figure(goal):
            lines.append(_line(figure, goal.judged(figure.median)))
    lines = lines or ["| | no samples | | | |"]
    without = (goal for goal in result.row.goals if result.figure(goal) is None)
    lines += [f"| | **{NOT_MEASURED}** | {_cell(goal.name)} | | |" for goal in without]
    lines += [f"| | **failed** | {_cell(reason)} | | |" for reason in result.failures]
    if told_busy := warning(result.busy_before, result.busy_after):
        lines.append(f"| | **doubtful** | {told_busy} | | |")
    first, *others = lines
    return "\n".join([f"| **{_cell(result.row.title)}** {first.removeprefix('| ')}", *others])


def notes(results: Iterable[Result]) -> str:
    """What each side of the rows does, below the table."""
    return "\n".join(f"- **{each.row.title}** (`{each.row.name}`, {each.took_s:.0f} s): {each.row.work}" for each in results)


def as_json(results: Sequence[Result], machine: Machine, load_after: Sequence[float], is_quick: bool) -> str:
    rows = [_row(result) for result in results]
    whole = {"machine": asdict(machine), "load_after": list(load_after), "quick": is_quick, "rows": rows}
    return json.dumps(whole, indent=1)


def _row(result: Result) -> dict:
    return {
        "name": result.row.name,
        "title": result.row.title,
        "work": result.row.work,
        "samples": [_described(each) for each in result.samples],
        "goals": [_goal(goal, result.figure(goal)) for goal in result.row.goals],
        "failures": list(result.failures),
        "busy_before": result.busy_before,
        "busy_after": result.busy_after,
        "took_s": round(result.took_s, 1),
    }


def _goal(goal: Goal, figure: Samples | None) -> dict:
    told = {"name": goal.name, "limit": goal.limit, "at_most": goal.at_most}
    return told | (_described(figure) | {"judged": goal.judged(figure.median)} if figure else {"judged": NOT_MEASURED})


def _described(samples: Samples) -> dict:
    return {**asdict(samples), "n": samples.n, "median": samples.median}


def _line(samples: Samples, judged: str) -> str:
    return f"| | {_cell(samples.name)} | {samples.shown} | {samples.n} | {judged} |"


def _cell(text: str) -> str:
    """A text that cannot end its cell."""
    return " ".join(text.replace("|", "\\|").split())
