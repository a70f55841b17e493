"""GRPO (Shao et al. 2024, arXiv 2402.03300, equation 3) with the ratio of whole responses, as in GSPO (Zheng et al. 2025, arXiv
2507.18071, equations 5 and 7).

    loss = -min(s A, clip(s, 1 - e, 1 + e) A) + k KL
    s = exp(d),  d = log(policy / reference) / tokens of the response,  e = `learner.clip`
    KL = exp(-d) + d - 1,  k = `learner.kl_weight`

A is the response's advantage in its group, and the reference is the policy that sampled it, at the start of the round. What
reaches a loss is the log-probability of a response, not of each of its tokens, so the ratio is GSPO's: the geometric mean of
the tokens' ratios, clipped once for the response. KL is GRPO's unbiased estimator (its equation 4) of that mean ratio, against
the same reference; it is 0 at the first step. Where we had to decide: `clip` is 0.2, GRPO's; GSPO's authors clip at 3e-4, for
models and rates of another size. Samplers with a temperature or a nucleus draw from a sharper policy than the one that the
ratio is about. The reward and the advantage are made in `advantages.py`. `clipped`: the share of responses whose ratio has
reached its limit, so that they train no more.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, minimum

from flame_ray.config import LearnerConfig
from flame_ray.engines.batch import Batch
from flame_ray.learner.losses import LossOutput


@dataclass(frozen=True)
class Grpo:
    clip: float
    kl_weight: float
    needs_reference: ClassVar[bool] = True

    def __call__(self, logps_D: Tensor, reference_D: Tensor, batch: Batch) -> LossOutput:
        """An example has one sequence, so that D = N."""
        change_D = (logps_D - reference_D) / batch.counted_lengths_N
        ratio_D = change_D.exp()
        free_D = ratio_D * batch.advantages_D
        limited_D = ratio_D.clamp(1 - self.clip, 1 + self.clip) * batch.advantages_D
        kl_D = (-change_D).exp() + change_D - 1
        loss_D = -minimum(free_D, limited_D) + self.kl_weight * kl_D
        return LossOutput(loss_D, {"ratio": ratio_D, "clipped": limited_D < free_D, "kl": kl_D})


def make(config: LearnerConfig) -> Grpo:
    return Grpo(config.clip, config.kl_weight)
