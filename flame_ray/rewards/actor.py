"""One factuality worker (made a Ray actor by runtime/workers.py): it reads the corpus and indexes it once.

In: prompts and their responses. Out: one FactScore a response, or `Missing` with the reason. In a file of its own: bm25s
brings numba, and vLLM 0.32 cannot start in a process that has imported it.
"""

from collections.abc import Iterator, Sequence

from flame_ray.config import FactualityConfig
from flame_ray.rewards.check import LexicalChecker
from flame_ray.rewards.corpus import load_corpus
from flame_ray.rewards.decompose import RuleDecomposer
from flame_ray.rewards.evidence import Evidence
from flame_ray.rewards.factuality import FactualityReward
from flame_ray.rewards.retrieve import Bm25Retriever
from flame_ray.types import FactScore, Group, Missing


class FactualityActor:
    """RM_fact: sentences -> facts -> evidence -> check."""

    def __init__(self, config: FactualityConfig):
        corpus = load_corpus(config.corpus, config.title_column, config.text_column)
        evidence = Evidence(Bm25Retriever(corpus), config.retrieve, config.keep, config.query)
        decomposer, checker = RuleDecomposer(config.decompose), LexicalChecker(config.threshold)
        self._reward = FactualityReward(decomposer, evidence, checker, config.not_found == "unsupported")
        self._passages = len(corpus)

    def ready(self) -> int:
        """How many passages serve as evidence."""
        return self._passages

    def score(self, groups: Sequence[Group]) -> Iterator[tuple[int, tuple[FactScore | Missing, ...]]]:
        """Scores [G] of each group, with its position."""
        yield from enumerate(self._reward.score(groups))
