"""The protocol that every reward implements.

Adding a reward takes its own file in rewards/, its settings, and its pool in `controller/workers.py`. Scoring, pairing and
the tables find its scores under its name.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Protocol

from flame_ray.cluster.streams import numbered
from flame_ray.types import Group, Prompt, RewardResult


class Reward(Protocol):
    """A class whose instances become Ray actors; a pool of them computes the reward."""

    name: ClassVar[str]
    """Under this name a response keeps the score; `pairs.kinds` uses the same name."""

    @staticmethod
    def applies_to(prompt: Prompt) -> bool:
        """Whether responses to this prompt get the reward."""
        ...

    def score(self, groups: Sequence[Group]) -> Iterator[tuple[int, tuple[RewardResult, ...]]]:
        """The position of each group and one result a response [G]. A response that cannot be scored is `Missing`."""
        ...


def by_group(groups: Sequence[Group], results: Iterable[RewardResult]) -> Iterator[tuple[int, tuple[RewardResult, ...]]]:
    """Splits the results of all responses, in order, into the position and the results [G] of each group."""
    left = iter(results)
    yield from numbered(tuple(next(left) for _ in group.responses_G) for group in groups)
