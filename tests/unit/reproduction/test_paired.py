"""Differences between systems, paired by seed and prompt."""

import numpy as np
import pytest

from flame_ray.evaluation.metrics import equal_values
from flame_ray.reproduction.paired import mean_over_both, paired
from flame_ray.types import Interval


def by_prompt(values) -> dict[str, float]:
    return {str(place): value for place, value in enumerate(values)}


def test_only_prompts_that_both_systems_have_count_and_each_seed_is_paired_with_its_own():
    found = paired([({"a": 1.0, "b": 0.5}, {"a": 0.5, "c": 9.0}), ({"a": 3.0, "b": 2.0}, {"a": 0.0, "b": 2.0})])
    assert found.mean == pytest.approx((0.5 + 3.0 + 0.0) / 3)
    assert found.n == 2


def test_nothing_in_common_is_no_difference():
    assert paired([({"a": 1.0}, {"b": 1.0})]).mean is None
    assert paired([]).mean is None


def test_one_prompt_has_no_interval():
    found = paired([({"a": 1.0}, {"a": 0.0})])
    assert (found.mean, found.low, found.high, found.n) == (1.0, None, None, 1)


def test_what_makes_a_prompt_hard_for_both_systems_does_not_widen_the_interval():
    hard = np.random.default_rng(0).normal(size=200)
    rise = np.resize([0.0999, 0.1001], 200)
    found = paired([(by_prompt(hard + rise), by_prompt(hard))])
    assert found.mean == pytest.approx(0.1) and found.high - found.low < 1e-4


def test_differences_that_are_all_alike_have_an_interval_within_their_bounds_and_else_none():
    pairs = [(by_prompt([0.5] * 8), by_prompt([0.25] * 8))]
    assert paired(pairs) == Interval(0.25, None, None, 8)
    assert paired(pairs, (-1.0, 1.0)) == equal_values(0.25, 8, (-1.0, 1.0))


def test_one_seed_has_the_interval_of_a_mean_over_prompts():
    values = np.random.default_rng(0).normal(size=(1, 400))
    found = mean_over_both(values)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)


def test_seeds_that_differ_widen_the_interval_however_many_prompts_there_are():
    noise = np.random.default_rng(0).normal(scale=0.01, size=(3, 1000))
    alike, apart = mean_over_both(noise), mean_over_both(noise + np.array([[-1.0], [0.0], [1.0]]))
    assert alike.high - alike.low < 0.01
    assert apart.low < -0.5 and apart.high > 0.5


def test_a_value_that_is_missing_is_no_zero():
    found = mean_over_both(np.array([[1.0, np.nan, 1.0], [1.0, 1.0, np.nan]]))
    assert (found.mean, found.low, found.high, found.n) == (1.0, None, None, 3)
