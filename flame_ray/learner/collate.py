"""Examples become batches of tensors. Apart from data.py, because a driver makes examples and needs no torch for them."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from flame_ray.engines.batch import Batch, left_padded
from flame_ray.engines.packing import Layout, packed
from flame_ray.learner.data import Example, by_prompt


def micro_batches(
    batch: Sequence[Example], size: int, rank: int = 0, world: int = 1, layout: Layout = left_padded
) -> list[Batch]:
    """One rank's share of a batch: every world-th of its parts of `size` examples.

    Parts follow from the batch alone. Neighbours are of one prompt, or of prompts of equal length: they need little padding,
    and ranks get equal work. Of packed rows each part has examples of all lengths, and the short ones share rows.
    """
    if len(batch) % (world * size):
        raise ValueError(f"a batch of {len(batch)} does not divide into parts of {size} for {world} ranks: fill it up first")
    groups = sorted(by_prompt(batch), key=lambda group: max(example.columns for example in group), reverse=True)
    ordered = [example for group in groups for example in group]
    count = len(ordered) // size
    parts = [ordered[k::count] if layout is packed else ordered[k * size : (k + 1) * size] for k in range(count)]
    return [collate(part, layout) for part in parts[rank::world]]


def collate(examples_D: Sequence[Example], layout: Layout = left_padded) -> Batch:
    """Each distinct sequence once; `rows_N` tells the rows of all examples' first sequences, then of their second ones."""
    wanted_N = [one for nth in zip(*(each.sequences for each in examples_D), strict=True) for one in nth]
    places = {sequence: place for place, sequence in enumerate(dict.fromkeys(wanted_N))}
    rows, wanted = layout(list(places)), torch.tensor([places[sequence] for sequence in wanted_N])
    responses_NR = rows.responses_NR[wanted]
    return replace(
        rows,
        rows_N=rows.rows_N[wanted],
        responses_NR=responses_NR,
        counted_NR=_marked(responses_NR.clone(), examples_D),
        weights_D=torch.tensor([each.weight for each in examples_D]),
        indices_D=torch.tensor([each.index for each in examples_D]),
        fact_gaps_D=torch.tensor([each.fact_gap for each in examples_D]),
        flipped_D=torch.tensor([float(each.flipped) for each in examples_D]),
        advantages_D=torch.tensor([each.advantage for each in examples_D]),
    )


def _marked(responses_NR: Tensor, examples_D: Sequence[Example]) -> Tensor:
    """The tokens of each sequence that count, from those of its response."""
    for place, example in enumerate(examples_D):
        for nth, counted in enumerate(example.counted):
            tokens_R = responses_NR[nth * len(examples_D) + place]
            tokens_R[tokens_R.clone()] = torch.tensor(counted)
    return responses_NR
