"""F-DPO, factuality-aware DPO (Chaduvula et al. 2026, arXiv 2601.03027): DPO that asks a larger margin of pairs that differ in
factuality, after each pair that prefers the less factual side was turned round.

    loss = -log sigmoid(beta (h - lambda g)),  h as in DPO, lambda = `learner.fact_margin`

g is how much more factual the chosen side is. The authors label each side 1 if it hallucinates and else 0, so that after the
turning g = label(rejected) - label(chosen) is 0 or 1. Here responses have graded scores, so g is the difference of RM_fact as
pairs are ranked by it, which is in [0, 1] and is theirs where the scores are 0 and 1. With g = 0 the loss is DPO's; so it is
for a pair of which a side has no score, such as those of prompts that need no facts. The equation is that of the authors'
repository (VectorInstitute/Factual-Preference-Alignment, src/aixpert/training/README.md). Turning round is
`pairs.factual_first`. The metrics are DPO's, with `fact_gap` (g) and `flipped`, the share of pairs that were turned round.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from flame_ray.config import LearnerConfig
from flame_ray.engines.batch import Batch
from flame_ray.learner.losses import LossOutput, margins, preference_metrics


@dataclass(frozen=True)
class FactualDpo:
    beta: float
    fact_margin: float
    needs_reference: ClassVar[bool] = True

    def __call__(self, logps_2D: Tensor, reference_2D: Tensor, batch: Batch) -> LossOutput:
        margin_D = margins(logps_2D, reference_2D, self.beta)
        loss_D = -logsigmoid(margin_D - self.beta * self.fact_margin * batch.fact_gaps_D)
        facts = {"fact_gap": batch.fact_gaps_D, "flipped": batch.flipped_D}
        return LossOutput(loss_D, preference_metrics(margin_D) | facts)


def make(config: LearnerConfig) -> FactualDpo:
    return FactualDpo(config.beta, config.fact_margin)
