"""Keeps what each answer of the small tables is worth, seed by seed, and compares the systems over all seeds that are kept.

    python -m tests.benchmarks.small_tables keep STORE --commit COMMIT [--first-seed 0]
    python -m tests.benchmarks.small_tables show

STORE is what `flame-ray reproduce directions --scale cpu --seeds 1` left; of another seed, what the same command left with
`--set run.seed=8`, 9, ... (`--first-seed 1`, 2, ...). small_tables.jsonl has a line for each seed, system and measure. Seeds
take an hour each here, so they need not be made in one go.
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
from flame_ray.reproduction.tables import TABLES, Measure
from flame_ray.types import Interval

TABLE = TABLES["directions"]
KEPT = Path(__file__).with_suffix(".jsonl")
Line = dict


@dataclass(frozen=True)
class Values:
    """What was kept: for each system and measure, the values by prompt of each seed."""

    lines: tuple[Line, ...]

    def of(self, system: str, measure: str) -> dict[int, ByPrompt]:
        return {line["seed"]: line["values"] for line in self.lines if (line["system"], line["measure"]) == (system, measure)}


def kept_lines(store: Store, first_seed: int, commit: str) -> Iterator[Line]:
    """A line for each measure of each system that the store has; a step's seed is 7 + `seed`."""
    settings = (f"run.seed={7 + first_seed}",) if first_seed else ()
    request = ReproduceRequest((TABLE.name,), "cpu", 1, Path("jobs"), Path(), Path(), settings=settings)
    for cell in Plan(SCALES["cpu"], 1, request.load).add(TABLE).cells:
        values = store.values(cell.keys[0], cell.measure.figure) if cell.keys else None
        if values:
            rounded = {prompt: round(value, 4) for prompt, value in sorted(values.items())}
            about = {"seed": first_seed, "commit": commit, "system": cell.system, "measure": cell.measure.name}
            yield about | {"values": rounded}


def rows(values: Values) -> Iterator[str]:
    """The mean of each measure over seeds and prompts, then the paired differences beside the paper's direction."""
    measures = TABLE.measures
    head = f"| | {' | '.join(measure.name for measure in measures)} |\n|---{'|---' * len(measures)}|"
    yield head
    for system in TABLE.rows:
        yield f"| {system.name} | {' | '.join(_mean(values.of(system.name, each.name), each) for each in measures)} |"
    yield f"\n{head}"
    for first, second in TABLE.contrasts:
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
    return f"{mean:.{measure.digits}f} [{low:.{measure.digits}f}, {high:.{measure.digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    keep = commands.add_parser("keep")
    keep.add_argument("store", type=Path)
    keep.add_argument("--commit", required=True)
    keep.add_argument("--first-seed", type=int, default=0)
    commands.add_parser("show")
    words = parser.parse_args()
    before = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    if words.command == "keep":
        others = [line for line in before if line["seed"] != words.first_seed]
        lines = [*others, *kept_lines(Store(words.store), words.first_seed, words.commit)]
        KEPT.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        print(f"seeds: {sorted({line['seed'] for line in before})}\n")
        print("\n".join(rows(Values(tuple(before)))))


if __name__ == "__main__":
    main()
