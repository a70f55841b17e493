"""IPO, against numbers worked out by hand."""

import pytest

from flame_ray.learner.losses.ipo import Ipo

# As in test_dpo: h is 2 and -2. At tau 0.5 the target is 1 / (2 tau) = 1.
POLICY, REFERENCE = [-10.0, -20.0, -12.0, -18.0], [-11.0, -19.0, -11.0, -19.0]
LOSSES = 1.0, 9.0  # (2 - 1)^2, (-2 - 1)^2


def test_the_loss_and_its_metrics_are_those_worked_out_by_hand(minimise):
    loss, gradient, sums = minimise(Ipo(0.5), POLICY, REFERENCE)
    assert loss == pytest.approx(sum(LOSSES) / 2)
    assert sums == pytest.approx({"loss": sum(LOSSES), "accuracy": 1.0, "margin": 0.0})
    assert gradient == pytest.approx([1.0, -3.0, -1.0, 3.0])  # 2 (h - 1) / 2: a margin above the target is lowered


def test_the_loss_is_zero_at_a_margin_of_one_half_whatever_tau(minimise):
    loss, gradient, sums = minimise(Ipo(0.1), [-1.0, -6.0], [0.0, 0.0])  # h = 5 = 1 / (2 * 0.1)
    assert loss == pytest.approx(0.0)
    assert gradient == pytest.approx([0.0, 0.0])
    assert sums["margin"] == pytest.approx(0.5)


def test_a_pair_of_weight_zero_adds_nothing_and_the_normaliser_is_that_of_the_global_batch(minimise):
    loss, gradient, sums = minimise(Ipo(0.5), POLICY, REFERENCE, weights=[0.0, 1.0], normaliser=4.0)
    assert loss == pytest.approx(9 / 4)
    assert sums == pytest.approx({"loss": 9.0, "accuracy": 0.0, "margin": -1.0})
    assert gradient == pytest.approx([0.0, -1.5, 0.0, 1.5])  # 2 (-3) / 4


def test_log_ratios_are_summed_over_a_response_and_not_averaged(minimise):
    assert minimise(Ipo(0.5), POLICY, REFERENCE, lengths=[7, 5, 3, 9])[0] == pytest.approx(5.0)
