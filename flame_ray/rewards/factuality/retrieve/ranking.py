"""Defines retrievers and re-rankers, and the two that need no index: rank fusion, and re-ranking by a cross-encoder."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from flame_ray.engines.cross_encoder import PairScorer
from flame_ray.errors import ModelError
from flame_ray.types import Passage

RANK_CONSTANT = 60  # the paper's: a higher one makes the first ranks count less against those that follow
DEPTH = 100  # passages to ask each retriever for: one that is 30th in two rankings may be the best in their fusion


class Retriever(Protocol):
    """Finds passages of a corpus; the same query always gives the same passages."""

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """For each query at most k passages, best first."""
        ...


class Reranker(Protocol):
    """Reads a query and a passage together, which is slower and more accurate than retrieval."""

    def rerank(self, query: str, passages_K: Sequence[Passage], keep: int) -> tuple[Passage, ...]:
        """The best `keep` of the passages, best first."""
        ...


def titled_text(passage: Passage) -> str:
    """The passage as a model reads it: title first, unless the text begins with it.

    >>> titled_text(Passage("a", "Lima", "It is a city."))
    'Lima\\nIt is a city.'
    """
    return passage.text if passage.text.startswith(passage.title) else f"{passage.title}\n{passage.text}"


class FusionRetriever:
    """Reciprocal rank fusion: a passage scores the sum over retrievers of 1 / (60 + its rank there, from 1).

    Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
    SIGIR 2009. Ties keep the order of the first retriever, then of what the second one adds, and so on.
    """

    def __init__(self, retrievers: Sequence[Retriever]):
        self._retrievers = tuple(retrievers)

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """For each query the k passages with the highest sums."""
        found = [retriever.retrieve(queries, max(k, DEPTH)) for retriever in self._retrievers]
        return [fuse(rankings, k) for rankings in zip(*found, strict=True)]


def fuse(rankings: Sequence[Sequence[Passage]], k: int) -> tuple[Passage, ...]:
    """One ranking from several; passages with the same id are the same."""
    passages: dict[str, Passage] = {}
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, passage in enumerate(ranking, 1):
            passages.setdefault(passage.id, passage)
            scores[passage.id] = scores.get(passage.id, 0.0) + 1 / (RANK_CONSTANT + rank)
    best = sorted(scores, key=lambda id: -scores[id])[:k]
    return tuple(passages[id] for id in best)


class CrossReranker:
    """Re-ranks by the logit of a model with one label, or by the last logit minus the first of a model with two.

    Raises ModelError for a model with more labels, because it does not judge relevance.
    """

    def __init__(self, scorer: PairScorer):
        if len(scorer.labels) > 2:
            labels = ", ".join(scorer.labels)
            raise ModelError("a re-ranker with one or two labels", f"labels {labels}", "correct factuality.reranker")
        self._scorer = scorer

    def rerank(self, query: str, passages_K: Sequence[Passage], keep: int) -> tuple[Passage, ...]:
        """The `keep` most relevant passages; ties keep the retriever's order."""
        if not passages_K:
            return ()
        logits = self._scorer.logits([(query, titled_text(passage)) for passage in passages_K])
        relevance = logits[:, -1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
        return tuple(passages_K[int(place)] for place in np.argsort(-relevance, kind="stable")[:keep])
