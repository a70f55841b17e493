"""What the shell offers at the Tab key."""

import pytest

from flame_ray.commands.completion import assignments, job_files, names_of_settings, suites, tables
from flame_ray.evaluation.suites import SUITES
from flame_ray.reproduction.tables import TABLES


def words(offers) -> list[str]:
    return [word for word, _ in offers]


def test_set_is_offered_settings_with_their_meanings():
    assert words(assignments("learner.lr")) == ["learner.lr=", "learner.lr_final=", "learner.lr_round_factor="]
    assert dict(assignments("learner.lr"))["learner.lr="] == "The learning rate with which a round starts."
    assert len(assignments("")) > 200 and not any("[]" in word for word, _ in assignments(""))


def test_a_single_setting_is_offered_with_its_default_too_so_that_no_blank_follows_it():
    assert words(assignments("learner.lr_f")) == ["learner.lr_final=", "learner.lr_final=1.0e-05"]


def test_the_settings_command_is_offered_sections_and_settings():
    assert words(names_of_settings("learner.lora")) == ["learner.lora", *words(names_of_settings("learner.lora"))[1:]]
    assert "learner.lora.r" in words(names_of_settings("learner.lora")) and "run" in words(names_of_settings("r"))
    assert len(set(words(names_of_settings("")))) == len(words(names_of_settings("")))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("one.yaml", "two.yml", "notes.md", ".hidden.yaml"):
        (tmp_path / name).write_text("")
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "three.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_job_is_offered_yaml_files_and_folders(folder):
    assert words(job_files("")) == ["jobs/", "one.yaml", "two.yml"]
    assert words(job_files("t")) == ["two.yml"]
    assert words(job_files("jo")) == ["jobs/three.yaml"]
    (folder / "empty").mkdir()
    assert words(job_files("emp")) == ["empty/"]
    assert words(job_files("jobs/")) == ["jobs/three.yaml"]
    assert words(job_files(f"{folder}/jobs/th")) == [f"{folder}/jobs/three.yaml"]
    assert words(job_files(".h")) == [".hidden.yaml"]
    assert job_files("nowhere/") == [] and job_files("one.yaml/") == []


def test_suites_and_tables_are_offered_by_their_names():
    assert suites("") == list(SUITES) and suites("truth") == ["truthfulqa", "truthfulqa-mc"]
    assert tables("") == list(TABLES) and "figure-1" in tables("fig")
