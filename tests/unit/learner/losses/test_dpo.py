"""DPO, against numbers worked out by hand."""

import math

import pytest

from flame_ray.learner.losses.dpo import Dpo

# Pair 1: h = (-10 + 11) - (-12 + 11) = 2; pair 2: h = (-20 + 19) - (-18 + 19) = -2. At beta 0.5 the margins are 1 and -1.
POLICY, REFERENCE = [-10.0, -20.0, -12.0, -18.0], [-11.0, -19.0, -11.0, -19.0]
LOSSES = 0.3132617, 1.3132617  # ln(1 + 1/e), ln(1 + e)


def test_the_loss_and_its_metrics_are_those_worked_out_by_hand(minimise):
    loss, _, sums = minimise(Dpo(0.5), POLICY, REFERENCE)
    assert loss == pytest.approx(0.8132617)  # the mean of the two
    assert sums == pytest.approx({"loss": sum(LOSSES), "accuracy": 1.0, "margin": 0.0}, abs=1e-6)


def test_the_loss_is_log_two_and_neither_side_is_preferred_where_the_policy_is_the_reference(minimise):
    loss, _, sums = minimise(Dpo(0.1), [-3.0, -7.0], [-3.0, -7.0])
    assert loss == pytest.approx(math.log(2))
    assert sums["accuracy"] == 0


def test_the_gradient_raises_the_chosen_side_and_lowers_the_rejected_side(minimise):
    _, gradient, _ = minimise(Dpo(0.1), [-5.0, -5.0], [-5.0, -5.0])
    assert gradient == pytest.approx([-0.05, 0.05])  # beta times sigmoid(-margin) = 0.1 / 2


def test_a_pair_of_weight_zero_adds_nothing_and_the_normaliser_is_that_of_the_global_batch(minimise):
    loss, gradient, sums = minimise(Dpo(0.5), POLICY, REFERENCE, weights=[1.0, 0.0], normaliser=4.0)
    assert loss == pytest.approx(LOSSES[0] / 4)
    assert sums == pytest.approx({"loss": LOSSES[0], "accuracy": 1.0, "margin": 1.0})
    assert gradient[1] == gradient[3] == 0
    assert gradient[0] == -gradient[2] == pytest.approx(-0.5 * 0.2689414 / 4)  # beta times sigmoid(-1), over 4
