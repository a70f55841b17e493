"""A run's folder: whole files or none, and errors that name the path."""

import json
import os
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from flame_ray.config import Config, RunConfig, load_config, parse_config
from flame_ray.errors import StorageError
from flame_ray.runtime.rundir import RunDirectory, run_id, storing


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "runs" / "mine", Config(), {"machine": "a fake"})


def fill_the_disk(path: Path) -> Path:
    """Any write to this path fails as on a full disk."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path.symlink_to("/dev/full")
    return path


def test_a_new_run_holds_its_settings_and_its_environment(run, tmp_path):
    assert load_config(run.path / "config.yaml") == Config()
    assert json.loads((run.path / "environment.json").read_text()) == {"machine": "a fake"}
    assert run.path == tmp_path / "runs" / "mine"


def test_settings_other_than_the_defaults_are_read_back_as_they_were(tmp_path):
    tree = {"run": {"seed": 7}, "learner": {"lora": None}, "prompts": {"sources": [{"source": "x.jsonl", "limit": 3}]}}
    config = parse_config(tree, "here")
    written = RunDirectory.create(tmp_path / "run", config, {}).path / "config.yaml"
    assert load_config(written) == config
    assert yaml.safe_load(written.read_text())["run"]["seed"] == 7


def test_an_existing_run_id_is_refused_and_left_as_it_is(run):
    with pytest.raises(StorageError, match=r"mine is there already.*run\.id"):
        RunDirectory.check(run.path, 0)
    before = (run.path / "environment.json").read_text()
    with pytest.raises(StorageError, match="mine"):
        RunDirectory.create(run.path, Config(), {"machine": "another"})
    assert (run.path / "environment.json").read_text() == before


def test_a_new_run_id_with_room_passes_and_makes_nothing(tmp_path):
    RunDirectory.check(tmp_path / "runs" / "new", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_refused_with_both_sizes(tmp_path):
    with pytest.raises(StorageError) as caught:
        RunDirectory.check(tmp_path / "runs" / "new", 2**60)
    assert f"{2**30:.1f} GiB free for {tmp_path / 'runs' / 'new'}" in caught.value.expected
    assert caught.value.found.endswith("GiB on its disk")
    assert "run.root" in caught.value.fix and "run.save_merged" in caught.value.fix


def test_a_writer_that_fails_leaves_the_old_file_whole(run):
    run.write_json("summary.json", {"round": 1})
    with pytest.raises(ValueError):
        run.write_json("summary.json", {"round": float("nan")})
    with pytest.raises(UnicodeEncodeError):
        run.write_text("summary.json", "half a file \udcff")
    assert json.loads((run.path / "summary.json").read_text()) == {"round": 1}


def test_a_write_replaces_the_whole_file_and_leaves_nothing_beside_it(run):
    run.write_text("notes.txt", "a long first version")
    run.write_text("notes.txt", "short")
    assert (run.path / "notes.txt").read_text() == "short"
    assert sorted(path.name for path in run.path.iterdir()) == ["config.yaml", "environment.json", "notes.txt"]


def test_a_reader_that_holds_the_old_file_open_reads_it_whole(run):
    run.write_text("notes.txt", "old")
    with (run.path / "notes.txt").open() as reader:
        run.write_text("notes.txt", "new")
        assert reader.read() == "old"


def test_a_full_disk_is_a_storage_error_that_names_the_file_and_keeps_the_old_one(run):
    run.write_json("summary.json", {"round": 1})
    fill_the_disk(run.path / ".summary.json.part")
    with pytest.raises(StorageError) as caught:
        run.write_json("summary.json", {"round": 2})
    assert caught.value.expected == f"to write {run.path / 'summary.json'}"
    assert caught.value.found == "No space left on device"
    assert "free some space" in caught.value.fix
    assert json.loads((run.path / "summary.json").read_text()) == {"round": 1}


def test_a_full_disk_under_a_table_is_a_storage_error_too(run):
    run.write_table("rounds/0000/t.parquet", [{"a": 1}])
    fill_the_disk(run.path / "rounds/0000/.t.parquet.part")
    with pytest.raises(StorageError, match=r"t\.parquet.*No space left.*free some space"):
        run.write_table("rounds/0000/t.parquet", [{"a": 2}])
    assert pq.read_table(run.path / "rounds/0000/t.parquet").to_pylist() == [{"a": 1}]


def test_a_full_disk_under_an_appended_file_is_a_storage_error_too(run):
    fill_the_disk(run.path / "metrics.jsonl")
    with pytest.raises(StorageError, match=r"metrics\.jsonl.*No space left.*free some space"):
        run.append_json("metrics.jsonl", {"round": 1})


def test_a_folder_that_cannot_be_made_is_a_storage_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"file/run.*Not a directory.*permissions"):
        RunDirectory.create(tmp_path / "file" / "run", Config(), {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_a_storage_error_that_names_it(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        RunDirectory.create(tmp_path / "run", Config(), {})


def test_errors_that_are_not_the_disks_pass_as_they_are(tmp_path):
    with pytest.raises(KeyError), storing(tmp_path):
        raise KeyError("a bug")


def test_lines_are_appended_one_object_a_line(run):
    run.append_json("metrics.jsonl", {"round": 0})
    run.append_json("metrics.jsonl", {"round": 1})
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"round": 0}, {"round": 1}]


def test_a_table_without_rows_is_not_written(run):
    run.write_table("rounds/0001/facts.parquet", [])
    assert not (run.path / "rounds").exists()


def test_a_checkpoint_has_an_absolute_path_that_sorts_by_round(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run = RunDirectory(Path("runs/mine"))
    assert run.checkpoint(3) == tmp_path / "runs/mine/checkpoints/round-0003"
    assert sorted([run.checkpoint(10), run.checkpoint(2)])[0] == run.checkpoint(2)


def test_the_run_id_is_that_of_the_settings_or_the_name_with_a_time():
    assert run_id(Config(run=RunConfig(id="mine", name="other"))) == "mine"
    made = run_id(Config(run=RunConfig(name="quick")))
    assert datetime.strptime(made, "quick-%Y%m%d-%H%M%S")
