"""One factuality worker (made a Ray actor by controller/workers.py): it reads the corpus and indexes it once.

In: prompts and their responses, or claims. Out: one `Audit` a response, of a score or of `Missing` with the reason; or
verdicts. In a file of its own: bm25s brings numba, and vLLM 0.32 cannot start in a process that has imported it.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from flame_ray.config import FactualityConfig
from flame_ray.rewards.factuality.check import Checker, make_checker
from flame_ray.rewards.factuality.decompose import make_decomposer
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.retrieve import Reranker, Retriever, open_passages, open_reranker, open_retriever
from flame_ray.rewards.factuality.reward import FactualityReward, Task
from flame_ray.rewards.verifier.client import RemoteVerifier
from flame_ray.types import Audit, Claim, Group, Passage, Verdict


class FactualityActor:
    """RM_fact: sentences -> facts -> evidence -> check.

    `corpus` false: it is read only when something asks for passages, for those that bring their own evidence.
    `verifiers`: handles of the actors that a language model's stages ask.
    """

    def __init__(self, config: FactualityConfig, corpus: bool = True, verifiers: Sequence[Any] = ()):
        self._config, self._needs_corpus = config, corpus
        self._verifier = RemoteVerifier(verifiers) if verifiers else None

    def ready(self) -> int:
        """How many passages serve as evidence. What cannot be loaded is raised here, since a constructor's error is a death."""
        self._reward  # noqa: B018
        return self._corpus.open() if self._needs_corpus else 0

    @cached_property
    def _checker(self) -> Checker:
        return make_checker(self._config, self._verifier)

    @cached_property
    def _corpus(self) -> "_Corpus":
        return _Corpus(self._config)

    @cached_property
    def _reward(self) -> FactualityReward:
        config = self._config
        reranker = self._corpus if config.reranker else None
        evidence = Evidence(self._corpus, config.retrieve, config.keep, config.query, reranker)
        decomposer = make_decomposer(config, self._verifier)
        return FactualityReward(decomposer, evidence, self._checker, config.not_found == "unsupported")

    def described(self, questions: Sequence[Any]) -> Iterator[tuple[int, tuple[float, str]]]:
        """To each question its position, and the checker: the support score from which a fact counts as true, its identity."""
        yield from _numbered((self._checker.threshold, self._checker.identity) for _ in questions)

    def score(self, groups: Sequence[Group]) -> Iterator[tuple[int, tuple[Audit, ...]]]:
        """Scores [G] of each group with what they rest on, and its position."""
        yield from _numbered(self._reward.score(groups))

    def audit(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Audit]]:
        """The score of each response with the passages that it rests on, and its position."""
        yield from _numbered(self._reward.audit(tasks))

    def check(self, claims: Sequence[Claim]) -> Iterator[tuple[int, Verdict]]:
        """The verdict on each claim, with its position."""
        yield from _numbered(self._checker.check(claims))


def _numbered(results: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """A generator and not `enumerate`, because Ray uses `send`, which only a generator has."""
    yield from ((position, result) for position, result in enumerate(results))


class _Corpus:
    """Passages that are read and indexed at the first question; a fault of the corpus is raised there."""

    def __init__(self, config: FactualityConfig):
        self._config = config

    def open(self) -> int:
        """How many passages it has, once they are indexed."""
        return self._indexed[1]

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        return self._indexed[0].retrieve(queries, k)

    def rerank(self, query: str, passages_K: Sequence[Passage], keep: int) -> tuple[Passage, ...]:
        return self._reranker.rerank(query, passages_K, keep) if self._reranker else tuple(passages_K[:keep])

    @cached_property
    def _reranker(self) -> Reranker | None:
        return open_reranker(self._config)

    @cached_property
    def _indexed(self) -> tuple[Retriever, int]:
        passages = open_passages(self._config)
        return open_retriever(self._config, passages), len(passages)
