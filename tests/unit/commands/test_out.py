"""`--out` is checked before anything starts, and the check leaves nothing behind."""

import json
from pathlib import Path

import pytest

from flame_ray.commands.out import check_out_file, check_out_folder
from flame_ray.errors import ConfigError, StorageError
from flame_ray.storage.shared_paths import JOB

CHECKS = pytest.mark.parametrize("check", [check_out_file, check_out_folder])


@CHECKS
def test_a_place_that_can_be_written_is_left_as_it_was(check, tmp_path):
    check(tmp_path / "new/and/deeper")
    assert list(tmp_path.iterdir()) == []


@CHECKS
def test_a_place_below_a_file_or_in_proc_is_refused(check, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"Not a directory.*--out"):
        check(tmp_path / "file" / "below")
    with pytest.raises(StorageError, match=r"/proc.*--out"):
        check(Path("/proc/new/below"))


@CHECKS
def test_a_url_is_refused(check):
    with pytest.raises(ConfigError, match="--out to be a path on this machine"):
        check(Path("s3://bucket/file"))


def test_an_error_names_the_option_that_it_is_about(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="--store to be a path on this machine"):
        check_out_folder(Path("s3://bucket/store"), "--store")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"Not a directory.*--store"):
        check_out_folder(tmp_path / "file" / "below", "--store")
    monkeypatch.setenv(JOB, json.dumps({"metadata": {"job_submission_id": "one"}}))
    with pytest.raises(ConfigError, match=r"--store.*--store /shared/path"):
        check_out_folder(Path("store"), "--store")


@CHECKS
def test_a_relative_place_is_refused_in_a_submitted_job(check, monkeypatch):
    monkeypatch.setenv(JOB, json.dumps({"metadata": {"job_submission_id": "one"}}))
    with pytest.raises(ConfigError, match=r"--out.*--out /shared/path"):
        check(Path("scores.jsonl"))


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a file; found the folder"):
        check_out_file(tmp_path)
    with pytest.raises(StorageError, match="Not a directory"):
        check_out_folder(tmp_path / "file")
    check_out_file(tmp_path / "file")
    check_out_folder(tmp_path)
