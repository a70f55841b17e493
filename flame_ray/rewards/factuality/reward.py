"""RM_fact (FLAME, section 4.3): the share of a response's facts that the evidence supports.

In: responses to prompts. Out: one FactScore a response, or Missing with the reason when a stage failed on it; a failure is
never a score of 0. Composes decompose, evidence and check, and knows nothing of how any of them works.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flame_ray.errors import FlameError
from flame_ray.rewards.factuality.check.base import Checker
from flame_ray.rewards.factuality.decompose.base import Decomposer
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.types import (
    Audit,
    Claim,
    Fact,
    FactScore,
    Group,
    Missing,
    Passage,
    Prompt,
    Response,
    Sentence,
    Verdict,
    VerdictLabel,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """A response to score; `given` is evidence to use in place of retrieval."""

    prompt: Prompt
    response: Response
    given: tuple[Passage, ...] | None = None


class FactualityReward:
    """Takes many responses through a stage at once, so that a model behind it has full batches."""

    def __init__(self, decomposer: Decomposer, evidence: Evidence, checker: Checker, not_found_counts: bool = True):
        self._decomposer, self._evidence, self._checker = decomposer, evidence, checker
        self._not_found_counts = not_found_counts

    def score(self, groups: Sequence[Group]) -> Iterator[tuple[Audit, ...]]:
        """The scores [G] of each group with what they rest on, in order."""
        tasks = [Task(group.prompt, response) for group in groups for response in group.responses_G]
        audits = iter(self.audit(tasks))
        for group in groups:
            yield tuple(next(audits) for _ in group.responses_G)

    def audit(self, tasks: Sequence[Task]) -> list[Audit]:
        """One result a task, in order. A FlameError stops the run; any other error costs its response alone."""
        claimed = _each(self._claims, list(tasks))
        verdicts = _each(self._verdicts, claimed)
        return [self._audit(*each) for each in zip(tasks, claimed, verdicts, strict=True)]

    def _claims(self, tasks: Sequence[Task]) -> "list[_Claimed]":
        found = self._decomposer.decompose([task.response for task in tasks])
        return [
            _Claimed(each.sentences_S, self._with_evidence(task, each.facts_F)) for task, each in zip(tasks, found, strict=True)
        ]

    def _with_evidence(self, task: Task, facts_F: Sequence[Fact]) -> tuple[Claim, ...]:
        if task.given is not None:
            return tuple(Claim(fact, task.given) for fact in facts_F)
        passages = self._evidence.of(task.prompt.text, facts_F)
        return tuple(Claim(fact, passages_K) for fact, passages_K in zip(facts_F, passages, strict=True))

    def _verdicts(self, claimed: "Sequence[_Claimed]") -> list[tuple[Verdict, ...]]:
        verdicts = iter(self._checker.check([claim for each in claimed for claim in each.claims_F]))
        return [tuple(next(verdicts) for _ in each.claims_F) for each in claimed]

    def _audit(self, task: Task, claimed: "_Claimed | _Failed", verdicts: "tuple[Verdict, ...] | _Failed") -> Audit:
        if isinstance(claimed, _Failed):
            return _failed(task, claimed.error, ())
        if isinstance(verdicts, _Failed):
            return _failed(task, verdicts.error, claimed.passages)
        if verdicts and all(verdict.label is VerdictLabel.ERROR for verdict in verdicts):
            return Audit(Missing(task.response.id, "checker: failed on every fact"), claimed.passages)
        score = FactScore(task.response.id, verdicts, self._not_found_counts)
        return Audit(score, claimed.passages, claimed.sentences_S)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A response after decomposition and retrieval."""

    sentences_S: tuple[Sentence, ...]
    claims_F: tuple[Claim, ...]

    @property
    def passages(self) -> tuple[Passage, ...]:
        return tuple(dict.fromkeys(passage for claim in self.claims_F for passage in claim.passages_K))


def _failed(task: Task, error: Exception, passages: tuple[Passage, ...]) -> Audit:
    log.error("the factuality reward of %s failed", task.response.id, exc_info=error)
    return Audit(Missing(task.response.id, f"{type(error).__name__}: {error}"), passages)


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


def _each(stage: Callable[[Sequence[Any]], list[Any]], items: Sequence[Any]) -> list[Any]:
    """A stage on all items that have not failed before."""
    done = iter(_attempt(stage, [item for item in items if not isinstance(item, _Failed)]))
    return [item if isinstance(item, _Failed) else next(done) for item in items]


def _attempt(stage: Callable[[Sequence[Any]], list[Any]], items: Sequence[Any]) -> list[Any]:
    """All at once; if that fails, one after another, so that each failure is one item's."""
    try:
        return stage(items) if items else []
    except FlameError:
        raise
    except Exception as error:  # whatever a text brings out of a parser or a model: counted as missing
        if len(items) == 1:
            return [_Failed(error)]
        return [result for item in items for result in _attempt(stage, [item])]
