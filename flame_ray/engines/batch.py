"""What the project asks of an engine that trains (DeepSpeed), and the tensors that it runs on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from flame_ray.engines.base import Continuation
from flame_ray.errors import DataError

if TYPE_CHECKING:  # importing this module must not import DeepSpeed
    from flame_ray.engines.host_states import HostStates
    from flame_ray.engines.merging import MergedWeights

PAD = 0  # any valid id: attention skips padding, and no loss reads it


@dataclass(frozen=True, slots=True)
class Batch:
    """U rows of the distinct sequences of D examples; all responses lie in the last R columns.

    `token_ids`, `attention_mask`, `position_ids`: [U, T]. A row is left-padded and has one sequence, or it has several (see
    packing.py): then `attention_mask` is None, and the positions tell them apart, or it is [U, 1, T, T], true where a column
    sees another. `response_mask`: [U, R], true where a response has a token.
    `rows_N`: [N], the row of each sequence of the examples, which may share rows. N is a multiple of D: 0..D-1 are the
    examples' first sequences, D..2D-1 their second ones (of preference pairs: the chosen, then the rejected sides).
    `responses_NR`: [N, R], true where its row has a token of the sequence's response; `counted_NR`: [N, R], of these the tokens
    that count in the sequence's log-probability.
    `weights_D`, `indices_D`: [D], an example's weight and its place in the round. `fact_gaps_D`: [D], by how much its first
    sequence is more factual than its second, in [0, 1]; 0 where that is not known. `flipped_D`: [D], 1 for a pair that was
    turned round, else 0. `advantages_D`: [D], of single responses, in standard deviations of their group.
    """

    token_ids: Tensor
    attention_mask: Tensor | None
    position_ids: Tensor
    response_mask: Tensor
    rows_N: Tensor
    responses_NR: Tensor
    counted_NR: Tensor
    weights_D: Tensor
    indices_D: Tensor
    fact_gaps_D: Tensor
    flipped_D: Tensor
    advantages_D: Tensor

    @property
    def response_ids(self) -> Tensor:
        """The last R columns of the ids, [U, R]; where the mask is false they are prompt or padding."""
        return self.token_ids[:, -self.response_mask.shape[1] :]

    @property
    def response_lengths_N(self) -> Tensor:
        """Tokens of each sequence's response."""
        return self.responses_NR.sum(-1)

    @property
    def counted_lengths_N(self) -> Tensor:
        """Tokens of each sequence's response that count."""
        return self.counted_NR.sum(-1)

    def summed(self, token_logps: Tensor) -> Tensor:
        """The log-probability of each sequence, [N]: of its tokens' ones [U, R], the sum over those that count."""
        return token_logps[self.rows_N].masked_fill(~self.counted_NR, 0.0).sum(-1)

    def to(self, device: torch.device) -> "Batch":
        fields: Any = (getattr(self, name) for name in self.__slots__)
        moved: Any = (None if value is None else value.to(device) for value in fields)
        return Batch(*moved)


def left_padded(sequences: Sequence[Continuation]) -> Batch:
    """Each sequence as a row and an example of its own, of weight 1, of which every response token counts.

    Raises DataError for an empty prompt or response.
    """
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
    weights, places, none = torch.ones(len(sequences)), torch.arange(len(sequences)), torch.zeros(len(sequences))
    rows = token_ids, attention_mask, position_ids, response_mask
    return Batch(*rows, places, response_mask, response_mask, weights, places, none, none, none)


# Log-probabilities of a batch's responses [N] -> the scalar to minimise, and sums for the report by name.
Objective = Callable[[Tensor, Batch], tuple[Tensor, dict[str, Tensor]]]


class TrainingEngine(Protocol):
    """One rank of a model that trains. Every method is collective: all ranks call it, in the same order.

    `layout`: how sequences lie in the rows of the batches that it is given. `merged`: the current weights as a plain checkpoint
    has them. `host_states`: moves the rank off its GPU and back. `gradient_norm`: of the last step's whole gradient, before it
    was cut; None: not known.
    """

    rank: int
    world: int
    layout: Callable[[Sequence[Continuation]], Batch]
    merged: "MergedWeights"
    host_states: "HostStates"

    @property
    def gradient_norm(self) -> float | None: ...

    def logps(self, batch: Batch, reference: bool = False) -> Tensor:
        """Log-probability of each sequence's response, [N] on the CPU.

        With `reference`: under the averaged weights if `learner.reference` is `average`, else under those before any training.
        Before the first step they are those that `step` computes for the same batch, to the last bit.
        """
        ...

    def token_logps(self, sequences: Sequence[Continuation], added: bool, initial: bool) -> list[list[float]]:
        """Log-probability of each token of the sequences; with `initial`, under the weights before any training.

        An adapter is merged in exactly, or with `added` it is added to its layers' outputs, as in training.
        """
        ...

    def step(self, batches: Sequence[Batch], objective: Objective, lr: float) -> dict[str, Tensor]:
        """One optimizer step on the sum of `objective` over all ranks' batches.

        Returns the sums that `objective` reports, over this rank's batches. Raises EngineError if the sum is not finite.
        """
        ...

    def sum_over_ranks(self, values: Tensor) -> Tensor: ...

    def forget_moments(self) -> None:
        """Reset Adam's moments, so that a round depends only on the weights it starts from."""
        ...

    def update_average(self, decay: float) -> None:
        """Let the current weights into the averaged ones: average = decay x average + (1 - decay) x weights."""
        ...

    def save_adapter(self, folder: Path) -> None:
        """Rank 0 writes the LoRA adapter; without LoRA there is none."""
        ...

    def save_merged(self, folder: Path) -> None:
        """Rank 0 writes the whole model with a tokenizer."""
        ...

    def save_state(self, folder: Path) -> None:
        """Rank 0 writes float32 weights, averaged ones, and Adam's moments.

        Any number of ranks and ZeRO stage can load them.
        """
        ...

    def load_state(self, folder: Path) -> None:
        """Continue from what `save_state` wrote; every rank reads it."""
        ...
