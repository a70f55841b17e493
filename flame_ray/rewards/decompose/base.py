"""What a decomposer is. In: responses. Out: the facts of each."""

from collections.abc import Sequence
from typing import Protocol

from flame_ray.types import Fact, Response


class Decomposer(Protocol):
    """Splits responses into facts. A response that states nothing checkable has none: it abstains."""

    def facts(self, responses: Sequence[Response]) -> list[tuple[Fact, ...]]:
        """The facts of each response in its own order, duplicates merged; the cut end of an unfinished one is left out."""
        ...
