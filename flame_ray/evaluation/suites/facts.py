"""Measures answers by their facts: the figures that FLAME's tables give for biographies, Alpaca Fact and FAVA."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from flame_ray.config import Config
from flame_ray.evaluation.metrics import METRICS
from flame_ray.evaluation.suites.base import Answered, Figures, Needs, Values, means
from flame_ray.rewards.factuality.records import findings
from flame_ray.rewards.factuality.scores import factscore_of
from flame_ray.types import FACTUALITY, FactScore, ScoredResponse

FIGURES = {  # our names, and those of the metrics of a run
    "precision": "factual_precision",
    "correct_facts": "correct_facts",
    "relevant_correct_facts": "relevant_facts",
    "erroneous_facts": "erroneous_facts",
    "abstentions": "abstention_rate",
}


@dataclass(frozen=True, slots=True)
class FactMeasure:
    """Precision without a penalty for short answers (FLAME's FS), beside what shows that it was not bought by saying less.

    `factscore` has FActScore's penalty (`score.gamma`). `f1_at_K` (K is `score.recall_at`) is 0 for an answer that states no
    fact; such an answer has no precision. It counts all facts or, `as_safe`, only those that answer the prompt, as SAFE does
    (arXiv 2403.18802, sections 3 and 5).
    """

    as_safe: bool = False
    needs: ClassVar[Needs] = "facts"

    def values(self, answered: Answered, config: Config) -> Values:
        scored = ScoredResponse(answered.response, {FACTUALITY: answered.facts} if answered.facts else {})
        counting = config.evaluation.model_copy(update={"recall_at": config.score.recall_at, "recall_weight": 1.0})
        found = {name: METRICS[metric](scored, counting) for name, metric in FIGURES.items()}
        f1 = METRICS["f_at_k"](_relevant(scored) if self.as_safe else scored, counting)
        return found | {"factscore": _factscore(answered, config.score.gamma), f"f1_at_{config.score.recall_at}": f1}

    def figures(self, answered_P: Sequence[Answered], config: Config) -> Figures:
        return means([self.values(each, config) for each in answered_P], config)

    def columns(self, answered: Answered, config: Config) -> dict[str, Any]:
        if answered.facts is None:
            return {}
        f1 = self.values(answered, config)[f"f1_at_{config.score.recall_at}"]
        return findings(answered.facts, config.score) | ({"f1_at_k": f1} if self.as_safe else {})


def _relevant(scored: ScoredResponse) -> ScoredResponse:
    """The response as if it stated only what answers the prompt."""
    score = scored.rewards.get(FACTUALITY)
    if not isinstance(score, FactScore):
        return scored
    kept = replace(score, verdicts=tuple(verdict for verdict in score.verdicts if verdict.relevant))
    return replace(scored, rewards={**scored.rewards, FACTUALITY: kept})


def _factscore(answered: Answered, gamma: float) -> float | None:
    score = answered.facts
    return factscore_of(score, gamma) if isinstance(score, FactScore) else None
