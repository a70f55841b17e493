"""Weights as NumPy arrays, which the object store shares without copies.

In: named tensors. Out: `WeightArrays`, and tensors again on the other side. NumPy has no bfloat16: those tensors travel
as the same bits under uint16, the only type that no model weight has. Knows no engine.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class WeightArrays:
    """A whole model: hub name -> array, and the dtype of the model that they came from.

    >>> to_arrays([("norm.weight", torch.ones(2, dtype=torch.bfloat16))], "bfloat16").arrays["norm.weight"].dtype
    dtype('uint16')
    """

    dtype: str
    arrays: dict[str, np.ndarray]


def to_arrays(named: Iterable[tuple[str, Tensor]], dtype: str) -> WeightArrays:
    return WeightArrays(dtype, {name: _array(value) for name, value in named})


def to_tensors(weights: WeightArrays) -> Iterator[tuple[str, Tensor]]:
    """Tensors that share the arrays' memory; arrays out of the object store are read-only, so only read them."""
    for name, array in weights.arrays.items():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            tensor = torch.from_numpy(array)
        yield name, tensor.view(torch.bfloat16) if array.dtype == np.uint16 else tensor


def _array(value: Tensor) -> np.ndarray:
    value = value.detach().cpu().contiguous()
    return (value.view(torch.uint16) if value.dtype == torch.bfloat16 else value).numpy()
