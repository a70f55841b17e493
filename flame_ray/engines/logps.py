"""Log-probabilities of tokens. N rows, R response columns, V words in the vocabulary, M tokens, C values of a hidden state."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

TOKENS_AT_ONCE = 64  # the logits of 64 tokens over a 49k vocabulary are 12 MB in float32: about a processor's cache
TOKENS_IN_CORE = 16  # those of 16 tokens: about what the cores' own caches hold
TOKENS_A_PRODUCT = 1024  # so many tokens' logits are in memory at a time


def token_logps(logits: Tensor, token_ids: Tensor, mask: Tensor) -> Tensor:
    """Log-probability of each token in float32, 0 where the mask is false: [N, R].

    `logits` [N, R + 1, V] begin one column before the responses, so that `logits[:, t]` predicts `token_ids[:, t]` [N, R];
    the last column's prediction is not used.
    """
    return _TokenLogps.apply(logits, token_ids, mask)


def head_logps(hidden: Tensor, weight: Tensor, token_ids: Tensor) -> Tensor:
    """Log-probability in float32 of each token [M], which an output layer without bias, that does not learn, predicts from its
    hidden state. `hidden` [M, C], `weight` [V, C].
    """
    return _HeadLogps.apply(hidden, weight, token_ids)


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


class _HeadLogps(torch.autograd.Function):
    """The output layer and its log-softmax together, so that no logit outlives the few tokens that are computed at a time.

    Each log-probability depends on one hidden state, so the forward pass can already take its slope along that state:
    (one-hot of the token - softmax) W. The backward pass multiplies it by the incoming gradient.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, token_ids: Tensor) -> Tensor:
        found = torch.empty(len(hidden), device=hidden.device)
        slopes = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        at_once = TOKENS_IN_CORE if hidden.device.type == "cpu" else TOKENS_A_PRODUCT
        for part in _parts(len(hidden), TOKENS_A_PRODUCT):
            logits, ids, logps = nn.functional.linear(hidden[part], weight), token_ids[part, None], found[part]
            for few in _parts(len(logits), at_once):
                scores = logits[few].float().log_softmax(-1)
                logps[few] = scores.gather(-1, ids[few])[:, 0]
                if slopes is not None:
                    logits[few] = scores.exp_().neg_().scatter_add_(-1, ids[few], torch.ones_like(scores[:, :1]))
            if slopes is not None:
                slopes[part] = logits @ weight
        ctx.save_for_backward(slopes)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return (slopes * grads[0][:, None]).to(slopes.dtype), None, None


def _parts(count: int, most: int = TOKENS_AT_ONCE) -> Iterator[slice]:
    for start in range(0, count, most):
        yield slice(start, start + most)
