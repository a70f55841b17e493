"""Retrieves by BM25 (Robertson and Zaragoza 2009, as Lucene computes it); passages whose title the query names come first."""

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import Stemmer

from flame_ray.rewards.factuality.retrieve.arrow_files import Passages, Words
from flame_ray.rewards.factuality.retrieve.bm25_build import K1, TERMS, TITLE_REPEATS, B, tokenize, write_bm25
from flame_ray.rewards.factuality.retrieve.index import Key, open_index
from flame_ray.rewards.factuality.retrieve.titles import Titles
from flame_ray.types import Passage

FORMAT = 1  # raise it when the files change


class Bm25Retriever:
    """BM25 over title and text; a title that the query spells out lifts its passages above all others.

    BM25 alone cannot tell `Guinea` from `Guinea-Bissau`, because both have the term; here the longest title that fits wins.
    `folder` is an existing index; without one, an index is built for this process alone.

    >>> passages = (Passage("a", "Guinea-Bissau", "Capital: Bissau"), Passage("b", "Guinea", "Capital: Conakry"))
    >>> Bm25Retriever(passages).retrieve(["What is the capital of Guinea?"], k=1)[0][0].id
    'b'
    """

    def __init__(self, passages: Sequence[Passage], folder: Path | None = None):
        self._passages, self._stemmer = passages, Stemmer.Stemmer("english")
        if folder is not None:
            self._open(folder)
            return
        with tempfile.TemporaryDirectory() as built:  # a mapped file stays readable after its removal
            write_bm25(passages, Path(built))
            self._open(Path(built))

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """For each query the k best of the passages that share a term with it; ties keep the order of the corpus."""
        return [self._best(query, k) for query in queries]

    def _open(self, folder: Path) -> None:
        import bm25s  # not at the top: it brings numba, and vLLM 0.32 cannot start in a process that has imported that

        self._titles, self._terms = Titles(folder), Words(folder / TERMS)
        self._bm25 = bm25s.BM25(k1=K1, b=B)
        self._bm25.load_scores(folder, num_docs=len(self._passages), mmap=True)
        self._bm25.nonoccurrence_array = None

    def _best(self, query: str, k: int) -> tuple[Passage, ...]:
        named, others = self._titles.named(query)
        (numbers,), vocabulary = tokenize([" ".join(others)], self._stemmer)
        positions = {number: self._terms.find(token) for token, number in vocabulary.items()}
        known = [position for number in numbers if (position := positions[number]) is not None]
        scores = self._bm25.get_scores_from_ids(known) if known else np.zeros(len(self._passages), np.float32)
        scores[named] += scores.max() + 1.0
        return tuple(self._passages[int(index)] for index in _top(scores, k))


def open_bm25(passages: Passages) -> Bm25Retriever:
    """Opens the index that all processes of this node share; the first one builds it."""
    libraries = {name: version(name) for name in ("bm25s", "PyStemmer")}
    key: Key = {"passages": passages.name, "format": FORMAT, "k1": K1, "b": B, "title_repeats": TITLE_REPEATS, **libraries}
    return Bm25Retriever(passages, open_index("bm25", key, lambda folder: write_bm25(passages, folder)))


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k highest scores above 0, without sorting the others; ties keep their order."""
    found = np.flatnonzero(scores > 0)
    if len(found) > k:
        found = found[scores[found] >= np.partition(scores[found], -k)[-k]]
    return found[np.argsort(-scores[found], kind="stable")[:k]]
