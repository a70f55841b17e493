"""IPO, identity preference optimization (Azar et al. 2023, arXiv 2310.12036, equation 17).

    loss = (h - 1 / (2 tau))^2,  h as in DPO, tau = `learner.beta`

h is made of the log-probabilities of whole responses, summed over their tokens: the equation is about the probability of a
response, and `beta` keeps the unit that it has in DPO. (Hugging Face TRL takes the mean over tokens instead, since its
pull request 1265, so that the target gap of 1 / (2 tau) is per token there: its `beta` means something else.)
The metrics are DPO's at the same beta, so the loss is 0 where the margin is 1/2.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from flame_ray.config import LearnerConfig
from flame_ray.engines.batch import Batch
from flame_ray.learner.losses import LossOutput, margins, preference_metrics


@dataclass(frozen=True)
class Ipo:
    tau: float
    needs_reference: ClassVar[bool] = True

    def __call__(self, logps_2D: Tensor, reference_2D: Tensor, batch: Batch) -> LossOutput:
        h_D = margins(logps_2D, reference_2D, beta=1.0)
        return LossOutput((h_D - 1 / (2 * self.tau)) ** 2, preference_metrics(self.tau * h_D))


def make(config: LearnerConfig) -> Ipo:
    return Ipo(config.beta)
