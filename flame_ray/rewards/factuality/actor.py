"""One factuality worker: it reads and indexes the corpus once, then scores responses and checks claims.

`controller/workers.py` makes it a Ray actor. It never shares a process with vLLM 0.32, which cannot start where numba is
imported; bm25s imports numba.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

from flame_ray.cluster.node import naming_node
from flame_ray.cluster.streams import numbered
from flame_ray.config import FactualityConfig
from flame_ray.rewards.base import by_group
from flame_ray.rewards.factuality.check import Checker, make_checker
from flame_ray.rewards.factuality.decompose import make_decomposer, make_sentence_classifier
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.names import check_paths
from flame_ray.rewards.factuality.retrieve import Reranker, Retriever, open_passages, open_reranker, open_retriever
from flame_ray.rewards.factuality.reward import FactTask, FactualityReward, Task
from flame_ray.rewards.verifier.client import RemoteVerifier
from flame_ray.types import FACTUALITY, FactScore, Group, Missing, Passage, Prompt, RewardResult, Verdict


class FactualityActor:
    """RM_fact for fact-based prompts; implements `Reward`.

    `corpus` False: the corpus is read only when passages are asked for, because the inputs may bring their own evidence.
    `verifiers`: handles of the actors that serve the language model of a decomposer or checker.
    """

    name: ClassVar[str] = FACTUALITY

    def __init__(self, config: FactualityConfig, corpus: bool = True, verifiers: Sequence[Any] = ()):
        self._config, self._needs_corpus = config, corpus
        self._verifier = RemoteVerifier(verifiers) if verifiers else None

    @staticmethod
    def applies_to(prompt: Prompt) -> bool:
        return bool(prompt.fact_based)

    def ready(self) -> int:
        """How many passages the corpus has. Raises what makes it unusable; an error in the constructor would kill the actor."""
        with naming_node():
            check_paths(self._config, self._needs_corpus)
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
        """For each question its position, the checker's threshold (the support score from which a fact is true), and its id."""
        yield from numbered((self._checker.threshold, self._checker.identity) for _ in questions)

    def score(self, groups: Sequence[Group]) -> Iterator[tuple[int, tuple[RewardResult, ...]]]:
        tasks = [Task(group.prompt, response) for group in groups for response in group.responses_G]
        yield from by_group(groups, self._reward.score(tasks))

    def score_tasks(self, tasks: Sequence[Task]) -> Iterator[tuple[int, FactScore | Missing]]:
        """The position of each task and its result."""
        yield from numbered(self._reward.score(tasks))

    def check(self, tasks: Sequence[FactTask]) -> Iterator[tuple[int, Verdict]]:
        """The position of each fact and the verdict on it."""
        yield from numbered(self._reward.check(tasks))

    def classify_sentences(self, sentences: Sequence[str]) -> Iterator[tuple[int, float]]:
        """The position of each sentence and the probability that it carries factual knowledge."""
        yield from numbered(make_sentence_classifier(self._config, self._verifier).probabilities(sentences))


class _Corpus:
    """The passages of a corpus. The first question reads and indexes them, and raises an error if that fails."""

    def __init__(self, config: FactualityConfig):
        self._config = config

    def open(self) -> int:
        """Read and index the corpus; returns the number of its passages."""
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
