"""Mask-DPO (Gu et al. 2025, arXiv 2503.02846): DPO in which only the true sentences of the chosen side and only the false
sentences of the rejected side count.

    loss = -log sigmoid(beta h),  h as in DPO, but with log-probabilities summed over the tokens of these sentences alone

So a true sentence is not made unlikely because it stands in a rejected response, nor a false one likely because it stands in a
chosen one. The masks are made by `pair_examples` and kept in `Batch.counted_NR`; reference and policy are summed over the same
tokens. Where we had to decide: a sentence is true if all of its facts that count are supported, false if one of them is not,
and neither if none counts (a greeting, a repetition); what is neither counts on no side, nor does the end-of-text token. (The
authors' code, open-compass/ANAH, maskdpo/dataset.py, drops only hallucinated sentences from the chosen side and only the others
from the rejected side, so that text without facts counts on both.) Pairs that factuality does not order, or that have no
verdicts, count as a whole. The metrics are DPO's, with the shares of tokens that count on each side.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from flame_ray.config import LearnerConfig
from flame_ray.engines.batch import Batch
from flame_ray.learner.losses import LossOutput, margins, preference_metrics


@dataclass(frozen=True)
class MaskDpo:
    beta: float
    needs_reference: ClassVar[bool] = True

    def __call__(self, logps_2D: Tensor, reference_2D: Tensor, batch: Batch) -> LossOutput:
        margin_D = margins(logps_2D, reference_2D, self.beta)
        chosen_D, rejected_D = (batch.counted_lengths_N / batch.response_lengths_N).chunk(2)
        shares = {"chosen_counted": chosen_D, "rejected_counted": rejected_D}
        return LossOutput(-logsigmoid(margin_D), preference_metrics(margin_D) | shares)


def make(config: LearnerConfig) -> MaskDpo:
    return MaskDpo(config.beta)
