"""Pairs -> tensors, from the sampler's own token ids: nothing is rendered or tokenized again.

In: the pairs of a round. Out: global batches, the slice of one rank, micro-batches, and their tensors.
Knows no model. The stop token is already the last of `token_ids` when the model ended its text.
D pairs; rows 0..D-1 are the chosen sides, rows D..2D-1 the rejected ones; T columns, of which the last R may be response.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor

from flame_ray.errors import DataError
from flame_ray.types import Pair

PAD = 0  # any valid id: a padded column is never attended to and never scored


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in a batch: a pair, its `index` in the round's pairs, and its weight (0 for a copy that only pads)."""

    pair: Pair
    index: int
    weight: float = 1.0

    @property
    def tokens(self) -> int:
        """Tokens of the longer side: the columns that the pair takes in a batch."""
        return max(len(side.prompt_token_ids) + len(side.token_ids) for side in (self.pair.chosen, self.pair.rejected))

    @property
    def response_tokens(self) -> int:
        return len(self.pair.chosen.token_ids) + len(self.pair.rejected.token_ids)


@dataclass(frozen=True, slots=True)
class Batch:
    """Left-padded sequences: every one ends in the last column, so that all responses lie in the last R columns.

    `token_ids`, `attention_mask`, `position_ids`: [2D, T]; `response_mask`: [2D, R]; `weights_D` and `indices_D`: [D].
    """

    token_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    response_mask: Tensor
    weights_D: Tensor
    indices_D: Tensor

    @property
    def response_ids(self) -> Tensor:
        """The last R columns of the ids, [2D, R]; those that the mask leaves out are prompt or padding."""
        return self.token_ids[:, -self.response_mask.shape[1] :]

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(getattr(self, name).to(device) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Example:
    """One micro-batch to train on, with its reference log-probabilities [2D]."""

    batch: Batch
    reference_logps_2D: Tensor


def global_batches(pairs_D: Sequence[Pair], batch_pairs: int, seed: int | str) -> list[list[Slot]]:
    """The pairs in an order that `seed` alone decides, cut into batches; the last is filled up with weight-0 copies."""
    slots_D = slots(pairs_D)
    Random(seed).shuffle(slots_D)
    cuts = [slots_D[start : start + batch_pairs] for start in range(0, len(slots_D), batch_pairs)]
    return [padded(cut, batch_pairs) for cut in cuts]


def slots(pairs_D: Sequence[Pair]) -> list[Slot]:
    return [Slot(pair, index) for index, pair in enumerate(pairs_D)]


def padded(batch: list[Slot], multiple: int) -> list[Slot]:
    """The batch, filled up to a multiple with weight-0 copies of its shortest pair (the cheapest to run)."""
    filler = replace(min(batch, key=lambda slot: slot.tokens), weight=0.0)
    return batch + [filler] * (-len(batch) % multiple)


def rank_slice(batch: list[Slot], rank: int, world: int) -> list[Slot]:
    """Every world-th slot of the batch in order of length: ranks get equal work, and neighbours need little padding."""
    if len(batch) % world:
        raise ValueError(f"a batch of {len(batch)} does not divide over {world} ranks: pad it first")
    return sorted(batch, key=lambda slot: (slot.tokens, slot.index), reverse=True)[rank::world]


def micro_batches(slots_D: list[Slot], pairs: int) -> Iterator[Batch]:
    for start in range(0, len(slots_D), pairs):
        yield collate(slots_D[start : start + pairs])


def collate(slots_D: list[Slot]) -> Batch:
    """Chosen rows first, then rejected ones. Both sides of a pair must have been sampled from the very same prompt."""
    for slot in slots_D:
        if slot.pair.chosen.prompt_token_ids != slot.pair.rejected.prompt_token_ids:
            raise DataError(
                "two sides of a pair with the same prompt tokens",
                f"{slot.pair.chosen.id} and {slot.pair.rejected.id} differ",
                "sample both sides from one rendering of the prompt",
            )
    sides_2D = [slot.pair.chosen for slot in slots_D] + [slot.pair.rejected for slot in slots_D]
    rows = left_padded([(side.prompt_token_ids, side.token_ids) for side in sides_2D])
    return replace(
        rows,
        weights_D=torch.tensor([slot.weight for slot in slots_D]),
        indices_D=torch.tensor([slot.index for slot in slots_D]),
    )


def left_padded(sequences: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Batch:
    """Sequences of (prompt ids, response ids) as rows, without weights; the mask covers response tokens only."""
    if not all(prompt and response for prompt, response in sequences):
        raise DataError(
            "a prompt and a response of at least one token each", "an empty one", "drop empty responses when pairing"
        )
    columns = max(len(prompt) + len(response) for prompt, response in sequences)
    responses = max(len(response) for _, response in sequences)
    token_ids = torch.full((len(sequences), columns), PAD)
    attention_mask = torch.zeros_like(token_ids)
    response_mask = torch.zeros(len(sequences), responses, dtype=torch.bool)
    for row, (prompt, response) in enumerate(sequences):
        ids = [*prompt, *response]
        token_ids[row, -len(ids) :] = torch.tensor(ids)
        attention_mask[row, -len(ids) :] = 1
        response_mask[row, -len(response) :] = True
    position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)
    return Batch(token_ids, attention_mask, position_ids, response_mask, torch.empty(0), torch.empty(0, dtype=torch.long))
