"""Attention for sequences that lie one after the other in one row, so that all of them share the passes of the linear layers.

Each sequence attends by itself: to its own columns, and to keys and values that were read before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "flame_ray_segments"
Read = Sequence[tuple[Tensor, Tensor]]  # keys and values [1, K, P, D] of P columns, by block
AttentionMaskInterface.register(NAME, sdpa_mask)


@dataclass(frozen=True, slots=True)
class Segment:
    """T columns of a row. `seen_TP`: [T, P + T], which columns each of them sees, those of `read` first."""

    columns: slice
    seen_TP: Tensor
    read: Read | None = None


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    segments: Sequence[Segment] | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """As transformers' own of SDPA; with `segments`, in their order, for each of them alone, and 0 behind the last one."""
    if segments is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **others)
    layer: Any = module.layer_idx
    found = []
    for each in segments:
        q, k, v = (states[:, :, each.columns] for states in (query, key, value))
        if each.read is not None:
            k, v = (torch.cat(both, dim=2) for both in zip(each.read[layer], (k, v), strict=True))
        found.append(sdpa_attention_forward(module, q, k, v, each.seen_TP[None, None], **others)[0])
    padding = query.new_zeros(1, query.shape[2] - segments[-1].columns.stop, *query.shape[1::2])
    return torch.cat([*found, padding], dim=1), None


AttentionInterface.register(NAME, attend)
