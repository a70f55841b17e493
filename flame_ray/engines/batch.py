"""Token sequences as the tensors that a training engine runs on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flame_ray.engines.base import Continuation
from flame_ray.errors import DataError

PAD = 0  # any valid id: attention skips padding, and no loss reads it


@dataclass(frozen=True, slots=True)
class Batch:
    """N left-padded sequences of D examples: every sequence ends in the last column, so all responses lie in the last R.

    `token_ids`, `attention_mask`, `position_ids`: [N, T]; `response_mask`: [N, R], true where a response has a token.
    `weights_D`, `indices_D`: [D], an example's weight and its place in the round. N is a multiple of D: rows 0..D-1 are the
    examples' first sequences, rows D..2D-1 their second ones (of preference pairs: the chosen, then the rejected sides).
    """

    token_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    response_mask: Tensor
    weights_D: Tensor
    indices_D: Tensor

    @property
    def response_ids(self) -> Tensor:
        """The last R columns of the ids, [N, R]; where the mask is false they are prompt or padding."""
        return self.token_ids[:, -self.response_mask.shape[1] :]

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(getattr(self, name).to(device) for name in self.__slots__))


def left_padded(sequences: Sequence[Continuation]) -> Batch:
    """Each sequence as a row and an example of its own, of weight 1. Raises DataError for an empty prompt or response."""
    if not all(each.prompt_token_ids and each.token_ids for each in sequences):
        raise DataError(
            "a prompt and a response of at least one token each", "an empty one", "drop empty responses when pairing"
        )
    columns = max(len(each.prompt_token_ids) + len(each.token_ids) for each in sequences)
    responses = max(len(each.token_ids) for each in sequences)
    token_ids = torch.full((len(sequences), columns), PAD)
    attention_mask = torch.zeros_like(token_ids)
    response_mask = torch.zeros(len(sequences), responses, dtype=torch.bool)
    for row, each in enumerate(sequences):
        ids = [*each.prompt_token_ids, *each.token_ids]
        token_ids[row, -len(ids) :] = torch.tensor(ids)
        attention_mask[row, -len(ids) :] = 1
        response_mask[row, -len(each.token_ids) :] = True
    position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)
    weights, indices = torch.ones(len(sequences)), torch.arange(len(sequences))
    return Batch(token_ids, attention_mask, position_ids, response_mask, weights, indices)
