"""cDPO, conservative DPO: DPO with smoothed labels, for pairs of which a share `label_smoothing` may be the wrong way round.

    loss = -(1 - e) log sigmoid(beta h) - e log sigmoid(-beta h),  h as in DPO, e = label_smoothing

Its minimum is at beta h = log((1 - e) / e): unlike DPO's, the margin of a pair does not grow without bound. (Mitchell 2023,
"A note on DPO with noisy preferences and relationship to IPO", equation 3; compared with other losses for noisy pairs by
Chowdhury et al. 2024, arXiv 2403.00409.)
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from flame_ray.config import LearnerConfig
from flame_ray.engines.batch import Batch
from flame_ray.learner.losses import LossOutput, margins, preference_metrics


@dataclass(frozen=True)
class ConservativeDpo:
    beta: float
    label_smoothing: float
    needs_reference: ClassVar[bool] = True

    def __call__(self, logps_2D: Tensor, reference_2D: Tensor, batch: Batch) -> LossOutput:
        margin_D = margins(logps_2D, reference_2D, self.beta)
        loss_D = -(1 - self.label_smoothing) * logsigmoid(margin_D) - self.label_smoothing * logsigmoid(-margin_D)
        return LossOutput(loss_D, preference_metrics(margin_D))


def make(config: LearnerConfig) -> ConservativeDpo:
    return ConservativeDpo(config.beta, config.label_smoothing)
