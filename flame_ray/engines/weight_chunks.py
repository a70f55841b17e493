"""Weights as NumPy arrays, which Ray's object store shares between processes without a copy.

NumPy has no bfloat16: such tensors travel as the same bits under uint16, a type that no model weight has.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class WeightArrays:
    """A model or a part of one: arrays by the checkpoint's names, and the dtype of the model that they come from.

    >>> to_arrays([("norm.weight", torch.ones(2, dtype=torch.bfloat16))], "bfloat16").arrays["norm.weight"].dtype
    dtype('uint16')
    """

    dtype: str
    arrays: dict[str, np.ndarray]


def chunk_ranges(sizes: Sequence[int], limit: int) -> list[range]:
    """Consecutive tensors that travel together: ranges of at most `limit` bytes in sum. A larger tensor travels alone.

    >>> chunk_ranges([3, 1, 4, 9, 2], limit=5)
    [range(0, 2), range(2, 3), range(3, 4), range(4, 5)]
    """
    ranges, start, held = [], 0, 0
    for place, size in enumerate(sizes):
        if place > start and held + size > limit:
            ranges.append(range(start, place))
            start, held = place, 0
        held += size
    return [*ranges, range(start, len(sizes))] if sizes else []


def to_arrays(named: Iterable[tuple[str, Tensor]], dtype: str) -> WeightArrays:
    return WeightArrays(dtype, {name: _array(value) for name, value in named})


def to_tensors(weights: WeightArrays) -> Iterator[tuple[str, Tensor]]:
    """Tensors that share the arrays' memory. Do not write to them: arrays from the object store are read-only."""
    for name, array in weights.arrays.items():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            tensor = torch.from_numpy(array)
        yield name, tensor.view(torch.bfloat16) if array.dtype == np.uint16 else tensor


def _array(value: Tensor) -> np.ndarray:
    value = value.detach().cpu().contiguous()
    return (value.view(torch.uint16) if value.dtype == torch.bfloat16 else value).numpy()
