"""Intervals over clusters: the value is that of the sums, and the spread is that of whole clusters."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import bootstrap

from flame_ray.evaluation.clusters import ClusterBootstrap, ratio
from flame_ray.evaluation.metrics import SHARE, equal_values

BOOTSTRAP = ClusterBootstrap(resamples=2000, seed=0)


def columns(*rows):
    return np.array(rows, dtype=float)


def test_a_share_is_that_of_all_values_and_its_interval_comes_from_whole_clusters():
    """Two prompts, all right or all wrong: a resample is 0, a half, or 1, however many facts each has."""
    few = BOOTSTRAP.share(columns((1, 1), (0, 1)))
    many = BOOTSTRAP.share(columns((100, 100), (0, 100)), n=200)
    assert (few.mean, few.low, few.high, few.n) == (0.5, 0.0, 1.0, 2)
    assert (many.mean, many.low, many.high, many.n) == (0.5, 0.0, 1.0, 200)


def test_the_interval_of_a_mean_is_that_of_scipys_bootstrap():
    values = np.random.default_rng(1).random(60)
    found = ClusterBootstrap(20_000, seed=0).interval(ratio, np.stack([values, np.ones(60)], axis=1))
    other = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.004)


@pytest.mark.parametrize("right", [0, 4])
def test_a_share_without_spread_has_wilsons_interval_over_its_clusters(right):
    found = BOOTSTRAP.share(columns(*[(right, 4)] * 10, (0, 0)))
    assert found.mean == right / 4
    assert found.high - found.low == pytest.approx(0.2775, abs=1e-4)  # Wilson for 0 or 10 of 10


def test_what_does_not_exist_has_no_value_and_one_cluster_has_no_interval():
    assert BOOTSTRAP.share(columns((0, 0), (0, 0))).mean is None
    assert BOOTSTRAP.share(columns((1, 2), (0, 0))).low is None


def test_a_resample_in_which_nothing_can_be_divided_does_not_count():
    found = BOOTSTRAP.interval(ratio, columns((1, 2), (0, 2), *[(0, 0)] * 6))
    assert (found.mean, found.low, found.high) == (0.25, 0.0, 0.5)


def test_the_same_seed_draws_the_same_clusters_so_that_a_difference_of_equals_has_no_spread_and_so_no_interval():
    values = np.random.default_rng(1).random((30, 1))
    four = np.hstack([values, np.ones((30, 1)), values, np.ones((30, 1))])
    found = BOOTSTRAP.interval(lambda sums: ratio(sums[..., :2]) - ratio(sums[..., 2:]), four)
    assert (found.mean, found.low, found.high) == (0, None, None)


def test_clusters_that_are_all_alike_have_the_interval_of_equal_shares():
    found = BOOTSTRAP.share(columns((1, 2), (2, 4), (3, 6)), n=12)
    assert found == replace(equal_values(0.5, 3, SHARE), n=12) and found.low < 0.5 < found.high
