"""Counts the judgements of a language model that cannot be read, and says when there are too many."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from flame_ray.types import Missing, RewardResult, Score

MOST_UNREAD = 0.05  # of all judgements; a judge that cannot be read more often is not suited to the rubric
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Judgements:
    """How many judgements were read, and of how many no score could be."""

    read: int = 0
    unread: int = 0

    def add(self, results: Iterable[RewardResult]) -> None:
        for result in results:
            if isinstance(result, Score | Missing):
                self.unread += result.unread
            if isinstance(result, Score):
                self.read += len(result.samples)

    @property
    def share(self) -> float:
        """Of the judgements that could not be read; 0 if there is none.

        >>> Judgements(read=3, unread=1).share
        0.25
        """
        return self.unread / (self.read + self.unread) if self.unread else 0.0

    def warn(self, where: str) -> None:
        """Warn if too many could not be read."""
        if self.share > MOST_UNREAD:
            log.warning(
                "%s: no score could be read in %d of %d judgements (%.1f %%, more than %.0f %%); scores rest on the others. "
                "To fix: raise judge.max_tokens, name a larger model or one trained to judge in judge.model, or use another "
                "judge.backend",
                where,
                self.unread,
                self.read + self.unread,
                100 * self.share,
                100 * MOST_UNREAD,
            )
