"""DPO with smoothed labels, against numbers worked out by hand."""

import math

import pytest

from flame_ray.learner.losses.cdpo import ConservativeDpo

# As in test_dpo: at beta 0.5 the margins are 1 and -1, and DPO's losses are 0.3132617 and 1.3132617.
POLICY, REFERENCE = [-10.0, -20.0, -12.0, -18.0], [-11.0, -19.0, -11.0, -19.0]
LOSSES = 0.4132617, 1.2132617  # 0.9 times the pair's loss and 0.1 times that of the pair turned round


def test_the_loss_and_its_metrics_are_those_worked_out_by_hand(minimise):
    loss, _, sums = minimise(ConservativeDpo(0.5, 0.1), POLICY, REFERENCE)
    assert loss == pytest.approx(0.8132617)
    assert sums == pytest.approx({"loss": sum(LOSSES), "accuracy": 1.0, "margin": 0.0}, abs=1e-6)


def test_a_pair_of_weight_zero_adds_nothing_and_the_normaliser_is_that_of_the_global_batch(minimise):
    loss, gradient, sums = minimise(ConservativeDpo(0.5, 0.1), POLICY, REFERENCE, weights=[0.0, 1.0], normaliser=4.0)
    assert loss == pytest.approx(LOSSES[1] / 4)
    assert sums == pytest.approx({"loss": LOSSES[1], "accuracy": 0.0, "margin": -1.0})
    assert gradient[0] == gradient[2] == 0
    # beta times (0.9 sigmoid(1) - 0.1 sigmoid(-1)) = 0.5 (0.6579527 - 0.0268941), over 4
    assert gradient[3] == -gradient[1] == pytest.approx(0.5 * 0.6310586 / 4)


def test_the_minimum_is_where_the_sigmoid_of_the_margin_is_the_share_of_right_pairs(minimise):
    loss, gradient, _ = minimise(ConservativeDpo(1.0, 0.1), [math.log(9), 0.0], [0.0, 0.0])  # sigmoid(ln 9) = 0.9
    assert loss == pytest.approx(0.3250830)  # -(0.9 ln 0.9 + 0.1 ln 0.1)
    assert gradient == pytest.approx([0.0, 0.0], abs=1e-6)
