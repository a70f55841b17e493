"""Finds instructions that are nearly the same as one of many others, by ROUGE-L.

To compare a text with each of 20,000 others takes about a second. The longest common subsequence has no more words than two
texts share, so that few others can reach the limit: only these are compared.
"""

from array import array
from collections import Counter
from collections.abc import Sequence

import numpy as np

Symbol = tuple[str, int]  # a word, and how often it came before: two texts share as many symbols as words, repeats included
ROUNDING = 1e-9


class InstructionPool:
    """Texts to compare with. Two are alike if the F-measure of ROUGE-L (Lin 2004, section 3) is `limit` or more."""

    def __init__(self, limit: float):
        from rouge_score.rouge_scorer import RougeScorer  # takes seconds, so only when it is needed
        from rouge_score.tokenizers import DefaultTokenizer

        self._limit, self._tokenizer = limit, DefaultTokenizer()
        self._scorer = RougeScorer(["rougeL"], tokenizer=self._tokenizer)
        self._texts: list[str] = []
        self._lengths = array("i")  # words of each text
        self._places: dict[Symbol, array[int]] = {}  # of each symbol, the numbers of the texts that have it

    def words(self, text: str) -> list[str]:
        """What ROUGE compares: runs of letters a to z and digits. A text of another script has none."""
        return self._tokenizer.tokenize(text)

    def add(self, text: str) -> None:
        words = self.words(text)
        for symbol in _symbols(words):
            self._places.setdefault(symbol, array("i")).append(len(self._texts))
        self._texts.append(text)
        self._lengths.append(len(words))

    def near_duplicate_of(self, text: str) -> str | None:
        """A text of the pool that is alike, or None."""
        others = (self._texts[number] for number in self._candidates(self.words(text)))
        return next((other for other in others if self._measure(other, text) >= self._limit), None)

    def _measure(self, first: str, second: str) -> float:
        return self._scorer.score(first, second)["rougeL"].fmeasure

    def _candidates(self, words: Sequence[str]) -> list[int]:
        """The texts that may be alike, the likeliest first.

        With m and n words and a common subsequence of L, F = 2 L / (m + n), and L is at most the number of shared symbols.
        """
        places = [np.frombuffer(self._places[each], np.intc) for each in _symbols(words) if each in self._places]
        if not places:
            return []
        shared = np.bincount(np.concatenate(places), minlength=len(self._texts))
        bounds = 2 * shared / (len(words) + np.frombuffer(self._lengths, np.intc))
        found = np.flatnonzero(bounds >= self._limit - ROUNDING)
        return found[np.argsort(-bounds[found], kind="stable")].tolist()


def _symbols(words: Sequence[str]) -> list[Symbol]:
    """Each word with the number of its earlier occurrences.

    >>> _symbols(["to", "be", "or", "to"])
    [('to', 0), ('be', 0), ('or', 0), ('to', 1)]
    """
    seen: Counter[str] = Counter()
    symbols = []
    for word in words:
        symbols.append((word, seen[word]))
        seen[word] += 1
    return symbols
