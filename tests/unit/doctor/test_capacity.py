"""What the doctor says of a job that does or does not fit, at places that are made up."""

import re
from pathlib import Path

import pytest

from flame_ray.config import Config, LearnerConfig
from flame_ray.config.load import load_config, parse_config
from flame_ray.doctor.capacity import (
    check_devices,
    check_engine_gpus,
    check_host,
    check_placement,
    check_tensor_parallel,
    check_weights,
    config_changes,
    device_share,
    learner_changes,
    role_changes,
    what_fits,
    with_changes,
)
from flame_ray.doctor.checks import GIB, Check, Level, Site
from flame_ray.doctor.estimate import learner_memory
from flame_ray.doctor.models import SMOLLM2_SHAPE
from tests.unit.doctor.samples import HERE, SEVEN_B, job, levels, plans

JOBS = sorted((Path(__file__).parents[3] / "jobs").rglob("*.yaml"))


def test_what_is_asked_is_summed_over_workers_and_named_by_role():
    cpus, gpus = check_placement(job(rollout={"workers": 13}), HERE)
    assert (cpus.level, gpus.level) == (Level.OK, Level.OK)
    assert cpus.found == "4 asked for: rollout 3.25, factuality 0.25, judge 0.25, learner 0.25"
    cpus, gpus = check_placement(job(rollout={"workers": 14, "gpus": 0.5}), HERE)
    assert (cpus.level, gpus.level) == (Level.PROBLEM, Level.PROBLEM)
    assert gpus.found == "7 asked for: rollout 7"
    assert gpus.expected == "at most 0 (this machine)"


def test_with_an_autoscaler_nodes_that_have_yet_to_come_are_a_warning():
    empty = Site("cluster of 1 node", {}, (8 * GIB,), scaling="coming: no node")
    cpus, gpus = check_placement(job(rollout={"gpus": 1}), empty)
    assert (cpus.level, gpus.level) == (Level.WARNING, Level.WARNING)
    assert cpus.expected == "0 now, and what the autoscaler adds (cluster of 1 node)"
    assert check_placement(job(), Site("cluster of 1 node", {}, ()))[0].level is Level.PROBLEM


def test_a_worker_that_no_node_can_hold_is_a_problem_unless_nodes_may_come():
    has, small = {"CPU": 8.0, "GPU": 4.0}, {"CPU": 4.0, "GPU": 2.0}
    wide = parse_config({"rollout": {"gpus": 4, "tensor_parallel": 4}}, "here")
    check = check_placement(wide, Site("cluster of 2 nodes", has, (), fixed_nodes=(small, small)))[-1]
    assert (check.level, check.name) == (Level.PROBLEM, "rollout node")
    assert check.expected == "a node with 0.25 CPU and 4 GPU, for one worker"
    assert check.found == "none so large (cluster of 2 nodes)"
    assert [each.name for each in check_placement(wide, Site("cluster of 2 nodes", has, ()))] == ["CPUs", "GPUs"]


def test_workers_that_may_come_later_are_a_warning():
    cpus, _ = check_placement(job(rollout={"workers": 100, "min_workers": 1}), HERE)
    assert cpus.level is Level.WARNING
    assert cpus.found.startswith("25.75 asked for: rollout 25, ")


def machine(gib: float, free: float | None = None, gpu_gib: float | None = None) -> Site:
    return Site("here", {}, (gib * GIB,), (gib if free is None else free) * GIB, gpu_gib and gpu_gib * GIB)


def test_a_machine_is_filled_to_95_percent_and_no_further():
    need = plans()(Config()).host / GIB
    assert check_host(Config(), plans(), machine(need / 0.94)).level is Level.OK
    assert check_host(Config(), plans(), machine(need / 0.96)).level is Level.PROBLEM


def test_memory_that_others_hold_now_is_a_warning():
    check = check_host(Config(), plans(), machine(64, free=2))
    assert check.level is Level.WARNING
    assert "2.0 GiB are free now" in check.found


def test_a_machine_too_small_is_told_the_mildest_setting_that_fits():
    need = plans()(Config()).host
    smaller = plans()(job(learner={"micro_batch_pairs": 2})).host
    check = check_host(Config(), plans(), machine((need + smaller) / 2 / 0.95 / GIB))
    assert (check.level, check.fix) == (Level.PROBLEM, "set learner.micro_batch_pairs=2")
    assert check_host(Config(), plans(), machine(1)).fix.startswith("no smaller setting fits: take ")


