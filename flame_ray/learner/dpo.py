"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, equation 7), as maths on tensors.

In: logits and log-probabilities. Out: a loss and sums for the report. Knows no model, optimizer, rank or file.
D pairs; rows 0..D-1 are the chosen sides, rows D..2D-1 the rejected ones; R response columns; V the vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


@dataclass(frozen=True, slots=True)
class DpoSums:
    """Weighted sums over the pairs of a micro-batch, detached: `loss`, `accuracy` and `margin` over `pairs` are the means."""

    loss: Tensor
    accuracy: Tensor
    margin: Tensor
    pairs: Tensor

    def stack(self) -> Tensor:
        return torch.stack([self.loss, self.accuracy, self.margin, self.pairs])


def token_logps(logits: Tensor, token_ids: Tensor) -> Tensor:
    """Log-probability of each token: logits [..., V] and token ids [...] give [...], in float32.

    The difference of the picked logit and the log-sum-exp: no log-softmax over the vocabulary is kept.
    """
    logits = logits.float()
    picked = logits.gather(-1, token_ids.unsqueeze(-1)).squeeze(-1)
    return picked - logits.logsumexp(-1)


def response_logps(logits: Tensor, token_ids: Tensor, mask: Tensor) -> Tensor:
    """Sum of the response tokens' log-probabilities: logits [2D, R, V], token ids and mask [2D, R] give [2D].

    `logits[:, t]` must be the prediction of `token_ids[:, t]`: the caller has shifted them by one.
    """
    return token_logps(logits, token_ids).masked_fill(~mask, 0.0).sum(-1)


def dpo_loss(
    policy_logps_2D: Tensor, reference_logps_2D: Tensor, beta: float, weights_D: Tensor, normaliser: float
) -> tuple[Tensor, DpoSums]:
    """-log sigmoid(beta * ((chosen - rejected) - (reference chosen - reference rejected))), summed, over `normaliser`.

    `weights_D` is 1 for a pair and 0 for a copy that only pads the batch; a copy stays in the graph, so that every rank
    runs the same collectives. `normaliser` is the number of real pairs in the *global* batch, so that the sum of the
    losses of all ranks and micro-batches is the mean over pairs, however they are divided.
    """
    rewards_2D = beta * (policy_logps_2D - reference_logps_2D)
    chosen_D, rejected_D = rewards_2D.chunk(2)
    margin_D = chosen_D - rejected_D
    loss_D = -logsigmoid(margin_D) * weights_D
    with torch.no_grad():
        sums = DpoSums(loss_D.sum(), ((margin_D > 0) * weights_D).sum(), (margin_D * weights_D).sum(), weights_D.sum())
    return loss_D.sum() / normaliser, sums
