"""Slices of work; the pool itself is tested on a real Ray, in tests/integration/test_pool.py."""

import pytest

from flame_ray.runtime.pool import batched


@pytest.mark.parametrize(
    ("size", "batches"),
    [(1, ["a", "b", "c", "d", "e"]), (2, ["ab", "cd", "e"]), (5, ["abcde"]), (9, ["abcde"])],
)
def test_batches_are_consecutive_and_the_last_may_be_smaller(size, batches):
    assert batched("abcde", size) == batches


def test_nothing_makes_no_batch():
    assert batched([], 3) == []
