"""Which command a job is for, of every job file and of settings beside it."""

import pytest

from flame_ray.commands.job_command import job_command
from flame_ray.commands.run import run
from flame_ray.commands.sft import sft
from flame_ray.config.load import load_config, parse_config
from flame_ray.errors import ConfigError
from tests.unit.test_jobs import JOBS, JOBS_FOLDER, lines, names


@pytest.mark.parametrize("path", **names(JOBS))
def test_a_job_file_is_for_the_command_that_it_opens_with_and_no_other(path):
    config, meant = load_config(path), lines(path)[0].split()[2]
    if meant in ("run", "sft"):
        assert job_command(config) == meant
        return
    with pytest.raises(ConfigError, match=f"use .*`flame-ray {meant} "):
        job_command(config)


@pytest.mark.parametrize(
    ("job", "setting", "command"),
    [
        ("paper/dpo-flame.yaml", "suites.biography=names.txt", "run"),  # as flame-ray reproduce gives it to each step
        ("paper/sft.yaml", "suites.biography=names.txt", "sft"),
        ("quickstart.yaml", "train_judge.labels=[a.jsonl]", "run"),
        ("paper/evaluate.yaml", "prompts.per_round=8", "run"),
    ],
)
def test_a_job_that_says_what_a_run_learns_from_may_have_sections_of_other_commands_too(job, setting, command):
    assert job_command(load_config(JOBS_FOLDER / job, (setting,))) == command


@pytest.mark.parametrize("command", [run, sft], ids=["run", "sft"])
def test_a_command_refuses_a_job_of_another_one_before_it_looks_for_anything(command):
    config = parse_config({"suites": {"limit": 8}, "model": {"policy": "/nowhere"}}, "here")
    with pytest.raises(ConfigError, match=r"found the section suites.*flame-ray evaluate"):
        command(config, None)
