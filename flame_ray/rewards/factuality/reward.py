"""Computes RM_fact (FLAME, section 4.3), the share of a response's facts that the evidence supports.

A response is decomposed into facts, evidence is found for them, and each fact is checked. A response on which one of these
steps fails is `Missing`, never a score of 0.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flame_ray.errors import FlameError
from flame_ray.rewards.factuality.check import Checker
from flame_ray.rewards.factuality.decompose.base import Decomposer
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.relevance import asks_about_record, is_relevant
from flame_ray.shown import without_secrets
from flame_ray.types import (
    Claim,
    Fact,
    FactScore,
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
    """A response to score. `given`: evidence to use instead of retrieved passages."""

    prompt: Prompt
    response: Response
    given: tuple[Passage, ...] | None = None


@dataclass(frozen=True, slots=True)
class FactTask:
    """A fact to check that was stated in answer to a prompt. `given`: evidence to use instead of retrieved passages."""

    fact: Fact
    prompt: str = ""
    given: tuple[Passage, ...] | None = None


class FactualityReward:
    """Takes all responses through one step before the next, so that a model in that step gets full batches."""

    def __init__(self, decomposer: Decomposer, evidence: Evidence, checker: Checker, not_found_counts: bool = True):
        self._decomposer, self._evidence, self._checker = decomposer, evidence, checker
        self._not_found_counts = not_found_counts

    def score(self, tasks: Sequence[Task]) -> list[FactScore | Missing]:
        """One result a task, in order. Raises FlameError; any other error makes only its own response `Missing`."""
        claimed = _each(self._claims, list(tasks))
        verdicts = _each(self._verdicts, claimed)
        return [self._result(*each) for each in zip(tasks, claimed, verdicts, strict=True)]

    def check(self, tasks: Sequence[FactTask]) -> tuple[Verdict, ...]:
        """One verdict a fact, in order, on the evidence that `score` would find for it."""
        return self._checker.check([self._with_evidence(task.prompt, [task.fact], task.given)[0] for task in tasks])

    def _claims(self, tasks: Sequence[Task]) -> "list[_Claimed]":
        found = self._decomposer.decompose([task.prompt.text for task in tasks], [task.response for task in tasks])
        return [
            _Claimed(each.sentences_S, self._with_evidence(task.prompt.text, each.facts_F, task.given))
            for task, each in zip(tasks, found, strict=True)
        ]

    def _with_evidence(self, prompt: str, facts_F: Sequence[Fact], given: tuple[Passage, ...] | None) -> tuple[Claim, ...]:
        if given is not None:
            return tuple(Claim(fact, given) for fact in facts_F)
        passages = self._evidence.of(prompt, facts_F)
        return tuple(Claim(fact, passages_K) for fact, passages_K in zip(facts_F, passages, strict=True))

    def _verdicts(self, claimed: "Sequence[_Claimed]") -> list[tuple[Verdict, ...]]:
        verdicts = iter(self._checker.check([claim for each in claimed for claim in each.claims_F]))
        return [tuple(next(verdicts) for _ in each.claims_F) for each in claimed]

    def _result(
        self, task: Task, claimed: "_Claimed | _Failed", verdicts: "tuple[Verdict, ...] | _Failed"
    ) -> FactScore | Missing:
        if isinstance(claimed, _Failed):
            return _failed(task, claimed.error, ())
        if isinstance(verdicts, _Failed):
            return _failed(task, verdicts.error, claimed.passages)
        if verdicts and all(verdict.label is VerdictLabel.ERROR for verdict in verdicts):
            return Missing(task.response.id, "checker: failed on every fact", claimed.passages)
        by_topic = asks_about_record(task.prompt.text, claimed.passages)
        told = tuple(replace(each, relevant=not by_topic or is_relevant(task.prompt.text, each.fact.text)) for each in verdicts)
        return FactScore(task.response.id, told, self._not_found_counts, claimed.passages, claimed.sentences_S)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A response after decomposition and retrieval."""

    sentences_S: tuple[Sentence, ...]
    claims_F: tuple[Claim, ...]

    @property
    def passages(self) -> tuple[Passage, ...]:
        return tuple(dict.fromkeys(passage for claim in self.claims_F for passage in claim.passages_K))


def _failed(task: Task, error: Exception, passages: tuple[Passage, ...]) -> Missing:
    log.error("the factuality reward of %s failed", task.response.id, exc_info=error)
    return Missing(task.response.id, without_secrets(f"{type(error).__name__}: {error}"), passages)


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


def _each(stage: Callable[[Sequence[Any]], list[Any]], items: Sequence[Any]) -> list[Any]:
    """The results of a step, in order; an item that failed in an earlier step stays as it is."""
    done = iter(_attempt(stage, [item for item in items if not isinstance(item, _Failed)]))
    return [item if isinstance(item, _Failed) else next(done) for item in items]


def _attempt(stage: Callable[[Sequence[Any]], list[Any]], items: Sequence[Any]) -> list[Any]:
    """Runs a step on all items at once; if that fails, on one item at a time, to find the ones that fail."""
    try:
        return stage(items) if items else []
    except FlameError:
        raise
    except Exception as error:  # a text may make a parser or a model raise anything
        if len(items) == 1:
            return [_Failed(error)]
        return [result for item in items for result in _attempt(stage, [item])]
