"""GRPO with the ratio of whole responses, against numbers worked out by hand."""

import math

import pytest
import torch

from flame_ray.engines.base import Continuation
from flame_ray.learner.collate import collate
from flame_ray.learner.data import Example
from flame_ray.learner.losses import StepObjective
from flame_ray.learner.losses.grpo import Grpo


def minimise(loss: Grpo, changes: list[float], advantages: list[float], lengths: list[int], **fields):
    """(scalar, gradient by each log-probability, sums by name); a response's log-probability has changed by so many nats."""
    examples = [
        Example(place, (Continuation((1,), (2,) * length),), advantage=advantage, **fields)
        for place, (length, advantage) in enumerate(zip(lengths, advantages, strict=True))
    ]
    reference = torch.full((len(changes), 1), -10.0)
    logps = (torch.tensor(changes) - 10.0).requires_grad_()
    scalar, sums = StepObjective(loss, reference, float(len(changes)))(logps, collate(examples))
    scalar.backward()
    return scalar.item(), logps.grad.tolist(), {name: value.item() for name, value in sums.items()}


def test_at_the_first_step_the_gradient_is_that_of_the_mean_log_probability_times_the_advantage():
    loss, gradient, sums = minimise(Grpo(0.2, 0.5), [0.0, 0.0], [1.5, -1.0], [3, 5])
    assert loss == pytest.approx(-(1.5 - 1.0) / 2)
    assert gradient == pytest.approx([-1.5 / 3 / 2, 1.0 / 5 / 2])
    assert sums == pytest.approx({"loss": -0.5, "ratio": 2.0, "clipped": 0.0, "kl": 0.0})


def test_the_ratio_is_the_mean_of_its_tokens_and_not_their_product():
    """Four tokens, each 1.1 times as likely."""
    loss, gradient, sums = minimise(Grpo(0.2, 0.0), [4 * math.log(1.1)], [2.0], [4])
    assert (loss, sums["ratio"]) == pytest.approx((-2.2, 1.1))
    assert gradient == pytest.approx([-2.2 / 4])


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.5, 1.0, -1.2, 0.0),  # it is likely enough already
        (0.5, -1.0, 0.8, 0.0),  # it is unlikely enough already
        (0.5, 1.0, -0.5, -0.5),  # it went the wrong way, and is brought back
        (1.5, -1.0, 1.5, 1.5),
        (1.1, 1.0, -1.1, -1.1),
    ],
)
def test_a_ratio_beyond_its_limit_trains_no_more_unless_it_went_the_wrong_way(ratio, advantage, loss, slope):
    found, gradient, sums = minimise(Grpo(0.2, 0.0), [2 * math.log(ratio)], [advantage], [2])
    assert found == pytest.approx(loss)
    assert gradient == pytest.approx([slope / 2])
    assert sums["clipped"] == (slope == 0)


def test_the_divergence_is_added_with_its_weight_and_holds_the_policy_near_the_start():
    """Two tokens at d = ln 2 each: exp(-d) + d - 1 = 0.1931472, and its slope by d is 1 - 0.5."""
    loss, gradient, sums = minimise(Grpo(0.2, 3.0), [2 * math.log(2)], [0.0], [2])
    assert (loss, sums["kl"]) == pytest.approx((3 * 0.1931472, 0.1931472))
    assert gradient == pytest.approx([3 * 0.5 / 2])


def test_only_tokens_that_count_make_up_the_length():
    _, _, sums = minimise(Grpo(0.2, 0.0), [2 * math.log(1.1)], [1.0], [5], counted=((True, False, False, True, False),))
    assert sums["ratio"] == pytest.approx(1.1)
