"""Mask-DPO, against numbers worked out by hand. That log-probabilities are summed over the mask is shown in test_data."""

import pytest

from flame_ray.learner.losses.mask_dpo import MaskDpo

# As in test_dpo: at beta 0.5 the margins are 1 and -1, and the losses ln(1 + 1/e) and ln(1 + e).
POLICY, REFERENCE = [-10.0, -20.0, -12.0, -18.0], [-11.0, -19.0, -11.0, -19.0]
LOSSES = 0.3132617, 1.3132617


def test_the_loss_and_its_metrics_are_those_worked_out_by_hand(minimise):
    fields = [{"counted": ((True, False, False, True), (False, True))}, {}]
    loss, gradient, sums = minimise(MaskDpo(0.5), POLICY, REFERENCE, lengths=[4, 3, 2, 5], fields=fields)
    assert loss == pytest.approx(sum(LOSSES) / 2)
    expected = {"loss": sum(LOSSES), "accuracy": 1.0, "margin": 0.0, "chosen_counted": 0.5 + 1, "rejected_counted": 0.5 + 1}
    assert sums == pytest.approx(expected, abs=1e-6)
    assert gradient[0] == -gradient[2] == pytest.approx(-0.5 * 0.2689414 / 2)  # beta times sigmoid(-1), over 2
