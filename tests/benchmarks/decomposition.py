"""Measures how a decomposition compares with people's: which of their atomic facts it finds, and which it adds.

    python tests/benchmarks/decomposition.py [folder of data]

The data: ChatGPT's biographies with the atomic facts that people wrote for each (FActScore, in ../shared/data). A fact is the
set of its stemmed words without function words and without the subject's name, which all facts of a biography share. Facts are
matched one to one within a response so that the sum of token F1 is largest; a pair is a match if its F1 reaches the threshold.
Covered: human facts with a match. Extra: our facts without a match. Contained: human facts of which one of our facts has at
least the share CONTAINED of the words, whatever else it says; the other human facts are lost. Intervals are 95 % bootstrap
over responses. The ceiling is the facts that InstructGPT wrote for the same sentences: the people were asked to correct these.
Skips with exit status 0 if the data is absent.
"""

# ruff: noqa: T201
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import Stemmer
from convert import DATA, Line, human_facts, rows
from scipy.optimize import linear_sum_assignment

from flame_ray.rewards.factuality.decompose import decompose
from flame_ray.rewards.factuality.text import fold

THRESHOLDS = (0.6, 0.5, 0.8)
CONTAINED = 0.8
FUNCTION = """a an the of in on at to for from by with and or but as that this these those its it his her hers he she they
    them their is are was were be been being has have had do does did who which whom whose also"""
FUNCTION_WORDS = frozenset(FUNCTION.split())
stem = Stemmer.Stemmer("english").stemWord
Counts = tuple[int, int, int, int]  # human facts, our facts, matches, human facts that are contained


def main(data: Path) -> None:
    if not data.is_dir():
        print(f"skipped: no human facts at {data}")
        return
    biographies = [row for row in rows(data / "factscore_labeled" / "ChatGPT.jsonl") if human_facts(row)]
    backends: dict[str, Callable[[Line], Sequence[str]]] = {
        "rule": lambda row: [fact.text for fact in decompose(row["output"], "rule").facts_F],
        "sentence": lambda row: [fact.text for fact in decompose(row["output"], "sentence").facts_F],
        "InstructGPT (ceiling)": of_instruct_gpt,
    }
    print("| decomposition | F1 at least | n | facts a response, people / ours | covered | extra | contained |")
    print("|---|---|---|---|---|---|---|")
    for name, facts in backends.items():
        show(name, biographies, [facts(row) for row in biographies])


def show(name: str, biographies: Sequence[Line], ours: Sequence[Sequence[str]]) -> None:
    theirs = [[fact["text"] for fact in human_facts(row)] for row in biographies]
    pairs = [(content(row, a), content(row, b)) for row, a, b in zip(biographies, theirs, ours, strict=True)]
    for threshold in THRESHOLDS:
        print(line(name, threshold, np.array([compare(*pair, threshold) for pair in pairs])))


def of_instruct_gpt(row: Line) -> list[str]:
    return [fact["text"] for each in row["annotations"] for fact in each.get("model-atomic-facts") or ()]


def content(row: Line, facts: Sequence[str]) -> list[frozenset[str]]:
    """The words of each fact without the subject's name; facts without other words are left out."""
    name = words(row["topic"])
    found = [words(fact) - name for fact in facts]
    return [each for each in found if each]


def words(text: str) -> frozenset[str]:
    found = re.findall(r"\w+", re.sub(r"['’]s\b", "", fold(text).lower()))
    return frozenset(stem(word) for word in found if word not in FUNCTION_WORDS)


def compare(theirs: Sequence[frozenset[str]], ours: Sequence[frozenset[str]], threshold: float) -> Counts:
    if not (theirs and ours):
        return len(theirs), len(ours), 0, 0
    overlap = np.array([[2 * len(a & b) / (len(a) + len(b)) for b in ours] for a in theirs])
    matched = overlap[linear_sum_assignment(overlap, maximize=True)]
    contained = sum(max(len(a & b) / len(a) for b in ours) >= CONTAINED for a in theirs)
    return len(theirs), len(ours), int((matched >= threshold).sum()), contained


def line(name: str, threshold: float, counts: np.ndarray) -> str:
    """`counts` [N, 4]."""
    draw = np.random.default_rng(0)
    redrawn = np.array([shares(counts[draw.integers(len(counts), size=len(counts))]) for _ in range(1000)])
    low, high = np.percentile(redrawn, [2.5, 97.5], axis=0)
    cells = [f"{v:.1f} [{lo:.1f}, {hi:.1f}]" for v, lo, hi in zip(shares(counts), low, high, strict=True)]
    theirs, ours, *_ = counts.mean(axis=0)
    return f"| {name} | {threshold} | {len(counts)} | {theirs:.1f} / {ours:.1f} | {' % | '.join(cells)} % |"


def shares(counts: np.ndarray) -> tuple[float, float, float]:
    theirs, ours, matches, contained = counts.sum(axis=0)
    return 100 * matches / theirs, 100 * (ours - matches) / ours, 100 * contained / theirs


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
