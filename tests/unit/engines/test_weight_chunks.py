"""Cutting a model into chunks, and tensors that travel as arrays."""

import random

import pytest
import torch

from flame_ray.engines.weight_chunks import chunk_ranges, to_arrays, to_tensors


@pytest.mark.parametrize(
    ("sizes", "limit", "chunks"),
    [
        ([], 5, []),
        ([3], 5, [[3]]),
        ([2, 3], 5, [[2, 3]]),
        ([2, 3, 1], 5, [[2, 3], [1]]),
        ([9], 5, [[9]]),
        ([9, 1], 5, [[9], [1]]),
        ([1, 9, 1], 5, [[1], [9], [1]]),
        ([0, 0, 5, 0], 5, [[0, 0, 5, 0]]),
        ([6, 6], 5, [[6], [6]]),
        ([1, 1, 1], 1, [[1], [1], [1]]),
    ],
)
def test_neighbours_travel_together_up_to_the_limit_and_what_is_larger_travels_alone(sizes, limit, chunks):
    assert [[sizes[place] for place in places] for places in chunk_ranges(sizes, limit)] == chunks


def test_every_place_is_in_one_chunk_in_order_and_no_two_neighbours_would_fit_into_one():
    rnd = random.Random(0)
    for _ in range(200):
        sizes, limit = [rnd.randrange(12) for _ in range(rnd.randrange(1, 30))], rnd.randrange(1, 20)
        ranges = chunk_ranges(sizes, limit)
        assert [place for places in ranges for place in places] == list(range(len(sizes)))
        held = [sum(sizes[place] for place in places) for places in ranges]
        assert all(total <= limit or len(places) == 1 for total, places in zip(held, ranges, strict=True))
        assert all(total + sizes[following.start] > limit for total, following in zip(held, ranges[1:], strict=False))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tensors_come_back_with_their_names_their_bits_and_their_types(dtype):
    sent = {"a": torch.randn(3, 2).to(dtype), "b": torch.randn(4, 3).to(dtype).T}
    found = dict(to_tensors(to_arrays(sent.items(), "bfloat16")))
    assert list(found) == ["a", "b"]
    assert all(found[name].dtype == dtype and found[name].equal(value) for name, value in sent.items())
