"""Chooses, for each instruction, the demonstrations whose instructions are most like it: by their words, or by meaning.

Importing this imports neither torch nor bm25s, which brings numba: vLLM 0.32 cannot start where that is imported.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from flame_ray.engines.base import TextEmbedder
from flame_ray.types import Demonstration

Scores = Callable[[str], np.ndarray]  # an instruction -> how like it each demonstration is, [demonstrations]


def distinct(demonstrations: Sequence[Demonstration]) -> list[Demonstration]:
    """The first demonstration of each instruction, whatever its case, blanks and punctuation."""
    first: dict[str, Demonstration] = {}
    for each in demonstrations:
        first.setdefault(words_of(each.prompt.text), each)
    return list(first.values())


def nearest(instruction: str, pool: Sequence[Demonstration], scores: Scores, k: int) -> tuple[Demonstration, ...]:
    """The k of `pool` that are most like the instruction, the nearest first; never the instruction itself.

    `pool` has each instruction once (`distinct`). Ties keep the order of the pool.
    """
    own = words_of(instruction)
    order = np.argsort(-scores(instruction), kind="stable")
    return tuple(_first(k, (pool[place] for place in order), own))


def by_words(texts: Sequence[str]) -> Scores:
    """BM25, as Lucene computes it, over stemmed English words."""
    import bm25s
    import Stemmer

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it says what it does at each index
    stemmer = Stemmer.Stemmer("english")
    index = bm25s.BM25()
    known = _tokens(texts, stemmer)
    if not any(known):
        return lambda text: np.zeros(len(texts), np.float32)
    index.index(known, show_progress=False)

    def scores(text: str) -> np.ndarray:
        tokens = [token for token in _tokens([text], stemmer)[0] if token in index.vocab_dict]
        return np.asarray(index.get_scores(tokens)) if tokens else np.zeros(len(texts), np.float32)

    return scores


def by_meaning(texts: Sequence[str], embedder: TextEmbedder) -> Scores:
    """The dot product of the texts' vectors."""
    vectors = embedder.passages(texts)
    return lambda text: vectors @ embedder.queries([text])[0]


def words_of(text: str) -> str:
    """The words alone, for finding repeats of an instruction."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _first(k: int, ordered: Iterator[Demonstration], own: str) -> Iterator[Demonstration]:
    taken = 0
    while taken < k and (each := next(ordered, None)) is not None:
        if words_of(each.prompt.text) != own:
            taken += 1
            yield each


def _tokens(texts: Sequence[str], stemmer: object) -> list[list[str]]:
    import bm25s

    return bm25s.tokenize(list(texts), stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False)
