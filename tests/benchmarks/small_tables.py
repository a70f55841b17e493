"""Keeps what each answer of the small tables is worth, seed by seed, and compares the systems over all seeds that are kept.

    python -m tests.benchmarks.small_tables keep STORE --commit COMMIT [--first-seed 0] [--seeds 1] [--tables methods]
    python -m tests.benchmarks.small_tables show

STORE is what `flame-ray reproduce directions methods --scale cpu --seeds N` left. small_tables.jsonl has a line for each seed,
system and measure. Seeds take half an hour to an hour each here, so they need not be made in one go: what is made with
`--set run.seed=8` is `--first-seed 1`, and so on.
"""

# ruff: noqa: T201
import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flame_ray.commands.reproduce import ReproduceRequest
from flame_ray.reproduction.paired import ByPrompt, paired
from flame_ray.reproduction.plan import Plan
from flame_ray.reproduction.store import Store
from flame_ray.reproduction.systems import SCALES
from flame_ray.reproduction.tables import TABLES, Measure, Table
from flame_ray.types import Interval

NAMES = ("directions", "methods")
KEPT = Path(__file__).with_suffix(".jsonl")
Line = dict


@dataclass(frozen=True)
class Values:
    """What was kept: for each system and measure, the values by prompt of each seed."""

    lines: tuple[Line, ...]

    def of(self, system: str, measure: str) -> dict[int, ByPrompt]:
        return {line["seed"]: line["values"] for line in self.lines if (line["system"], line["measure"]) == (system, measure)}


def kept_lines(store: Store, names: tuple[str, ...], first: int, seeds: int, commit: str) -> Iterator[Line]:
    """A line for each measure of each row and seed that the store has; the first step's seed is 7 + `first`."""
    settings = (f"run.seed={7 + first}",) if first else ()
    plan = Plan(
        SCALES["cpu"], seeds, ReproduceRequest(names, "cpu", seeds, Path("jobs"), Path(), Path(), settings=settings).load
    )
    for cell in (cell for name in names for cell in plan.add(TABLES[name]).cells):
        for seed, key in enumerate(cell.keys, start=first):
            values = store.values(key, cell.measure.figure)
            if values:
                rounded = {prompt: round(value, 4) for prompt, value in sorted(values.items())}
                about = {"seed": seed, "commit": commit, "system": cell.system, "measure": cell.measure.name}
                yield about | {"values": rounded}


def rows(table: Table, values: Values) -> Iterator[str]:
    """The mean of each measure over seeds and prompts, then the paired differences."""
    measures = [measure for measure in table.measures if measure.is_mean]
    head = f"| | {' | '.join(measure.name for measure in measures)} |\n|---{'|---' * len(measures)}|"
    yield head
    for system in table.rows:
        yield f"| {system.name} | {' | '.join(_mean(values.of(system.name, each.name), each) for each in measures)} |"
    yield f"\n{head}"
    for first, second in table.contrasts:
        found = [_difference(values.of(first.name, each.name), values.of(second.name, each.name), each) for each in measures]
        yield f"| {first.name} - {second.name} | {' | '.join(found)} |"


def _mean(by_seed: Mapping[int, ByPrompt], measure: Measure) -> str:
    return _difference(by_seed, {seed: dict.fromkeys(values, 0.0) for seed, values in by_seed.items()}, measure)


def _difference(first: Mapping[int, ByPrompt], second: Mapping[int, ByPrompt], measure: Measure) -> str:
    seeds = sorted(first.keys() & second.keys())
    return _told(paired([(first[seed], second[seed]) for seed in seeds]), measure) if seeds else ""


def _told(found: Interval, measure: Measure) -> str:
    if found.mean is None or found.low is None or found.high is None:
        return ""
    mean, low, high = (measure.factor * each for each in (found.mean, found.low, found.high))
    digits = 2 if measure.source == "biography" and measure.factor == measure.digits == 1 else measure.digits  # facts are few
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    keep = commands.add_parser("keep")
    keep.add_argument("store", type=Path)
    keep.add_argument("--commit", required=True)
    keep.add_argument("--first-seed", type=int, default=0)
    keep.add_argument("--seeds", type=int, default=1)
    keep.add_argument("--tables", nargs="+", choices=NAMES, default=NAMES)
    commands.add_parser("show")
    words = parser.parse_args()
    before = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    if words.command == "keep":
        new = list(kept_lines(Store(words.store), tuple(words.tables), words.first_seed, words.seeds, words.commit))
        replaced = {_named(line) for line in new}
        lines = sorted([*new, *(line for line in before if _named(line) not in replaced)], key=_named)
        KEPT.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        for table in (TABLES[name] for name in NAMES):
            seeds = sorted({line["seed"] for line in before if line["system"] in {system.name for system in table.rows}})
            print("\n".join((f"{table.name}, seeds {seeds}\n", *rows(table, Values(tuple(before))), "")))


def _named(line: Line) -> tuple[int, str, str]:
    return line["seed"], line["system"], line["measure"]


if __name__ == "__main__":
    main()
