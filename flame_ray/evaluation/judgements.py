"""Counts the judgements that cannot be read and the facts that cannot be checked, and says when there are too many."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from flame_ray.types import FactScore, Missing, RewardResult, Score, ScoredResponse

MOST_UNREAD = 0.05  # of all judgements; a judge that cannot be read more often is not suited to the rubric
MOST_FAILED = 0.05  # of all facts
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


@dataclass(slots=True)
class CheckedFacts:
    """How many facts have a verdict, and on how many others of the same responses the checker failed."""

    checked: int = 0
    failed: int = 0

    def add(self, results: Iterable[RewardResult | None]) -> None:
        for result in results:
            if isinstance(result, FactScore):
                self.checked += len(result.verdicts) - result.failed
                self.failed += result.failed

    def warn(self, where: str) -> None:
        """Warn if the checker failed on too many."""
        facts = self.checked + self.failed
        if self.failed > MOST_FAILED * facts:
            log.warning(
                "%s: the checker failed on %d of %d facts (%.1f %%, more than %.0f %%); a response with such a fact has no "
                "counts of facts, so that counts rest on the others, which are often shorter. To fix: raise "
                "verifier.max_length, lower factuality.keep, or use another factuality.checker",
                where,
                self.failed,
                facts,
                100 * self.failed / facts,
                100 * MOST_FAILED,
            )


@dataclass(slots=True)
class Failures:
    """What failed within the rewards of responses."""

    judgements: Judgements = field(default_factory=Judgements)
    facts: CheckedFacts = field(default_factory=CheckedFacts)

    def add(self, scored: Iterable[ScoredResponse]) -> None:
        for each in scored:
            self.judgements.add(each.rewards.values())
            self.facts.add(each.rewards.values())

    def warn(self, where: str) -> None:
        self.judgements.warn(where)
        self.facts.warn(where)
