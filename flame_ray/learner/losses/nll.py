"""Supervised fine-tuning (FLAME, section 2.1), also on the best of a policy's own responses: the negative log-likelihood of an
answer, in nats a token.

    loss = -log policy(answer | instruction) / (tokens of the answer)

The tokens of the instruction are no part of it. `demonstration_examples` weighs an example by the tokens of its answer, so
that the mean over examples is the mean over tokens: each token counts once, in an answer of any length and in any batch.
The best responses of a round (`advantages.choose_best`) weigh as other responses and pairs do: each prompt counts once.
Of an example with several sequences the first counts: of a preference pair, the chosen side.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from flame_ray.config import LearnerConfig
from flame_ray.engines.batch import Batch
from flame_ray.learner.losses import LossOutput, first_nll


@dataclass(frozen=True)
class Nll:
    needs_reference: ClassVar[bool] = False

    def __call__(self, logps: Tensor, reference: Tensor, batch: Batch) -> LossOutput:
        return LossOutput(first_nll(logps, batch), {})


def make(config: LearnerConfig) -> Nll:
    return Nll()
