"""Nucleus sampling on a CPU, from the likeliest tokens alone, as a logits processor of vLLM.

vLLM sorts the whole vocabulary at each step. A nucleus rarely has more than some hundred tokens, so that the largest logits
are enough to find it; a row for which they are not is sorted.
"""

from typing import Any

import torch
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, process_dict_updates

ASKED = "nucleus"  # in SamplingParams.extra_args: the probability p of the nucleus
WIDTH = 256  # so many of the largest logits are looked at


class NucleusProcessor(LogitsProcessor):
    """Keeps the nucleus of each request that asks for one. vLLM applies it after the temperature."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool):
        self._p: dict[int, float] = {}  # by the request's row

    def is_argmax_invariant(self) -> bool:
        return True

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        process_dict_updates(self._p, batch_update, lambda params, *_: (params.extra_args or {}).get(ASKED))

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        if not self._p:
            return logits
        rows, p = torch.tensor(list(self._p)), torch.tensor(list(self._p.values()))
        if len(rows) == len(logits):
            return keep_nucleus(logits, p[rows.argsort()])
        logits[rows] = keep_nucleus(logits[rows], p)
        return logits


def keep_nucleus(logits_BV: torch.Tensor, p_B: torch.Tensor, width: int = WIDTH) -> torch.Tensor:
    """Logits [B, V] with -inf for each token whose likelier ones have a probability of p [B] together (Holtzman et al. 2020,
    arXiv 1904.09751). As p > 0, the likeliest token stays. Rows whose nucleus is wider than `width` are sorted.
    """
    largest_BW, tokens_BW = logits_BV.topk(min(width, logits_BV.shape[1]), dim=1)
    probabilities_BW = (largest_BW - logits_BV.logsumexp(dim=1, keepdim=True)).exp()
    sums_BW = probabilities_BW.cumsum(dim=1)
    outside_BW = sums_BW - probabilities_BW >= p_B[:, None]
    kept_BV = torch.full_like(logits_BV, -torch.inf)
    kept_BV.scatter_(1, tokens_BW, largest_BW.masked_fill(outside_BW, -torch.inf))
    too_wide_B = (sums_BW[:, -1] < p_B) & (largest_BW.shape[1] < logits_BV.shape[1])
    if too_wide_B.any():
        kept_BV[too_wide_B] = keep_nucleus(logits_BV[too_wide_B], p_B[too_wide_B], logits_BV.shape[1])
    return kept_BV
