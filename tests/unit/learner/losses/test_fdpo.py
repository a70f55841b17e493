"""F-DPO, against numbers worked out by hand."""

import pytest

from flame_ray.learner.losses.dpo import Dpo
from flame_ray.learner.losses.fdpo import FactualDpo

# As in test_dpo: at beta 0.5 the margins are 1 and -1. The gaps of 0.5 and 0 ask for 0.5 x 4 x 0.5 = 1 and 0 more.
POLICY, REFERENCE = [-10.0, -20.0, -12.0, -18.0], [-11.0, -19.0, -11.0, -19.0]
FIELDS = [{"fact_gap": 0.5, "flipped": True}, {"fact_gap": 0.0}]
LOSSES = 0.6931472, 1.3132617  # ln 2: the margin is just what is asked for; ln(1 + e), as DPO's


def test_the_loss_and_its_metrics_are_those_worked_out_by_hand(minimise):
    loss, gradient, sums = minimise(FactualDpo(0.5, 4.0), POLICY, REFERENCE, fields=FIELDS)
    assert loss == pytest.approx(sum(LOSSES) / 2)
    assert sums == pytest.approx(
        {"loss": sum(LOSSES), "accuracy": 1.0, "margin": 0.0, "fact_gap": 0.5, "flipped": 1.0}, abs=1e-6
    )
    assert gradient[0] == -gradient[2] == pytest.approx(-0.5 * 0.5 / 2)  # beta times sigmoid(-(1 - 1)), over 2
    assert gradient[1] == -gradient[3] == pytest.approx(-0.5 * 0.7310586 / 2)  # beta times sigmoid(1), over 2


@pytest.mark.parametrize(("margin", "loss"), [(0.0, 0.3132617), (4.0, 1.3132617), (8.0, 3.0485874)])
def test_a_pair_that_differs_wholly_in_factuality_must_differ_by_the_whole_margin(minimise, margin, loss):
    """beta h = 1; ln(1 + exp(-(1 - margin / 2)))"""
    found, _, _ = minimise(FactualDpo(0.5, margin), [-10.0, -12.0], [-11.0, -11.0], fields=[{"fact_gap": 1.0}])
    assert found == pytest.approx(loss)


def test_without_a_gap_it_is_dpo(minimise):
    factual, plain = (minimise(loss, POLICY, REFERENCE) for loss in (FactualDpo(0.5, 4.0), Dpo(0.5)))
    assert factual[:2] == plain[:2]
