"""Packs several sequences into a row, so that no forward pass computes padding. No sequence sees another one.

The positions of a row start at 0 again where a sequence begins. From that transformers makes a mask that keeps sequences
apart, and lets attention kernels for packed rows skip what it masks. Padding lies at position 0, apart from everything.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from flame_ray.engines.base import Continuation
from flame_ray.engines.batch import PAD, Batch, left_padded
from flame_ray.errors import EngineError

ALIKE = {"float32": 1e-3, "bfloat16": 0.1}  # nats a token, by which a packed sequence may differ from the same one alone
PROBES = (Continuation((1, 2, 3), (4, 5, 6, 7)), Continuation((7, 6), (5, 4, 3)))  # ids that every vocabulary has


def packed(sequences: Sequence[Continuation]) -> Batch:
    """Each sequence as an example of its own, of weight 1, in rows as long as the longest of them (first fit decreasing)."""
    alone = left_padded(sequences)
    rows = _rows([len(each.prompt_token_ids) + len(each.token_ids) for each in sequences], alone.token_ids.shape[1])
    shape = len(rows), alone.token_ids.shape[1]
    token_ids, position_ids = torch.full(shape, PAD), torch.zeros(shape, dtype=torch.long)
    owners = torch.full(shape, -1)  # the number of the sequence that a response token belongs to
    for row, members in enumerate(rows):
        end = shape[1]
        for number in members:
            ids = [*sequences[number].prompt_token_ids, *sequences[number].token_ids]
            token_ids[row, end - len(ids) : end] = torch.tensor(ids)
            position_ids[row, end - len(ids) : end] = torch.arange(len(ids))
            owners[row, end - len(sequences[number].token_ids) : end] = number
            end -= len(ids)
    owners = owners[:, int((owners >= 0).any(0).nonzero()[0]) :]
    rows_N = torch.tensor([row for _, row in sorted((number, row) for row, members in enumerate(rows) for number in members)])
    responses_NR = owners[rows_N] == torch.arange(len(sequences))[:, None]
    return replace(
        alone,
        token_ids=token_ids,
        attention_mask=None,
        position_ids=position_ids,
        response_mask=owners >= 0,
        rows_N=rows_N,
        responses_NR=responses_NR,
        counted_NR=responses_NR,
    )


def check_packing(logps: Callable[[Batch], Tensor], dtype: str) -> None:
    """Raise EngineError unless a model keeps packed sequences apart; `logps` gives the log-probabilities of a batch [N]."""
    gaps = (logps(packed(PROBES)) - logps(left_padded(PROBES))).abs()
    tokens = torch.tensor([len(each.token_ids) for each in PROBES])
    if (gaps / tokens > ALIKE[dtype]).any():
        raise EngineError(
            "a model that keeps packed sequences apart by their positions",
            f"log-probabilities that differ by {float(gaps.max()):.3g} nats from those of the same sequences alone",
            "set learner.packing to false: answers of like length then share a pass",
        )


def _rows(lengths: Sequence[int], columns: int) -> list[list[int]]:
    """The numbers of the sequences in each row; the longest sequences choose first."""
    rows: list[list[int]] = []
    free: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: (-lengths[number], number)):
        row = next((row for row, room in enumerate(free) if room >= lengths[number]), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(columns)
        rows[row].append(number)
        free[row] -= lengths[number]
    return rows
