"""The best of the passages that were found, by a model that reads query and passage together.

In: a query and its passages. Out: those to keep, best first. Knows nothing of how they were found.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from flame_ray.errors import ModelError
from flame_ray.rewards.factuality.retrieve.base import reading
from flame_ray.types import Passage


class PairScorer(Protocol):
    """Logits [N, L] of N pairs of texts; what the L labels mean is the model's own."""

    labels: tuple[str, ...]

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray: ...


class CrossReranker:
    """Relevance is the logit of a model with one label, or the last label's less the first's of one with two.

    Raises ModelError for more labels: such a model judges something else than relevance.
    """

    def __init__(self, scorer: PairScorer):
        if len(scorer.labels) > 2:
            labels = ", ".join(scorer.labels)
            raise ModelError("a re-ranker, of one label or two", f"labels {labels}", "name a re-ranker as factuality.reranker")
        self._scorer = scorer

    def rerank(self, query: str, passages_K: Sequence[Passage], keep: int) -> tuple[Passage, ...]:
        """The `keep` most relevant; ties keep the retriever's order."""
        if not passages_K:
            return ()
        logits = self._scorer.logits([(query, reading(passage)) for passage in passages_K])
        relevance = logits[:, -1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
        return tuple(passages_K[int(place)] for place in np.argsort(-relevance, kind="stable")[:keep])
