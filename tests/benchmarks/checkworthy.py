"""Measures whether decomposers find the sentences with nothing to verify that people find.

    python tests/benchmarks/checkworthy.py [folder of data]

The data (Factcheck-GPT, in ../shared/data): sentences of ChatGPT's answers that people marked as worth checking (`yes`) or
not: `opinion`, `not_a_claim` or `other` (common knowledge, remarks about the model itself, vague praise). Each sentence is
decomposed as a response of its own, so its pronouns are not resolved. A decomposer's `not verifiable` is compared with every
mark but `yes`, and once more without the rows marked `other`. Balanced accuracy is the mean of the shares of both kinds that
are right. Intervals are 95 % bootstrap over sentences, redrawn within each kind. The rules were developed on half of the
sentences (those with an even hash), so each half has a row of its own; the marks of both halves were read once. An interval of
precision without errors has no width, however few sentences it rests on: look at the number in `ours`.
Skips with exit status 0 if the data is absent.
"""

# ruff: noqa: T201
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from convert import DATA, Line, rows

from flame_ray.rewards.factuality.decompose import Decomposer, RuleDecomposer
from flame_ray.types import Response, ResponseId

FILE = Path("factcheck_gpt", "subtask1_sentence_checkworthiness.jsonl")
REDRAWN = 2000
HALVES = ("even half", "odd half")


def main(data: Path) -> None:
    if not (data / FILE).is_file():
        print(f"skipped: no labelled sentences at {data / FILE}")
        return
    lines = list(rows(data / FILE))
    print("| decomposer | sentences | n, nothing to verify: people / ours | balanced accuracy, % | precision, % | recall, % |")
    print("|---|---|---|---|---|---|")
    for name, decomposer in decomposers():
        empty = nothing_to_verify(decomposer, [line["sentence"] for line in lines])
        for part, kept in parts(lines):
            theirs = np.array([line["checkworthy"] != "yes" for line in lines])
            print(row(f"| {name} | {part} |", theirs[kept], empty[kept]))


def decomposers() -> Iterator[tuple[str, Decomposer]]:
    """The decomposers that need no language model."""
    yield "rule", RuleDecomposer("rule")
    yield "sentence", RuleDecomposer("sentence")


def nothing_to_verify(decomposer: Decomposer, sentences: Sequence[str]) -> np.ndarray:
    """[N]; a text that the decomposer splits into several sentences has something to verify if one of them has."""
    responses = [Response(ResponseId(0, str(at), 0), text, (), (), "stop", 0) for at, text in enumerate(sentences)]
    found = decomposer.decompose([""] * len(responses), responses)
    return np.array([not any(sentence.verifiable for sentence in each.sentences_S) for each in found])


def parts(lines: Sequence[Line]) -> Iterator[tuple[str, np.ndarray]]:
    half = np.array([half_of(line) for line in lines])
    yield "all", np.full(len(lines), True)
    for which, name in enumerate(HALVES):
        yield name, half == which
    yield "without `other`", np.array([line["checkworthy"] != "other" for line in lines])


def half_of(line: Line) -> int:
    return hashlib.sha256(line["sentence"].encode()).digest()[0] % 2


def row(begin: str, theirs: np.ndarray, ours: np.ndarray) -> str:
    """`theirs` and `ours` [N]: whether people and the decomposer find nothing to verify."""
    draw = np.random.default_rng(0)
    kinds = [np.flatnonzero(theirs == kind) for kind in (True, False)]
    redrawn = [np.concatenate([draw.choice(kind, len(kind)) for kind in kinds]) for _ in range(REDRAWN)]
    found = np.array([measures(theirs[chosen], ours[chosen]) for chosen in redrawn])
    low, high = np.nanpercentile(found, [2.5, 97.5], axis=0)
    cells = [f"{v:.1f} [{lo:.1f}, {hi:.1f}]" for v, lo, hi in zip(measures(theirs, ours), low, high, strict=True)]
    return f"{begin} {len(theirs)}, {theirs.sum()} / {ours.sum()} | {' | '.join(cells)} |"


def measures(theirs: np.ndarray, ours: np.ndarray) -> tuple[float, float, float]:
    """Balanced accuracy, precision and recall in %; precision is NaN if the decomposer finds a claim in every sentence."""
    both = (theirs & ours).sum()
    recall, kept = both / theirs.sum(), (~theirs & ~ours).sum() / (~theirs).sum()
    precision = both / ours.sum() if ours.any() else np.nan
    return 50 * (recall + kept), 100 * precision, 100 * recall


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
