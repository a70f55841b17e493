"""Finds, re-ranks and remembers the passages that the facts of a response are checked against.

With `query` "prompt" (FLAME, section 4.3) all responses to a prompt share their evidence; with "fact", each fact has its own.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

from flame_ray.rewards.factuality.retrieve import Reranker, Retriever
from flame_ray.types import Fact, Passage

REMEMBERED = 4096  # queries whose passages stay in memory: evaluation asks the same prompts every round


class Evidence:
    """Retrieves `retrieve` passages for a query and keeps the best `keep` of them (paper: 20 and 10)."""

    def __init__(
        self,
        retriever: Retriever,
        retrieve: int,
        keep: int | None = None,
        query: Literal["prompt", "fact"] = "prompt",
        reranker: Reranker | None = None,
    ):
        self._retriever, self._reranker, self._query = retriever, reranker, query
        self._retrieve, self._keep = retrieve, keep or retrieve
        self._found: OrderedDict[str, tuple[Passage, ...]] = OrderedDict()

    def of(self, prompt: str, facts_F: Sequence[Fact]) -> list[tuple[Passage, ...]]:
        """Passages for each fact."""
        if self._query == "prompt":
            return [self.find([prompt])[0]] * len(facts_F) if facts_F else []
        return self.find([fact.text for fact in facts_F])

    def find(self, queries: Sequence[str]) -> list[tuple[Passage, ...]]:
        """Passages for each query; the same query is searched once."""
        new = [query for query in dict.fromkeys(queries) if query not in self._found]
        if new:
            found = self._retriever.retrieve(new, self._retrieve)
            self._found.update((query, self._best(query, passages)) for query, passages in zip(new, found, strict=True))
        result = [self._found[query] for query in queries]
        for query in queries:
            self._found.move_to_end(query)
        while len(self._found) > REMEMBERED:
            self._found.popitem(last=False)
        return result

    def _best(self, query: str, passages_K: tuple[Passage, ...]) -> tuple[Passage, ...]:
        if self._reranker is None:
            return passages_K[: self._keep]
        return self._reranker.rerank(query, passages_K, self._keep)
