"""Compare two runs: their pairs, training reports and evaluations. A refactoring must leave all of them as they were.

    python tests/benchmarks/compare_runs.py runs/before runs/after

Prints what differs and exits with 1, or prints what was compared and exits with 0.
"""

# ruff: noqa: T201

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

TABLES = ("prompts", "pairs", "responses", "facts", "heldout_responses", "heldout_facts")
TIMINGS = {"timings"}


def differences(before: Path, after: Path) -> Iterator[str]:
    """One line for each table or figure that is not the same in both run folders."""
    for table in tables(before) | tables(after):
        yield from _table_differences(before / table, after / table)
    yield from _tree_differences("summary.json rounds", _rounds(before), _rounds(after))


def tables(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.glob("rounds/*/*.parquet") if path.stem in TABLES}


def _table_differences(before: Path, after: Path) -> Iterator[str]:
    name = "/".join(after.parts[-2:])
    if not (before.is_file() and after.is_file()):
        yield f"{name}: only in {before.parents[2] if before.is_file() else after.parents[2]}"
        return
    old, new = pq.read_table(before).to_pylist(), pq.read_table(after).to_pylist()
    if len(old) != len(new):
        yield f"{name}: {len(old)} rows before and {len(new)} after"
    changed = [(one, other) for one, other in zip(old, new, strict=False) if one != other]
    for column in sorted(
        {key for one, other in changed for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    ):
        values = [(one.get(column), other.get(column)) for one, other in changed if one.get(column) != other.get(column)]
        yield f"{name}: {column} differs in {len(values)} of {len(old)} rows{_by_how_much(values)}"


def _by_how_much(values: list[tuple[Any, Any]]) -> str:
    """The largest difference, if the values are numbers."""
    if all(isinstance(value, float) for both in values for value in both):
        return f", by {max(abs(one - other) for one, other in values):.2g} at most"
    return ""


def _rounds(run: Path) -> Any:
    return json.loads((run / "summary.json").read_text(encoding="utf-8"))["rounds"]


def _tree_differences(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted((old.keys() | new.keys()) - TIMINGS):
            yield from _tree_differences(f"{path}.{key}", old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _tree_differences(f"{path}[{index}]", *pair)
    elif old != new:
        yield f"{path}: {old} -> {new}"


def main() -> int:
    before, after = map(Path, sys.argv[1:])
    found = list(differences(before, after))
    print("\n".join(found) or f"the same: {len(tables(before))} tables and {len(_rounds(before))} rounds")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