def test_a_cluster_may_grow_and_its_largest_actor_must_fit_one_node():
    cluster = Site("cluster of 2 nodes", {}, (8 * GIB, 8 * GIB))
    assert check_host(Config(), plans(), cluster).level is Level.OK
    assert check_host(Config(), plans(), Site("many nodes", {}, (4 * GIB,) * 9)).level is Level.WARNING


def gpu_job(**learner) -> Config:
    sections = {"rollout": {"gpus": 1}, "judge": {"gpus": 1}, "model": {"max_length": 2048}}
    return job(**sections, learner={"gpus": 1, "lora": None, "batch_pairs": 64} | learner)


def test_each_role_on_gpus_is_judged_by_its_share_of_one():
    checks = {check.name: check for check in check_devices(gpu_job(), plans(), machine(64, gpu_gib=24))}
    assert levels(checks.values()) == {"rollout GPU": "ok", "judge GPU": "ok", "learner GPU": "ok"}
    assert checks["rollout GPU"].found == "19.2 GiB, its share of 24.0 GiB"
    assert check_devices(Config(), plans(), HERE) == []


def test_a_learner_that_does_not_fit_is_told_what_would():
    (*_, check) = check_devices(gpu_job(workers=4, zero_stage=2), plans(SEVEN_B), machine(500, gpu_gib=80))
    assert check.level is Level.PROBLEM
    assert check.fix == "set learner.micro_batch_pairs=1"
    (*_, check) = check_devices(gpu_job(workers=2, zero_stage=1), plans(SEVEN_B), machine(500, gpu_gib=76))
    assert check.fix == "set learner.micro_batch_pairs=2, learner.gradient_checkpointing=true"  # stage 1 runs as 2 in bfloat16


def test_an_engine_that_does_not_fit_may_take_more_of_its_gpu():
    check, *_ = check_devices(gpu_job(), plans(SEVEN_B), machine(500, gpu_gib=20))
    assert (check.level, check.fix) == (Level.PROBLEM, "set rollout.gpu_memory=0.85")
    check, *_ = check_devices(gpu_job(), plans(SEVEN_B), machine(500, gpu_gib=8))
    assert re.fullmatch(r"no smaller setting fits: take GPUs of 2\d\.\d GiB or more, or a smaller model", check.fix)


def test_two_engines_on_a_gpu_may_not_take_more_than_their_halves():
    config = job(rollout={"gpus": 0.5, "gpu_memory": 0.8})
    (check,) = check_devices(config, plans(), machine(64, gpu_gib=80))
    assert check.level is Level.PROBLEM
    assert check.fix == "set rollout.gpu_memory=0.5"


def test_without_a_known_gpu_the_advice_is_for_one_of_80_gb():
    check, *_, learner = check_devices(gpu_job(), plans(SEVEN_B), HERE)
    assert (check.level, learner.level) == (Level.WARNING, Level.WARNING)
    assert check.fix.startswith("take GPUs of ")
    assert learner.fix.startswith("for GPUs of 80 GB: set learner.")


def test_an_engine_never_takes_more_of_a_gpu_than_it_asks_for():
    rollout = Config().rollout
    for gpus, gpu_memory, share in ((2, 0.8, 0.8), (0.5, 0.8, 0.5), (0.5, 0.4, 0.4)):
        assert device_share(rollout.model_copy(update={"gpus": gpus, "gpu_memory": gpu_memory})) == share
    assert device_share(Config().learner.model_copy(update={"gpus": 0.5})) == 0.5


def test_those_that_take_turns_on_a_gpu_are_measured_against_what_they_hold_in_their_turn():
    shares = {"rollout": {"gpus": 1, "gpu_memory": 0.6}, "judge": {"gpus": 1, "gpu_memory": 0.3}, "learner": {"gpus": 1}}
    checks = check_devices(job(pipeline={"colocated": True}, **shares), plans(), machine(64, gpu_gib=80))
    assert [check.found.split(",")[0] for check in checks] == ["48.0 GiB", "24.0 GiB", "80.0 GiB"]
    assert not any(check.level is Level.PROBLEM for check in checks)


def test_a_model_too_large_for_one_gpu_fits_an_engine_that_is_split():
    def engine(gpus: int) -> Check:
        config = gpu_job() if gpus == 1 else job(rollout={"gpus": gpus, "tensor_parallel": gpus}, model={"max_length": 2048})
        return check_devices(config, plans(SEVEN_B), machine(500, gpu_gib=16))[0]

    assert (engine(1).level, engine(2).level) == (Level.PROBLEM, Level.OK)
    assert re.fullmatch(r"about 1\d\.\d GiB for an actor \(estimate\)", engine(1).expected)
    assert re.fullmatch(r"about \d\.\d GiB on each of an actor's 2 GPUs \(estimate\)", engine(2).expected)


