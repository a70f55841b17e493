"""How well the lexical checker tells supported claims from others: balanced accuracy on public development sets.

    python tests/benchmarks/lexical_checker.py [folder of data]

The sets are WiCE, FoolMeTwice and symmetric FEVER (../shared/data), and true Factbook statements with edited false twins, which
this script makes. A hash of the claim halves each set. Thresholds are chosen on the first halves. The table shows the other
halves with 95 % bootstrap intervals, at the threshold that is best for the mean of the four sets and at each set's own best
one. The checker's coefficients were fitted on the same first halves. Without the data, the script says so and exits with 0.
"""

# ruff: noqa: T201
import hashlib
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from convert import DATA, fever, fm2, wice

from flame_ray.rewards.factuality.check import LexicalChecker
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.rewards.factuality.records import passages_of
from flame_ray.rewards.factuality.retrieve import Bm25Retriever
from flame_ray.types import Claim, Fact, Passage

FLOORS = {"WiCE": 68, "FM2": 57, "FEVER-sym": 68}


@dataclass(frozen=True)
class BenchmarkClaim:
    claim: str
    evidence: tuple[Passage, ...]
    supported: bool

    @property
    def for_choosing(self) -> bool:
        return hashlib.sha256(self.claim.encode()).digest()[0] % 2 == 0


def main(data: Path) -> None:
    if not data.is_dir():
        print(f"skipped: no development sets at {data}")
        return
    sets = {
        "WiCE": converted(wice(data)),
        "FM2": converted(fm2(data)),
        "FEVER-sym": converted(fever(data)),
        "Factbook twins": factbook_twins(),
    }
    scored = {name: score(list(examples)) for name, examples in sets.items()}
    threshold = choose(list(scored.values()))
    print(f"threshold {threshold:.2f}, chosen on the first halves (the checker's default is {LexicalChecker().threshold})\n")
    print("| set | n | supported | one threshold (95 %) | own threshold (95 %) | floor | ms a claim |")
    print("|---|---|---|---|---|---|---|")
    for name, one in scored.items():
        print(row(name, one, threshold))


Scored = tuple[list[BenchmarkClaim], np.ndarray, float]  # the examples, their scores, milliseconds a claim


def score(examples: list[BenchmarkClaim]) -> Scored:
    checker = LexicalChecker()
    start = time.perf_counter()
    scores = [checker.check([Claim(Fact(example.claim, 0), example.evidence)])[0].score for example in examples]
    return examples, np.array(scores), 1000 * (time.perf_counter() - start) / len(examples)


def choose(scored: list[Scored]) -> float:
    """The threshold with the best mean over the sets' first halves; the middle one of equals."""
    grid = np.round(np.arange(0.05, 0.96, 0.01), 2)
    means = np.array([np.mean([balanced(*half(*one[:2], choosing=True), t) for one in scored]) for t in grid])
    best = np.flatnonzero(means >= means.max() - 1e-9)
    return float(grid[best[len(best) // 2]])


def half(examples: list[BenchmarkClaim], scores: np.ndarray, choosing: bool) -> tuple[np.ndarray, np.ndarray]:
    keep = np.array([example.for_choosing == choosing for example in examples])
    return np.array([example.supported for example in examples])[keep], scores[keep]


def balanced(labels: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    said = scores >= threshold
    return 50 * (said[labels].mean() + (~said[~labels]).mean())


def row(name: str, one: Scored, threshold: float) -> str:
    labels, scores = half(*one[:2], choosing=False)
    cells = []
    for t in (threshold, choose([one])):
        low, high = interval(labels, scores, t)
        cells.append(f"{balanced(labels, scores, t):.1f} ({low:.1f}-{high:.1f})")
    return (
        f"| {name} | {len(labels)} | {labels.mean():.0%} | {cells[0]} | {cells[1]} | {FLOORS.get(name, '-')} | {one[2]:.2f} |"
    )


def interval(labels: np.ndarray, scores: np.ndarray, threshold: float, resamples: int = 1000) -> tuple[float, float]:
    draw = np.random.default_rng(0)
    right, wrong = np.flatnonzero(labels), np.flatnonzero(~labels)
    values = []
    for _ in range(resamples):
        index = np.concatenate([draw.choice(right, len(right)), draw.choice(wrong, len(wrong))])
        values.append(balanced(labels[index], scores[index], threshold))
    return float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))


# --- the sets -------------------------------------------------------------------------------------------------------


def converted(lines: Iterator[dict]) -> Iterator[BenchmarkClaim]:
    for line in lines:
        yield BenchmarkClaim(line["claim"], passages_of(line["evidence"]), line["label"] == "supported")


# A statement, the Factbook field that it comes from, and the prompt whose evidence it is checked on.
STATEMENTS = (
    ("The capital of {} is {}", r"^Capital, name: (\w+)$", "Describe the government of {}."),
    ("{} is the capital of {}", r"^Capital, name: (\w+)$", "Describe the government of {}."),
    ("{} is bordered by {}", r"^Land boundaries, border countries: ([A-Z][a-z]+) \d", "Which countries border {}?"),
    ("{} has an area of {} square kilometers", r"^Area, total: ([\d,]+) sq km", "How large is {}, and what is its geography?"),
    ("{} has a population of {}", r"^Population, total: ([\d,]+) ", "Describe the people of {}."),
    ("The currency of {} is the {}", r"^Exchange rates, Currency: ([a-zA-Z]+ ?[a-z]*) \(", "Describe the economy of {}."),
    ("The highest point in {} is {}", r"^Elevation, highest point: ([A-Z][\w ]+?) [\d,]+ m", "Describe the geography of {}."),
    ("The government of {} is a {}", r"^Government type: ([a-z ]+)$", "Describe the government of {}."),
    ("The main religion in {} is {}", r"^Religions: ([A-Z]\w+)", "What religions do people in {} follow?"),
    ("{} has a climate that is {}", r"^Climate: ([a-z][^;]+)", "Describe the climate of {}."),
    ("The terrain of {} is {}", r"^Terrain: ([a-z][^;]+)", "Describe the geography of {}."),
    ("Natural hazards in {} are {}", r"^Natural hazards: ([a-z][^;]+)", "What natural hazards are there in {}?"),
    ("{} exports {}", r"^Exports - commodities: ([a-z ]+),", "Describe the economy of {}."),
)


def factbook_twins() -> Iterator[BenchmarkClaim]:
    """A field's value as a statement, and the same statement with another country's value in its place."""
    corpus = load_corpus("factbook")
    retriever = Bm25Retriever(corpus)
    draw = random.Random(0)
    for template, pattern, prompt in STATEMENTS:
        found = {p.title: m[1] for p in corpus for line in p.text.split("\n") if (m := re.match(pattern, line))}
        for country in draw.sample(sorted(found), min(60, len(found))):
            field = next(line for p in corpus if p.title == country for line in p.text.split("\n") if re.match(pattern, line))
            others = sorted({value for value in found.values() if value.lower() not in field.lower()})
            evidence = retriever.retrieve([prompt.format(country)], 20)[0]
            for value, supported in ((found[country], True), (draw.choice(others), False)):
                words = (value, country) if template.startswith("{} is the capital") else (country, value)
                yield BenchmarkClaim(template.format(*words), evidence, supported)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
