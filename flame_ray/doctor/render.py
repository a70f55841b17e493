"""Prints the doctor's report: the memory of each actor, the checks, and the verdict."""

from collections.abc import Sequence
from dataclasses import astuple, fields

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flame_ray.doctor.checks import GIB, Check, Level, Site, counted
from flame_ray.doctor.estimate import Memory, Plan
from flame_ray.shown import shown

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def render(console: Console, checks: Sequence[Check], plan: Plan | None, site: Site) -> bool:
    if plan:
        console.print(_memory_table(plan), "")
    console.print(_check_table(checks))
    problems, warnings = (sum(each.level is level for each in checks) for level in (Level.PROBLEM, Level.WARNING))
    verdict = f"{'not ready' if problems else 'ready'} on {site.name}"
    console.print(f"{verdict}: {counted(problems, 'problem')}, {counted(warnings, 'warning')}", highlight=False)
    return not problems


def _memory_table(plan: Plan) -> Table:
    """The memory of one actor in GiB, by role, on its GPU and on the machine."""
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
    """The advice is printed below what was found, so that the table fits a narrow screen."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "what", "expected", "found"):
        table.add_column(name, overflow="fold")
    for each in checks:
        todo = "" if each.level is Level.OK or not each.fix else f"\n-> {shown(each.fix)}"
        found = Text.assemble(shown(each.found), (todo, "bold"))
        table.add_row(Text(each.level, STYLES[each.level]), Text(shown(each.name)), Text(shown(each.expected)), found)
    return table
