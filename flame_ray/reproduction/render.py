"""Shows a table as Markdown, for people, and as CSV, a line a figure."""

import csv
import io
from collections.abc import Iterator, Sequence

from flame_ray.report.suites import counted_note
from flame_ray.reproduction.results import Cell, Difference, FilledTable, Pooled
from flame_ray.reproduction.tables import Measure
from flame_ray.shown import printable

COLUMNS = ("table", "system", "measure", "paper", "ours", "low", "high", "n", "seeds", "least", "most", "missing")
MOST_COLUMNS = 7
EXPLAINED = (
    "A cell is ours with its 95 % bootstrap interval over prompts and its n (prompts, unless the table says otherwise), then "
    "the paper's. Over several seeds, ours is their mean, the interval is the mean of theirs, and `seeds` says from where to "
    "where they reach."
)


DIFFERENCES_EXPLAINED = (
    "Each is of answers to the same prompts, by models of the same seed. Its 95 % bootstrap interval is over prompts and "
    "seeds. Beside the paper's difference stands whether ours has its direction: not decided if our interval holds 0."
)


def markdown(filled: FilledTable, stand_ins: Sequence[str] = ()) -> str:
    """The table, its notes, and why what is missing is missing. `stand_ins`: what a scale asks in place of the paper's."""
    table = filled.table
    lines = [f"## Table {table.name}: {table.title}" if table.name[0].isdigit() else f"## {table.name}: {table.title}", ""]
    for measures in _blocks(table.measures):
        lines += [*_line(["system", *measures]), *_line(["---"] * (len(measures) + 1))]
        for system in table.rows:
            lines += _line([system.name, *(cell_text(filled.cell(system.name, name)) for name in measures)])
        lines.append("")
    lines += [EXPLAINED, *(f"\n{note}" for note in (*table.notes, *stand_ins))]
    if filled.remarks:
        lines += ["", "Noted, over all seeds:", "", *(f"- {remark}" for remark in _remarks(filled))]
    if filled.differences:
        lines += ["", "### Differences", "", *_differences(filled), DIFFERENCES_EXPLAINED]
    if reasons := list(_reasons(filled)):
        lines += ["", "Missing:", "", *(f"- {reason}" for reason in reasons)]
    return "\n".join(lines) + "\n"


def _blocks(measures: Sequence[Measure]) -> list[list[str]]:
    """The names of the columns that stand side by side: all, or those of one suite where all are too many to read."""
    sources = dict.fromkeys(each.source for each in measures)
    if len(measures) <= MOST_COLUMNS:
        return [[each.name for each in measures]]
    return [[each.name for each in measures if each.source == source] for source in sources]


def cell_text(cell: Cell) -> str:
    """Ours and the paper's, as a cell of the table."""
    paper = "" if cell.paper is None else f"paper {_number(cell.paper, cell.measure)}"
    if cell.is_baseline:
        ours = "baseline"
    elif cell.ours:
        ours = _ours(cell.ours, cell.measure)
    else:
        ours = "missing" if cell.missing else "-"
    return f"{ours}; {paper}" if paper else ours


def _differences(filled: FilledTable) -> Iterator[str]:
    """A row for each two systems, and a column for each measure that some have; a blank line after each block."""
    by_pair: dict[tuple[str, str], dict[str, Difference]] = {}
    for each in filled.differences:
        by_pair.setdefault((each.first, each.second), {})[each.measure.name] = each
    known = [each for each in filled.table.measures if any(each.name in row for row in by_pair.values())]
    for measures in _blocks(known):
        yield from _line(["difference", *measures])
        yield from _line(["---"] * (len(measures) + 1))
        for (first, second), row in by_pair.items():
            cells = (difference_text(row[name]) if name in row else "" for name in measures)
            yield from _line([f"({first}) - ({second})", *cells])
        yield ""


def difference_text(difference: Difference) -> str:
    """Ours, and whether it has the direction of the paper's."""
    ours, measure = difference.ours, difference.measure
    text = _number(ours.mean, measure, signed=True)
    if ours.low is not None:
        text += f" [{_number(ours.low, measure, signed=True)}, {_number(ours.high, measure, signed=True)}]"
    text += f" n {ours.n}" + (f", {difference.seeds} seeds" if difference.seeds > 1 else "")
    if difference.paper is None:
        return text
    is_so = {True: "holds", False: "does not hold", None: "not decided"}[difference.is_as_in_the_paper]
    return f"{text}; paper {_number(difference.paper, measure, signed=True)}: {is_so}"


def csv_text(tables: Sequence[FilledTable]) -> str:
    """All figures of all tables. Where one is missing, `missing` says why, and `ours` is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for filled in tables:
        for cell in filled.cells:
            writer.writerow([filled.table.name, cell.system, cell.measure.name, cell.paper, *_values(cell.ours), cell.missing])
        for each in filled.differences:
            name, ours = f"({each.first}) - ({each.second})", each.ours
            values = [ours.mean, ours.low, ours.high, ours.n, each.seeds, None, None, None]
            writer.writerow([filled.table.name, name, each.measure.name, each.paper, *values])
    return text.getvalue()


def _values(ours: Pooled | None) -> list[float | int | None]:
    if ours is None:
        return [None] * 7
    found = ours.interval
    return [found.mean, found.low, found.high, found.n, ours.seeds, ours.least, ours.most]


def _ours(ours: Pooled, measure: Measure) -> str:
    found = ours.interval
    if found.low is None or found.high is None:
        text = _number(found.mean, measure)
    else:
        ends = f"[{_number(found.low, measure)}, {_number(found.high, measure)}]"
        text = f"{_number(found.mean, measure)} {ends} n {found.n}"
    if ours.seeds == 1:
        return text
    return f"{text}, {ours.seeds} seeds {_number(ours.least, measure)} to {_number(ours.most, measure)}"


def _number(value: float | None, measure: Measure, signed: bool = False) -> str:
    """A value below 2 of a measure with digits has one digit more: half a fact is much of one."""
    if value is None:
        return "-"
    digits = measure.digits + (measure.digits == 1 and abs(value) < 2)
    return f"{value:{'+' if signed else ''},.{digits}f}"


def _reasons(filled: FilledTable) -> Iterator[str]:
    """Each reason once, after the systems and their measures that lack a figure for it."""
    missing: dict[str, dict[str, list[str]]] = {}
    for cell in filled.cells:
        if cell.missing:
            missing.setdefault(cell.missing, {}).setdefault(cell.system, []).append(cell.measure.name)
    for reason, systems in missing.items():
        by_measures: dict[str, list[str]] = {}
        for system, measures in systems.items():
            by_measures.setdefault(", ".join(measures), []).append(system)
        where = "; ".join(f"{', '.join(each)} ({measures})" for measures, each in by_measures.items())
        yield f"{where}: {reason}"


def _remarks(filled: FilledTable) -> Iterator[str]:
    """For each suite and each thing that happened, the systems with it."""
    systems: dict[tuple[str, str], list[str]] = {}
    for each in filled.remarks:
        systems.setdefault((each.suite, counted_note(each.missing, each.noted)), []).append(each.system)
    return (f"{', '.join(names)} ({suite}): {printable(note)}" for (suite, note), names in systems.items())


def _line(cells: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"]
