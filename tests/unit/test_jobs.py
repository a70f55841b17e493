"""Every job file loads, and opens with the command that runs it."""

import shlex
from pathlib import Path

import pytest

from flame_ray.config import Config
from flame_ray.config.load import load_config

REPOSITORY = Path(__file__).parents[2]
JOBS = sorted((REPOSITORY / "jobs").glob("*.yaml"))
PAPER_JOBS = [path for path in JOBS if path.name.startswith("paper-")]


def names(paths: list[Path]) -> dict:
    return {"argvalues": paths, "ids": [path.name for path in paths]}


def test_the_three_recipes_of_the_paper_are_among_the_jobs():
    assert {path.stem for path in PAPER_JOBS} == {"paper-dpo", "paper-dpo-fact", "paper-dpo-flame"}


@pytest.mark.parametrize("path", **names(JOBS))
def test_a_job_loads(path):
    assert isinstance(load_config(path), Config)


@pytest.mark.parametrize("path", **names(JOBS))
def test_the_first_line_of_a_job_is_the_command_that_runs_this_very_file(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    words = shlex.split(first.removeprefix("#"))
    assert first.startswith("# ")
    assert "flame-ray" in words[:-1]
    assert f"jobs/{path.name}" in words


@pytest.mark.parametrize("path", **names(PAPER_JOBS))
def test_the_second_line_of_a_paper_job_says_how_it_differs_from_the_paper(path):
    second = path.read_text(encoding="utf-8").splitlines()[1]
    assert second.startswith("# Differs from the paper: ")


@pytest.mark.parametrize("path", **names(PAPER_JOBS))
def test_a_paper_job_is_called_what_its_file_is_called(path):
    assert load_config(path).run.name == path.stem


@pytest.mark.parametrize("path", **names(PAPER_JOBS))
def test_a_paper_job_states_the_papers_hyper_parameters(path):
    config = load_config(path)
    learner, rollout, judge = config.learner, config.rollout, config.judge
    assert (rollout.samples, rollout.temperature, rollout.top_p) == (4, 0.7, 0.9)
    assert (learner.beta, learner.batch_pairs, learner.lr, learner.lr_final) == (0.1, 64, 1e-6, 1e-7)
    assert learner.lora is None
    assert (judge.backend, judge.samples, config.pairs.max_judge_gap) == ("rubric", 3, 0.5)
    assert (config.model.max_length, config.factuality.retrieve, config.run.rounds) == (2048, 20, 1)


@pytest.mark.parametrize("path", **names(PAPER_JOBS))
def test_a_paper_job_fills_exactly_one_node_of_eight_gpus(path):
    config = load_config(path)
    groups = (config.rollout, config.judge, config.learner, config.factuality)
    assert sum(group.workers * group.gpus for group in groups) == 8
    assert config.learner.zero_stage == 3


def test_the_paper_jobs_differ_in_their_name_and_kinds_of_pair_alone():
    configs = {path.stem: load_config(path).model_dump() for path in PAPER_JOBS}
    kinds = {name: config["pairs"].pop("kinds") for name, config in configs.items()}
    assert kinds == {
        "paper-dpo": ("instruction",),
        "paper-dpo-fact": ("factuality",),
        "paper-dpo-flame": ("instruction", "factuality"),
    }
    assert [config["run"].pop("name") for config in configs.values()] == list(kinds)
    first, *others = configs.values()
    assert all(other == first for other in others)


@pytest.mark.parametrize("path", **names(PAPER_JOBS))
def test_a_paper_job_can_be_resized_from_the_command_line(path):
    config = load_config(path, ("learner.workers=8", "rollout.workers=4"))
    assert (config.learner.workers, config.rollout.workers) == (8, 4)