@pytest.mark.parametrize(
    ("gpus", "split", "fix"),
    [
        (0, 2, "set rollout.gpus=2"),
        (0.5, 2, "set rollout.gpus=2"),
        (1, 2, "set rollout.gpus=2"),
        (4, 2, "set rollout.gpus=2, or rollout.tensor_parallel=4"),
        (2, 1, "set rollout.gpus=1, or rollout.tensor_parallel=2"),
        (0, 1, "set rollout.gpus=1"),
    ],
)
def test_an_engine_with_other_gpus_than_it_is_split_over_is_a_warning(gpus, split, fix):
    (check,) = check_engine_gpus(job(rollout={"gpus": gpus, "tensor_parallel": split}, learner={"gpus": 1}))
    assert (check.level, check.expected, check.found) == (Level.WARNING, f"{split}, its tensor_parallel", f"{gpus:g}")
    assert check.fix == fix


@pytest.mark.parametrize(("gpus", "split"), [(1, 1), (2, 2), (0.5, 1)])
def test_an_engine_with_the_gpus_that_it_is_split_over_is_no_line_and_nor_is_a_job_on_cpus(gpus, split):
    assert check_engine_gpus(job(rollout={"gpus": gpus, "tensor_parallel": split})) == []
    assert check_engine_gpus(job(rollout={"tensor_parallel": 2})) == []


@pytest.mark.parametrize("role", ["judge", "verifier"])
def test_the_engine_of_a_reward_may_be_divided_too_and_may_have_no_gpu(role):
    def checks(**settings) -> list[Check]:
        return check_engine_gpus(job(rollout={"gpus": 1}, factuality={"checker": "llm"}, **{role: settings}))

    assert checks(gpus=0) == checks(gpus=4, tensor_parallel=4) == []
    assert [(each.name, each.fix) for each in checks(gpus=1, tensor_parallel=4)] == [(f"{role}.gpus", f"set {role}.gpus=4")]


def test_a_split_that_leaves_heads_over_is_a_problem_with_what_would_do():
    (check,) = check_tensor_parallel("verifier", job(verifier={"tensor_parallel": 3, "gpus": 3}).verifier, SEVEN_B)
    assert (check.level, check.name, check.found) == (Level.PROBLEM, "verifier.tensor_parallel", "3")
    assert check.expected == "a divisor of the model's 32 attention heads"
    assert check.fix == "set it to one of 1, 2, 4, 8, 16, 32"
    assert check_tensor_parallel("rollout", job(rollout={"tensor_parallel": 4, "gpus": 4}).rollout, SEVEN_B) == []


def learner(**settings) -> LearnerConfig:
    return LearnerConfig.model_validate({"lora": None, "batch_pairs": 8, "micro_batch_pairs": 1} | settings)


def test_the_mildest_change_that_fits_is_named():
    config = parse_config({"learner": {"lora": None, "micro_batch_pairs": 8, "workers": 1, "zero_stage": 1}}, "")

    def fits(limit: float):
        return lambda other: learner_memory(SMOLLM2_SHAPE, other.learner, 512, 96)[1].total <= limit

    def bytes_with(**changes) -> float:
        return learner_memory(SMOLLM2_SHAPE, config.learner.model_copy(update=changes), 512, 96)[1].total

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


@pytest.mark.parametrize("file", JOBS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_change_that_is_offered_can_be_set(file):
    config = load_config(file)
    sections = [{name: change} for name in ("rollout", "judge", "learner") for change in role_changes(getattr(config, name))]
    for change in [*sections, *config_changes(config)]:
        Config.model_validate(with_changes(config, change).model_dump())


def test_an_engine_is_never_offered_more_of_a_gpu_than_it_asks_for():
    rollout = Config().rollout
    larger = [change["gpu_memory"] for change in role_changes(rollout.model_copy(update={"gpus": 0.85}))]
    assert set(larger) == {0.8, 0.85}
    few = role_changes(rollout.model_copy(update={"gpus": 1.0, "max_sequences": 32}))
    assert {change["max_sequences"] for change in few} == {32, 16}


def test_adapters_are_for_samplers_with_gpus():
    (check,) = check_weights(job(weights={"backend": "lora"}))
    assert check.level is Level.WARNING and "weights.backend=object_store" in check.fix
    assert check_weights(job(weights={"backend": "lora"}, rollout={"gpus": 1})) == check_weights(job()) == []
