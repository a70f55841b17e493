"""Log-probabilities of tokens from a model's logits. N rows, R response columns, V words in the vocabulary."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

TOKENS_AT_ONCE = 64  # the logits of 64 tokens over a 49k vocabulary are 12 MB in float32: about a processor's cache


def response_logps(logits: Tensor, token_ids: Tensor, mask: Tensor, owners: Tensor | None = None) -> Tensor:
    """Log-probability of each response, [N]: the sum over its tokens. Arguments as in `token_logps`."""
    return summed(token_logps(logits, token_ids, mask), owners)


def summed(values: Tensor, owners: Tensor | None) -> Tensor:
    """The sum of each row of `values` [N, R]; with `owners` [N, R], of each sequence, whose number its columns have (-1: no
    sequence's).
    """
    if owners is None:
        return values.sum(-1)
    is_owned = owners >= 0
    sums = torch.zeros(int(owners.max()) + 1, dtype=values.dtype, device=values.device)
    return sums.index_add(0, owners[is_owned], values[is_owned])


def token_logps(logits: Tensor, token_ids: Tensor, mask: Tensor) -> Tensor:
    """Log-probability of each token in float32, 0 where the mask is false: [N, R].

    `logits` [N, R + 1, V] begin one column before the responses, so that `logits[:, t]` predicts `token_ids[:, t]` [N, R];
    the last column's prediction is not used.
    """
    return _TokenLogps.apply(logits, token_ids, mask)


class _TokenLogps(torch.autograd.Function):
    """The token's logit minus the log-sum-exp, for a few tokens at a time.

    `log_softmax` and `gather` would copy all logits to float32 several times in each direction, masked columns included.
    This function keeps the logits as the model made them, and one number a token.
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
        """d logp / d logits = one-hot of the token - softmax, times the incoming gradient."""
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
    for start in range(0, count, TOKENS_AT_ONCE):
        yield slice(start, start + TOKENS_AT_ONCE)
