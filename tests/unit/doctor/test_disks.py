"""Room: what is asked of disks, and of a store in memory."""

import json

import pytest

from flame_ray.config.load import parse_config
from flame_ray.doctor.checks import Level
from flame_ray.doctor.disks import check_room, find_room
from flame_ray.storage.shared_paths import JOB


def test_room_is_asked_of_disks_and_not_of_object_stores():
    assert check_room("run.root", "x", 10.0, 10.0, "free some").level is Level.OK
    assert check_room("run.root", "x", 10.0, 9.0, "free some").level is Level.PROBLEM
    assert check_room("run.root", "x", 10.0, None, "free some").level is Level.OK
    assert check_room("store", "x", 10.0, 9.0, "free some", Level.WARNING).level is Level.WARNING


def test_a_root_on_an_object_store_is_as_good_as_a_disk():
    check = find_room(parse_config({"run": {"root": "memory://bucket/runs"}}, "here"), None)[0]
    assert (check.level, check.name, check.found) == (Level.OK, "run.root", "not asked")
    assert "memory://bucket/runs" in check.expected


def test_a_relative_root_is_a_problem_in_a_submitted_job_and_a_warning_before_one_is_submitted(monkeypatch):
    settings = {"cluster": {"address": "http://127.0.0.1:8265"}}
    check = find_room(parse_config(settings, "here"), None)[0]
    assert (check.level, check.name) == (Level.WARNING, "run.root on a cluster") and "--set run.root=/shared" in check.fix
    monkeypatch.setenv(JOB, json.dumps({"metadata": {"job_submission_id": "one"}}))
    (check,) = find_room(parse_config(settings, "here"), None)
    assert (check.level, check.name) == (Level.PROBLEM, "run.root") and "--set run.root=/shared" in check.fix


@pytest.mark.parametrize("root", ["/proc/runs", "file/runs"])
def test_a_root_where_nothing_can_be_written_is_a_problem(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    check = find_room(parse_config({"run": {"root": root}}, "here"), None)[0]
    assert (check.level, check.name) == (Level.PROBLEM, "run.root") and "GiB" not in check.found
