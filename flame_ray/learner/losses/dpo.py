"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, equation 7), as maths on tensors.

In: logits and log-probabilities. Out: a loss and sums for the report. Knows no model, optimizer, rank or file.
D pairs; rows 0..D-1 are the chosen sides, rows D..2D-1 the rejected ones; R response columns; V the vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

ROWS_AT_ONCE = 64  # 64 rows of a 49k vocabulary are 12 MB in float32: near the processor's cache


@dataclass(frozen=True, slots=True)
class DpoSums:
    """Weighted sums over the pairs of a micro-batch, detached: `loss`, `accuracy` and `margin` over `pairs` are the means."""

    loss: Tensor
    accuracy: Tensor
    margin: Tensor
    pairs: Tensor

    def stack(self) -> Tensor:
        return torch.stack([self.loss, self.accuracy, self.margin, self.pairs])


def response_logps(logits: Tensor, token_ids: Tensor, mask: Tensor) -> Tensor:
    """Log-probability of each response: the sum of its tokens', [2D]. Arguments as in `token_logps`."""
    return token_logps(logits, token_ids, mask).sum(-1)


def token_logps(logits: Tensor, token_ids: Tensor, mask: Tensor) -> Tensor:
    """Log-probability of each token in float32, 0 where the mask is false: [2D, R].

    `logits` [2D, R + 1, V] are those of the column before the responses and of the response columns, so that
    `logits[:, t]` predicts `token_ids[:, t]` [2D, R]; the last column's prediction is not used.
    """
    return _TokenLogps.apply(logits, token_ids, mask)


class _TokenLogps(torch.autograd.Function):
    """The picked logit less the log-sum-exp, a few rows of the vocabulary at a time.

    Written out because the plain expression holds, and passes over, the whole vocabulary in float32 several times in
    each direction, for masked columns too; this one keeps the logits as the model made them and one number a token.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, token_ids: Tensor, mask: Tensor) -> Tensor:
        rows, columns = mask.nonzero(as_tuple=True)
        picked_ids = token_ids[rows, columns]
        norms = torch.empty(len(rows), device=logits.device)
        picked = torch.empty_like(norms)
        for part in _parts(len(rows)):
            scores = logits[rows[part], columns[part]].float()
            norms[part] = scores.logsumexp(-1)
            picked[part] = scores.gather(-1, picked_ids[part, None])[:, 0]
        ctx.save_for_backward(logits, rows, columns, picked_ids, norms)
        result = torch.zeros(mask.shape, device=logits.device)
        result[rows, columns] = picked - norms
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """d logp / d logits = (one-hot of the token - softmax), times what comes from above."""
        logits, rows, columns, picked_ids, norms = ctx.saved_tensors
        grad = grads[0][rows, columns]
        result = torch.zeros_like(logits)
        for part in _parts(len(rows)):
            scores = logits[rows[part], columns[part]].float()
            slope = scores.sub_(norms[part, None]).exp_().mul_(-grad[part, None])
            slope.scatter_add_(-1, picked_ids[part, None], grad[part, None])
            result[rows[part], columns[part]] = slope.to(logits.dtype)
        return result, None, None


def _parts(count: int) -> Iterator[slice]:
    for start in range(0, count, ROWS_AT_ONCE):
        yield slice(start, start + ROWS_AT_ONCE)


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


def chosen_nll(policy_logps_2D: Tensor, lengths_2D: Tensor, weights_D: Tensor, normaliser: float) -> Tensor:
    """Negative log-likelihood of the chosen sides, nats a token, summed, over `normaliser` (weights and it as in `dpo_loss`).

    The margin alone lets a chosen response become unlikely as long as the rejected one does so faster; at a high rate that
    ends in text that nobody wrote. This keeps it likely (Pang et al. 2024, arXiv 2404.19733, equation 1). `lengths_2D`: tokens.
    """
    nll_D, _ = (-policy_logps_2D / lengths_2D).chunk(2)
    return (nll_D * weights_D).sum() / normaliser
