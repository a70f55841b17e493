"""How losses are chosen, and what is minimised."""

import random
from pathlib import Path
from typing import get_args

import pytest

from flame_ray.config import LearnerConfig
from flame_ray.config.learner import COMPARING
from flame_ray.learner import losses
from flame_ray.learner.losses import make_loss
from flame_ray.learner.losses.cdpo import ConservativeDpo
from flame_ray.learner.losses.dpo import Dpo
from flame_ray.learner.losses.fdpo import FactualDpo
from flame_ray.learner.losses.grpo import Grpo
from flame_ray.learner.losses.ipo import Ipo
from flame_ray.learner.losses.mask_dpo import MaskDpo
from flame_ray.learner.losses.nll import Nll


@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({}, Dpo(0.1)),
        ({"loss": "ipo", "beta": 0.3}, Ipo(0.3)),
        ({"loss": "cdpo", "label_smoothing": 0.2}, ConservativeDpo(0.1, 0.2)),
        ({"loss": "fdpo", "fact_margin": 4.0}, FactualDpo(0.1, 4.0)),
        ({"loss": "mask_dpo", "beta": 0.3}, MaskDpo(0.3)),
        ({"loss": "grpo", "clip": 0.1, "kl_weight": 0.04}, Grpo(0.1, 0.04)),
        ({"loss": "nll"}, Nll()),
    ],
)
def test_the_settings_choose_the_loss(settings, loss):
    assert make_loss(LearnerConfig(**settings)) == loss


def test_every_file_of_the_folder_is_a_choice_of_the_settings_and_no_other():
    files = {path.stem for path in Path(losses.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(get_args(LearnerConfig.model_fields["loss"].annotation)) == files
    assert set(COMPARING) < files


@pytest.mark.parametrize("loss", [Dpo(0.3), Ipo(0.3), ConservativeDpo(0.3, 0.1), Nll()], ids=lambda loss: type(loss).__name__)
def test_micro_batches_add_up_to_the_whole_batch(minimise, loss):
    rnd = random.Random(0)
    policy, reference = ([rnd.gauss(0, 1) for _ in range(8)] for _ in range(2))
    whole, gradient, _ = minimise(loss, policy, reference, nll_weight=0.5)
    parts = [
        minimise(loss, policy[i::4], reference[i::4], normaliser=4.0, nll_weight=0.5) for i in range(4)
    ]  # every fourth number: a chosen side and its rejected side
    assert whole == pytest.approx(sum(part for part, _, _ in parts))
    assert gradient == pytest.approx([parts[i % 4][1][i // 4] for i in range(8)])


@pytest.mark.parametrize("loss", [Dpo(0.5), Ipo(0.5), ConservativeDpo(0.5, 0.1)], ids=lambda loss: type(loss).__name__)
def test_the_chosen_sides_likelihood_is_added_to_any_loss_but_not_to_its_report(minimise, loss):
    numbers = {"policy": [-10.0, -6.0, -99.0, -50.0], "reference": [-9.0, -6.0, -98.0, -51.0]}
    numbers |= {"weights": [1.0, 0.0], "normaliser": 4.0, "lengths": [5, 2, 3, 4]}
    alone, slope, sums = minimise(loss, **numbers)
    both, slope_of_both, sums_of_both = minimise(loss, **numbers, nll_weight=0.25)
    assert both - alone == pytest.approx(0.25 * 10 / 5 / 4, rel=1e-4)  # the first pair's chosen side: 10 nats, 5 tokens
    added = [after - before for before, after in zip(slope, slope_of_both, strict=True)]
    assert added == pytest.approx([-0.25 / 5 / 4, 0, 0, 0])
    assert sums_of_both == sums


def test_the_likelihood_of_a_masked_chosen_side_is_a_mean_over_the_tokens_that_count(minimise):
    numbers = {"policy": [-10.0, -99.0], "reference": [-9.0, -98.0], "lengths": [4, 2]}
    fields = [{"counted": ((False, True, True, False), (True, True))}]
    alone, both = (minimise(Dpo(0.5), **numbers, nll_weight=weight, fields=fields)[0] for weight in (0.0, 1.0))
    assert both - alone == pytest.approx(10 / 2)
    nothing = [{"counted": ((False,) * 4, (True, True))}]
    alone, both = (minimise(Dpo(0.5), **numbers, nll_weight=weight, fields=nothing)[0] for weight in (0.0, 1.0))
    assert both - alone == pytest.approx(10.0)  # of no token: the engine gives a sum of 0
