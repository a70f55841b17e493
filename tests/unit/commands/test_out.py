"""`--out` is checked before anything starts, and the check leaves nothing behind."""

import json
import os
from pathlib import Path

import pytest

from flame_ray.commands.out import LONGEST, check_out_file, check_out_folder
from flame_ray.commands.resumable_file import ResumableFile
from flame_ray.errors import ConfigError, StorageError
from flame_ray.storage.atomic import write_file
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


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full", "pipe"])
def test_a_device_or_a_pipe_is_neither_a_file_nor_a_folder(device, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(StorageError, match=f"--out to be a file; found the device or pipe {device}"):
        check_out_file(Path(device))
    with pytest.raises(StorageError, match=r"Not a directory.*set --out to a path in which no file stands"):
        check_out_folder(Path(device))


@CHECKS
@pytest.mark.parametrize("below", ["", "below", "below/deeper"])
def test_a_link_that_leads_nowhere_is_refused(check, below, tmp_path):
    (tmp_path / "link").symlink_to("/nowhere/at/all")
    with pytest.raises(StorageError, match=r"link, a link to /nowhere/at/all, where nothing is.*--out"):
        check(tmp_path / "link" / below)
    with pytest.raises(StorageError, match=r"a link to loop, where nothing is"):
        (tmp_path / "loop").symlink_to("loop")
        check(tmp_path / "loop" / below)


def test_a_link_to_a_file_is_followed_and_stays(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    check_out_file(tmp_path / "link")
    write_file(tmp_path / "link", b"new", "--out")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"new"


def test_an_input_is_never_written_over_by_whatever_path(tmp_path):
    given = tmp_path / "labels.jsonl"
    given.touch()
    (tmp_path / "link").symlink_to(given)
    (tmp_path / "hard").hardlink_to(given)
    for out in (given, tmp_path / "new" / ".." / "labels.jsonl", tmp_path / "link", tmp_path / "hard"):
        with pytest.raises(ConfigError, match="--out to be another file than --labels"):
            check_out_file(out, {"--labels": given})
    check_out_file(tmp_path / "figures.json", {"--labels": given, "--ranked": Path("a-set/of-trees")})


def test_a_name_leaves_room_for_those_of_the_files_beside_it(tmp_path):
    log = tmp_path / f"{'a' * LONGEST}.batches.jsonl"
    check_out_file(log.with_name("a" * LONGEST))
    ResumableFile(log, {}).__enter__().__exit__(None)
    with pytest.raises(ConfigError, match="at most 220 bytes for the file of --out; found 222 bytes: ßß"):
        check_out_file(tmp_path / ("ß" * 111))


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a file; found the folder"):
        check_out_file(tmp_path)
    with pytest.raises(StorageError, match="Not a directory"):
        check_out_folder(tmp_path / "file")
    check_out_file(tmp_path / "file")
    check_out_folder(tmp_path)
