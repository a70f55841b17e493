"""What the learner trains on: preference pairs become examples, and examples become batches of tensors.

An example holds the sampler's own token ids: nothing is rendered or tokenized again. The stop token is already the last of
`token_ids` where the model ended its text.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

import torch

from flame_ray.engines.base import Continuation
from flame_ray.engines.batch import Batch, left_padded
from flame_ray.errors import DataError
from flame_ray.types import Pair


@dataclass(frozen=True, slots=True)
class Example:
    """What one term of the loss is made of; every example of a round has the same number of sequences.

    `index`: its place in the round's examples. `sequences`: of a preference pair the chosen, then the rejected side.
    `weight`: how much it counts in the mean loss; 0 for a copy that only fills a batch up.

    >>> prompt, chosen, rejected = (1, 2), (3, 4), (5,)
    >>> Example(0, (Continuation(prompt, chosen), Continuation(prompt, rejected))).columns
    4
    """

    index: int
    sequences: tuple[Continuation, ...]
    weight: float = 1.0

    @property
    def columns(self) -> int:
        """Tokens of its longest sequence."""
        return max(len(each.prompt_token_ids) + len(each.token_ids) for each in self.sequences)

    @property
    def response_tokens(self) -> int:
        return sum(len(each.token_ids) for each in self.sequences)


def pair_examples(pairs_D: Sequence[Pair]) -> tuple[Example, ...]:
    """An example a pair, of weight 1 / (pairs of its prompt), so that each prompt counts once however many pairs it gave.

    Raises DataError where the two sides were not sampled from the very same prompt tokens.
    """
    of_prompt = Counter(pair.prompt_id for pair in pairs_D)
    for pair in pairs_D:
        if pair.chosen.prompt_token_ids != pair.rejected.prompt_token_ids:
            raise DataError(
                "two sides of a pair with the same prompt tokens",
                f"{pair.chosen.id} and {pair.rejected.id} differ",
                "sample both sides from one rendering of the prompt",
            )
    return tuple(
        Example(
            index,
            tuple(Continuation(side.prompt_token_ids, side.token_ids) for side in (pair.chosen, pair.rejected)),
            1 / of_prompt[pair.prompt_id],
        )
        for index, pair in enumerate(pairs_D)
    )


def digest(examples_D: Sequence[Example]) -> str:
    """A hash of a round's examples: their tokens and weights, in their order."""
    tree = [[each.weight, *[[one.prompt_token_ids, one.token_ids] for one in each.sequences]] for each in examples_D]
    return hashlib.sha256(json.dumps(tree).encode()).hexdigest()


def global_batches(examples_D: Sequence[Example], size: int, seed: int) -> list[list[Example]]:
    """The examples in an order that depends on `seed` alone, in batches of `size`; the last one is filled up."""
    shuffled = list(examples_D)
    Random(seed).shuffle(shuffled)
    return [filled_up(shuffled[start : start + size], size) for start in range(0, len(shuffled), size)]


def filled_up(batch: Sequence[Example], multiple: int) -> list[Example]:
    """The batch, extended to a multiple of so many with weight-0 copies of its shortest example (the cheapest to run)."""
    filler = replace(min(batch, key=lambda example: example.columns), weight=0.0)
    return [*batch, *[filler] * (-len(batch) % multiple)]


def rank_slice(batch: Sequence[Example], rank: int, world: int) -> list[Example]:
    """Every world-th example of the batch in order of length: ranks get equal work, and neighbours need little padding."""
    if len(batch) % world:
        raise ValueError(f"a batch of {len(batch)} does not divide over {world} ranks: fill it up first")
    return sorted(batch, key=lambda example: (example.columns, example.index), reverse=True)[rank::world]


def micro_batches(examples_D: Sequence[Example], size: int) -> Iterator[Batch]:
    for start in range(0, len(examples_D), size):
        yield collate(examples_D[start : start + size])


def collate(examples_D: Sequence[Example]) -> Batch:
    """The first sequences of all examples, then the second ones."""
    rows = left_padded([one for nth in zip(*(each.sequences for each in examples_D), strict=True) for one in nth])
    return replace(
        rows,
        weights_D=torch.tensor([each.weight for each in examples_D]),
        indices_D=torch.tensor([each.index for each in examples_D]),
    )
