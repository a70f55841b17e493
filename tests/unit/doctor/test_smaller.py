"""The mildest change that fits, and that every change that is offered can be set."""

from pathlib import Path

import pytest

from flame_ray.config import Config, LearnerConfig
from flame_ray.config.load import load_config, parse_config
from flame_ray.doctor.learner_memory import learner_memory
from flame_ray.doctor.shape import model_shape
from flame_ray.doctor.smaller import config_changes, learner_changes, role_changes, what_fits, with_changes
from tests.unit.doctor.samples import SMOLLM2

JOBS = sorted((Path(__file__).parents[3] / "jobs").glob("*.yaml"))


def learner(**settings) -> LearnerConfig:
    return LearnerConfig.model_validate({"lora": None, "batch_pairs": 8, "micro_batch_pairs": 1} | settings)


def test_the_mildest_change_that_fits_is_named():
    config = parse_config({"learner": {"lora": None, "micro_batch_pairs": 8, "workers": 1, "zero_stage": 1}}, "")

    shape = model_shape(SMOLLM2)

    def fits(limit: float):
        return lambda other: learner_memory(shape, other.learner, 512, 96)[1].total <= limit

    def bytes_with(**changes) -> float:
        return learner_memory(shape, config.learner.model_copy(update=changes), 512, 96)[1].total

    changes = [{"learner": change} for change in learner_changes(config.learner)]
    assert what_fits(config, changes, fits(bytes_with(micro_batch_pairs=2))) == ["learner.micro_batch_pairs=2"]
    least = {"micro_batch_pairs": 4, "gradient_checkpointing": True}
    assert bytes_with(**least) < bytes_with(micro_batch_pairs=1)
    assert what_fits(config, changes, fits(bytes_with(**least))) == [
        "learner.micro_batch_pairs=4",
        "learner.gradient_checkpointing=true",
    ]
    assert what_fits(config, changes, fits(0)) == []


def test_more_ranks_are_tried_only_where_the_batch_divides_and_stages_only_upwards():
    changes = list(learner_changes(learner(gpus=1, workers=2, zero_stage=2, batch_pairs=12)))
    assert [change["workers"] for change in changes if "workers" in change] == [3, 4, 6, 12]
    assert {change["zero_stage"] for change in changes if "zero_stage" in change} == {2, 3}
    assert any(change.get("offload") == "optimizer" for change in changes)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.stem)
def test_every_change_that_is_offered_can_be_set(job):
    config = load_config(job)
    sections = [{name: change} for name in ("rollout", "judge", "learner") for change in role_changes(getattr(config, name))]
    for change in [*sections, *config_changes(config)]:
        Config.model_validate(with_changes(config, change).model_dump())


def test_an_engine_is_never_offered_more_of_a_gpu_than_it_asks_for():
    rollout = Config().rollout
    larger = [change["gpu_memory"] for change in role_changes(rollout.model_copy(update={"gpus": 0.85}))]
    assert set(larger) == {0.8, 0.85}
    few = role_changes(rollout.model_copy(update={"gpus": 1.0, "max_sequences": 32}))
    assert {change["max_sequences"] for change in few} == {32, 16}
