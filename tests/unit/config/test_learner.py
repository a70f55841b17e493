"""Settings of the learner that only make sense together."""

import pytest
from pydantic import ValidationError

from flame_ray.config import LearnerConfig


@pytest.mark.parametrize(("offload", "lowest"), [("none", 0), ("optimizer", 1), ("parameters", 3)])
def test_offload_is_refused_below_the_zero_stage_that_it_needs(offload, lowest):
    for stage in range(lowest, 4):
        assert LearnerConfig(offload=offload, zero_stage=stage).offload == offload
    for stage in range(lowest):
        with pytest.raises(ValidationError, match=f"needs zero_stage {lowest} or more \\(given {stage}\\)"):
            LearnerConfig(offload=offload, zero_stage=stage)


@pytest.mark.parametrize(
    "settings", [{"label_smoothing": 0.1}, {"loss": "ipo", "label_smoothing": 0.1}, {"loss": "cdpo"}], ids=str
)
def test_smoothed_labels_and_their_loss_come_together(settings):
    with pytest.raises(ValidationError, match="loss cdpo needs label_smoothing above 0"):
        LearnerConfig(**settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("checkpoint_steps", 0), ("lr_round_factor", 0), ("lr_round_factor", 1.01), ("label_smoothing", 0.5), ("loss", "orpo")],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        LearnerConfig(**{name: value})


@pytest.mark.parametrize("settings", [{"reference": "initial"}, {"nll_weight": 1.0}], ids=str)
def test_grpo_needs_the_sampling_policy_as_its_reference_and_no_likelihood_of_all_that_was_sampled(settings):
    assert LearnerConfig(loss="grpo").reference == "round"
    with pytest.raises(ValidationError, match=r"loss grpo needs reference round, .* and nll_weight 0"):
        LearnerConfig(loss="grpo", **settings)


def test_the_likelihood_of_an_answer_is_not_added_to_itself():
    assert LearnerConfig(loss="dpo", nll_weight=0.5).nll_weight == 0.5
    with pytest.raises(ValidationError, match=r"loss nll needs nll_weight 0: .* would count 1\.5 times \(given 0\.5\)"):
        LearnerConfig(loss="nll", nll_weight=0.5)


def test_a_round_is_of_so_many_steps_or_of_so_many_seconds():
    assert LearnerConfig(seconds=0.5).steps is None
    with pytest.raises(ValidationError, match=r"only one of steps and seconds .* \(given 500 and 240\)"):
        LearnerConfig(steps=500, seconds=240)
    with pytest.raises(ValidationError, match="seconds"):
        LearnerConfig(seconds=0)


def test_packing_is_refused_for_a_loss_of_pairs():
    assert LearnerConfig(loss="nll", packing=True).packing
    with pytest.raises(ValidationError, match=r"packing needs loss nll.*given dpo"):
        LearnerConfig(packing=True)
