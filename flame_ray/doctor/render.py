"""Prints what the doctor found: what the actors hold, then the checks, then the verdict.

In: checks, a plan, a site. Out: two tables and a line on the console. Knows not where they come from.
"""

from collections.abc import Sequence
from dataclasses import astuple, fields

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flame_ray.doctor.checks import GIB, Check, Level, Site, counted
from flame_ray.doctor.memory import Memory, Plan

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def show(console: Console, checks: Sequence[Check], plan: Plan | None, site: Site) -> bool:
    if plan:
        console.print(_memory_table(plan), "")
    console.print(_check_table(checks))
    problems, warnings = (sum(each.level is level for each in checks) for level in (Level.PROBLEM, Level.WARNING))
    verdict = f"{'not ready' if problems else 'ready'} on {site.name}"
    console.print(f"{verdict}: {counted(problems, 'problem')}, {counted(warnings, 'warning')}", highlight=False)
    return not problems


def _memory_table(plan: Plan) -> Table:
    """What an actor holds, GiB, by role and place."""
    names = [field.name for field in fields(Memory)]
    title = "Memory of one actor, GiB (estimates that lean high)"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("role")
    for name in ("on", *names, "total"):
        table.add_column(name.replace("_", " "), justify="left" if name == "on" else "right")
    for need in plan.needs:
        for place, memory in (("GPU" if need.split == 1 else "each GPU", need.device), ("host", need.host)):
            if memory.total:
                parts = [f"{part / GIB:.1f}" if part else "" for part in (*astuple(memory), memory.total)]
                table.add_row(f"{need.role} x{need.workers}", place, *parts)
    return table


def _check_table(checks: Sequence[Check]) -> Table:
    """What to do stands below what was found: four columns fit a narrow screen."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "what", "expected", "found"):
        table.add_column(name, overflow="fold")
    for each in checks:
        todo = "" if each.level is Level.OK or not each.fix else f"\n-> {each.fix}"
        found = Text.assemble(each.found, (todo, "bold"))
        table.add_row(Text(each.level, STYLES[each.level]), each.name, Text(each.expected), found)
    return table
