"""Evidence for a query: the passages nearest to it by BM25, those of the things that it names first.

In: the corpus, then queries. Out: at most k passages each, best first, the same ones every time. Knows nothing of responses
or facts. (BM25: Robertson and Zaragoza 2009, as Lucene computes it.)
"""

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import Stemmer

from flame_ray.rewards.factuality.retrieve.bm25_build import K1, TERMS, TITLE_REPEATS, B, tokenize, write_bm25
from flame_ray.rewards.factuality.retrieve.index import Key, open_index
from flame_ray.rewards.factuality.retrieve.passages import Passages
from flame_ray.rewards.factuality.retrieve.terms import Words
from flame_ray.rewards.factuality.retrieve.titles import Titles
from flame_ray.types import Passage

FORMAT = 1  # to be raised when the files change


class Bm25Retriever:
    """BM25 over title and text; a title that the query spells out lifts its passages above all others.

    BM25 alone cannot tell `Guinea` from `Guinea-Bissau`: both hold the term. The longest title that fits wins. `folder`: an
    index that was made before; None makes one for this process alone.

    >>> passages = (Passage("a", "Guinea-Bissau", "Capital: Bissau"), Passage("b", "Guinea", "Capital: Conakry"))
    >>> Bm25Retriever(passages).retrieve(["What is the capital of Guinea?"], k=1)[0][0].id
    'b'
    """

    def __init__(self, passages: Sequence[Passage], folder: Path | None = None):
        self._passages, self._stemmer = passages, Stemmer.Stemmer("english")
        if folder is not None:
            self._open(folder)
            return
        with tempfile.TemporaryDirectory() as made:  # what is mapped stays readable once its name is gone
            write_bm25(passages, Path(made))
            self._open(Path(made))

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """For each query the k best passages that share a term with it; ties keep the corpus's order."""
        return [self._best(query, k) for query in queries]

    def _open(self, folder: Path) -> None:
        import bm25s  # here, because it brings numba: vLLM 0.32 cannot start in a process that has imported it

        self._titles, self._terms = Titles(folder), Words(folder / TERMS)
        self._bm25 = bm25s.BM25(k1=K1, b=B)
        self._bm25.load_scores(folder, num_docs=len(self._passages), mmap=True)
        self._bm25.nonoccurrence_array = None

    def _best(self, query: str, k: int) -> tuple[Passage, ...]:
        named, others = self._titles.named(query)
        (numbers,), vocabulary = tokenize([" ".join(others)], self._stemmer)
        places = {number: self._terms.find(token) for token, number in vocabulary.items()}
        known = [place for number in numbers if (place := places[number]) is not None]
        scores = self._bm25.get_scores_from_ids(known) if known else np.zeros(len(self._passages), np.float32)
        scores[named] += scores.max() + 1.0
        return tuple(self._passages[int(index)] for index in _top(scores, k))


def open_bm25(passages: Passages) -> Bm25Retriever:
    """With the index that all processes of this node share, made by the first that asks."""
    libraries = {name: version(name) for name in ("bm25s", "PyStemmer")}
    key: Key = {"passages": passages.name, "format": FORMAT, "k1": K1, "b": B, "title_repeats": TITLE_REPEATS, **libraries}
    return Bm25Retriever(passages, open_index("bm25", key, lambda folder: write_bm25(passages, folder)))


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    """The places of the k highest scores above 0, without sorting the others; ties in their order."""
    found = np.flatnonzero(scores > 0)
    if len(found) > k:
        found = found[scores[found] >= np.partition(scores[found], -k)[-k]]
    return found[np.argsort(-scores[found], kind="stable")[:k]]
