"""Evidence for an instruction: the passages nearest to it by BM25, those of the things that it names first.

In: the corpus, then an instruction. Out: at most k passages, best first, the same ones every time. The query is the
instruction and not a claim (FLAME, section 4.3), so that all responses to a prompt are judged on the same evidence.
Knows nothing of responses or facts.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

import bm25s
import numpy as np
import Stemmer

from flame_ray.rewards.text import fold
from flame_ray.types import Passage

TITLE_REPEATS = 3  # a title says what a passage is about, so each of its terms counts as often as this
WORD = re.compile(r"[^\W_]+")


class Bm25Retriever:
    """BM25 over title and text; a title that the query spells out lifts its passages above all others.

    BM25 alone cannot tell `Guinea` from `Guinea-Bissau`: both hold the term. The longest title that fits wins.

    >>> passages = (Passage("a", "Guinea-Bissau", "Capital: Bissau"), Passage("b", "Guinea", "Capital: Conakry"))
    >>> Bm25Retriever(passages).retrieve(["What is the capital of Guinea?"], k=1)[0][0].id
    'b'
    """

    def __init__(self, passages: Sequence[Passage]):
        self._passages = tuple(passages)
        self._stemmer = Stemmer.Stemmer("english")
        self._by_title: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index, passage in enumerate(self._passages):
            self._by_title[_title_key(passage.title)].append(index)
        self._longest = max(len(title) for title in self._by_title)
        self._bm25 = bm25s.BM25()
        texts = [" ".join((*[fold(passage.title)] * TITLE_REPEATS, fold(passage.text))) for passage in self._passages]
        self._bm25.index(self._tokens(texts), show_progress=False)

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """For each query the k best passages that share a term with it; ties keep the corpus's order."""
        return [self._best(query, k) for query in queries]

    def _best(self, query: str, k: int) -> tuple[Passage, ...]:
        named, others = self._named(query)
        tokens = self._tokens([" ".join(others)])[0]
        scores = np.array(self._bm25.get_scores(tokens)) if tokens else np.zeros(len(self._passages))
        scores[named] += scores.max() + 1.0
        best = np.argsort(-scores, kind="stable")[:k]
        return tuple(self._passages[index] for index in best if scores[index] > 0)

    def _tokens(self, texts: list[str]) -> list[list[str]]:
        return bm25s.tokenize(texts, stopwords="en", stemmer=self._stemmer, return_ids=False, show_progress=False)

    def _named(self, query: str) -> tuple[list[int], list[str]]:
        """Passages whose whole title stands in the query, case and all, and the words left; the longest title wins.

        The words of a title are not searched for again: every passage under it has them, the short ones the most.
        """
        words, found, others, start = WORD.findall(fold(query)), [], [], 0
        while start < len(words):
            sizes = range(min(self._longest, len(words) - start), 0, -1)
            size = next((size for size in sizes if tuple(words[start : start + size]) in self._by_title), 0)
            if size:
                found += self._by_title[tuple(words[start : start + size])]
            else:
                others.append(words[start])
            start += max(size, 1)
        return found, others


def _title_key(title: str) -> tuple[str, ...]:
    words = tuple(WORD.findall(fold(title)))
    return words[1:] if len(words) > 1 and words[0] == "The" else words
