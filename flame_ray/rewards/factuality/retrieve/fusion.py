"""Several retrievers as one, by the ranks that they give and not by their scores, which have no common unit.

In: retrievers of one corpus, then queries. Out: at most k passages each, best first. Knows nothing of how they are found.
"""

from collections.abc import Sequence

from flame_ray.rewards.factuality.retrieve.base import Retriever
from flame_ray.types import Passage

RANK_CONSTANT = 60  # of the paper: the higher, the less the first ranks count above those that follow
DEPTH = 100  # passages that each retriever is asked for: one that is 30th for two of them may be the best of all


class FusionRetriever:
    """Reciprocal rank fusion: a passage scores the sum over retrievers of 1 / (60 + its rank there, from 1).

    Cormack, Clarke and Buettcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
    SIGIR 2009. Ties keep the order of the first retriever, then of what the second adds, and so on.
    """

    def __init__(self, retrievers: Sequence[Retriever]):
        self._retrievers = tuple(retrievers)

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """For each query the k passages of the highest sums."""
        found = [retriever.retrieve(queries, max(k, DEPTH)) for retriever in self._retrievers]
        return [fuse(rankings, k) for rankings in zip(*found, strict=True)]


def fuse(rankings: Sequence[Sequence[Passage]], k: int) -> tuple[Passage, ...]:
    """One ranking from several; a passage is known by its id."""
    passages: dict[str, Passage] = {}
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, passage in enumerate(ranking, 1):
            passages.setdefault(passage.id, passage)
            scores[passage.id] = scores.get(passage.id, 0.0) + 1 / (RANK_CONSTANT + rank)
    best = sorted(scores, key=lambda name: -scores[name])[:k]
    return tuple(passages[name] for name in best)
