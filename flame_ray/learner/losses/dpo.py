"""DPO, direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290, equation 7).

loss = -log sigmoid(beta h),  h = log(policy / reference) of the chosen side - the same of the rejected side
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from flame_ray.config import LearnerConfig
from flame_ray.engines.batch import Batch
from flame_ray.learner.losses import LossOutput, margins, preference_metrics


@dataclass(frozen=True)
class Dpo:
    beta: float
    needs_reference: ClassVar[bool] = True

    def __call__(self, logps_2D: Tensor, reference_2D: Tensor, batch: Batch) -> LossOutput:
        margin_D = margins(logps_2D, reference_2D, self.beta)
        return LossOutput(-logsigmoid(margin_D), preference_metrics(margin_D))


def make(config: LearnerConfig) -> Dpo:
    return Dpo(config.beta)
