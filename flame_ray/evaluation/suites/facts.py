"""Measures answers by their facts: the figures that FLAME's tables give for biographies, Alpaca Fact and FAVA."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from flame_ray.config import Config
from flame_ray.evaluation.metrics import bootstrap_mean, evaluate_responses
from flame_ray.evaluation.suites.base import Answered, Figures, Needs
from flame_ray.rewards.factuality.records import findings
from flame_ray.rewards.factuality.scores import length_penalty
from flame_ray.types import FACTUALITY, FactScore, ScoredResponse


@dataclass(frozen=True, slots=True)
class FactMeasure:
    """Precision without a penalty for short answers (FLAME's FS), beside what shows that it was not bought by saying less.

    `factscore` has FActScore's penalty (`score.gamma`). `f1_at_K` (K is `score.recall_at`) is 0 for an answer that states no
    fact (SAFE, arXiv 2403.18802, section 5); such an answer has no precision.
    """

    needs: ClassVar[Needs] = "facts"

    def figures(self, answered_P: Sequence[Answered], config: Config) -> Figures:
        scored_P = [ScoredResponse(each.response, {FACTUALITY: each.facts}) for each in answered_P if each.facts]
        counting = config.evaluation.model_copy(update={"recall_at": config.score.recall_at, "recall_weight": 1.0})
        found = evaluate_responses([each.prompt for each in answered_P], scored_P, counting, config.run.seed)
        penalized = [value for each in answered_P if (value := _factscore(each, config.score.gamma)) is not None]
        return {
            "precision": found.factual_precision,
            "factscore": bootstrap_mean(penalized, config.evaluation.bootstrap, config.run.seed),
            f"f1_at_{config.score.recall_at}": found.f_at_k,
            "correct_facts": found.correct_facts,
            "relevant_correct_facts": found.relevant_facts,
            "erroneous_facts": found.erroneous_facts,
            "abstentions": found.abstention_rate,
        }

    def columns(self, answered: Answered, config: Config) -> dict[str, Any]:
        return {} if answered.facts is None else findings(answered.facts, config.score)


def _factscore(answered: Answered, gamma: float) -> float | None:
    score = answered.facts
    if not isinstance(score, FactScore) or score.precision is None:
        return None
    return score.precision * length_penalty(score.counted, gamma)
