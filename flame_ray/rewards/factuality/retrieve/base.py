"""What a retriever and a re-ranker are. In: queries. Out: passages, best first, the same ones every time."""

from collections.abc import Sequence
from typing import Protocol

from flame_ray.types import Passage


class Retriever(Protocol):
    """Finds evidence in a corpus."""

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """For each query at most k passages, best first."""
        ...


class Reranker(Protocol):
    """Reads query and passage together, which is slower and better than what found them."""

    def rerank(self, query: str, passages_K: Sequence[Passage], keep: int) -> tuple[Passage, ...]:
        """The best `keep` of the passages, best first."""
        ...


def reading(passage: Passage) -> str:
    """A passage as a model reads it: its title first, unless the text opens with it.

    >>> reading(Passage("a", "Lima", "It is a city."))
    'Lima\\nIt is a city.'
    """
    return passage.text if passage.text.startswith(passage.title) else f"{passage.title}\n{passage.text}"
