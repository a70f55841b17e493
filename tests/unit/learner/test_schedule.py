"""The learning rate within a round, and from round to round."""

import pytest

from flame_ray.config import LearnerConfig
from flame_ray.learner.schedule import learning_rate


def rates(round, steps, **settings):
    config = LearnerConfig(**{"lr": 1e-3, "lr_final": 1e-4, **settings})
    return [learning_rate(config, round, step, steps) for step in range(steps)]


def test_a_round_s_rates_fall_in_equal_parts_from_the_first_to_the_last():
    assert rates(1, 4) == pytest.approx([1e-3, 7e-4, 4e-4, 1e-4])


def test_a_round_of_one_step_takes_the_first_rate():
    assert rates(1, 1) == [1e-3]


def test_every_round_has_the_same_rates_unless_a_factor_is_set():
    assert rates(3, 4) == rates(1, 4)


def test_each_round_s_rates_are_those_of_the_round_before_times_the_factor():
    first, second, third = (rates(round, 3, lr_round_factor=0.5) for round in (1, 2, 3))
    assert first == rates(1, 3)
    assert second == pytest.approx([rate / 2 for rate in first])
    assert third == pytest.approx([rate / 4 for rate in first])
