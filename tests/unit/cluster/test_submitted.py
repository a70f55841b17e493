"""A submitted job writes nothing to a relative path, which Ray's cache of its package would take with it."""

import json
from pathlib import Path

import pytest

from flame_ray.cluster.submitted import is_submitted, job_metadata, last_words, require_lasting, told_exit_code
from flame_ray.errors import ConfigError
from flame_ray.storage.shared_paths import JOB

METADATA = {"job_submission_id": "raysubmit_1", "job_name": "raysubmit_1"}


@pytest.fixture
def submitted(monkeypatch) -> None:
    """What Ray's job manager sets for a driver."""
    monkeypatch.setenv(JOB, json.dumps({"runtime_env": {}, "metadata": METADATA}))


def test_the_variable_is_the_one_that_ray_sets():
    from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
    from ray.dashboard.modules.job.common import JOB_ID_METADATA_KEY

    assert RAY_JOB_CONFIG_JSON_ENV_VAR == JOB and JOB_ID_METADATA_KEY in METADATA


def test_a_process_is_a_submitted_job_if_ray_says_so_or_if_it_is_in_the_cache_of_a_package(submitted, monkeypatch, tmp_path):
    assert is_submitted() and job_metadata() == METADATA
    monkeypatch.delenv(JOB)
    assert not is_submitted() and job_metadata() == {}
    package = tmp_path / "session/runtime_resources/working_dir_files/_ray_pkg_1"
    package.mkdir(parents=True)
    monkeypatch.chdir(package)
    assert is_submitted()


@pytest.mark.parametrize("path", ["runs", "./runs", "../runs", "file://runs", Path("out.jsonl")])
def test_a_relative_path_is_refused_in_a_submitted_job_with_the_way_out(submitted, path):
    with pytest.raises(ConfigError, match=r"for run\.root.*job's package.*To fix:.* --set run\.root=/shared/path"):
        require_lasting("run.root", path, "--set run.root=/shared/path")


@pytest.mark.parametrize("path", ["/shared/runs", "~/runs", "file:///runs", "s3://bucket/runs"])
def test_a_path_that_stays_is_allowed_in_a_submitted_job(submitted, path):
    require_lasting("run.root", path, "")


def test_a_relative_path_is_allowed_in_any_other_process():
    require_lasting("run.root", "runs", "")


@pytest.mark.parametrize("variable", ["", "{", "[]", "{}", '{"metadata": null}', '{"metadata": {}}'])
def test_a_variable_that_names_no_job_makes_none(monkeypatch, variable):
    monkeypatch.setenv(JOB, variable)
    assert not is_submitted()


def test_a_submitted_job_that_fails_says_its_exit_code_in_a_last_line_and_others_do_not(submitted, monkeypatch):
    log = f"round 1 train\nflame-ray: expected x; found y.{last_words(75)}\nRay says goodbye\n"
    assert told_exit_code(log) == 75
    assert told_exit_code(f"{last_words(3)}\n{log}") == 75
    assert told_exit_code("the model: flame-ray has ended with exit code 0") is None
    monkeypatch.delenv(JOB)
    assert last_words(75) == ""
