"""Says which of two models' answers readers prefer, over prompts and seeds.

    python -m tests.benchmarks.compared_answers

compared_answers.jsonl has a pair of answers a line. Two readers, blind to the models, chose `a`, `b` or `tie` by a written
guide that puts truth first; one saw `a` first, the other `b`. Equal answers were not shown, and count as ties.
"""

# ruff: noqa: T201
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flame_ray.reproduction.paired import mean_over_both
from flame_ray.types import Interval

KEPT = Path(__file__).with_suffix(".jsonl")
WORTH = {"a": 0.0, "tie": 0.5, "b": 1.0}
Line = dict


def rows(lines: list[Line]) -> Iterator[str]:
    """A table in Markdown: how often the answer of model `b` wins over that of `a`, a tie counting half."""
    yield "| prompts | readers 1 and 2, wins, losses and ties | wins of all seeds, % | by seed, % |\n|---|---|---|---|"
    for suite in sorted({line["suite"] for line in lines}, reverse=True):
        asked = [line for line in lines if line["suite"] == suite]
        counts = [Counter(line["better"][reader] for line in asked) for reader in (0, 1)]
        told = ", ".join(f"{each['b']} : {each['a']} : {each['tie']}" for each in counts)
        seeds = sorted({line["seed"] for line in asked})
        by_seed = ", ".join(_told(_wins([line for line in asked if line["seed"] == seed])) for seed in seeds)
        yield f"| {suite}, n {len(asked)} | {told} | {_told(_wins(asked))} | {by_seed} |"


def agreement(lines: list[Line]) -> tuple[int, int]:
    """Of the pairs that readers saw, how many both judged alike, and how many there are."""
    seen = [line["better"] for line in lines if line["a"].strip() != line["b"].strip()]
    return sum(first == second for first, second in seen), len(seen)


def _wins(lines: list[Line]) -> Interval:
    values: dict[int, dict[str, float]] = defaultdict(dict)
    for line in lines:
        values[line["seed"]][line["id"]] = sum(WORTH[each] for each in line["better"]) / len(line["better"])
    prompts = sorted({prompt for each in values.values() for prompt in each})
    return mean_over_both(np.array([[each.get(prompt, np.nan) for prompt in prompts] for each in values.values()]))


def _told(share: Interval) -> str:
    assert share.mean is not None and share.low is not None and share.high is not None
    return f"{100 * share.mean:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def main() -> None:
    lines = [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()]
    for models in sorted({tuple(line["models"]) for line in lines}):
        asked = [line for line in lines if tuple(line["models"]) == models]
        same, seen = agreement(asked)
        print(f"{models[1]} over {models[0]}; readers agree on {same} of {seen}\n", *rows(asked), sep="\n")


if __name__ == "__main__":
    main()
