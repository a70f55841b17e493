"""A run's folder: what is written there, and which folders a process may open again."""

import json
import os
import uuid
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from flame_ray.config import Config, RunConfig
from flame_ray.config.load import load_config, parse_config
from flame_ray.errors import ConfigError, StorageError
from flame_ray.journal.lineage import lineage_of
from flame_ray.journal.run_folder import FORMAT, RunFolder, run_id
from flame_ray.journal.run_record import RunReader
from flame_ray.journal.run_status import read_status
from flame_ray.storage.filesystem import Storage
from tests.saved_runs import make_saved_run


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "runs" / "mine"


@pytest.fixture
def run(path) -> RunFolder:
    made = RunFolder(Storage(path))
    made.create(Config(), {"machine": "a fake"})
    return made


def settings(**sections) -> Config:
    return parse_config(sections, "here")


# Making one


def test_a_new_run_holds_its_settings_and_its_environment(run, path):
    assert load_config(path / "config.yaml") == Config()
    assert json.loads((path / "environment.json").read_text()) == {"format": FORMAT, "machine": "a fake"}


def test_settings_other_than_the_defaults_are_read_back_as_they_were(path):
    config = settings(run={"seed": 7}, learner={"lora": None}, prompts={"sources": [{"source": "x.jsonl", "limit": 3}]})
    RunFolder(Storage(path)).create(config, {})
    assert load_config(path / "config.yaml") == config
    assert yaml.safe_load((path / "config.yaml").read_text())["run"]["seed"] == 7


def test_an_existing_run_id_is_refused_and_left_as_it_is(run, path):
    with pytest.raises(StorageError, match=r"mine, which exists already.*run\.id.*--resume"):
        run.check_place(is_new=True)
    before = {file: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(StorageError, match="mine, which exists already"):  # made by another process since the check
        RunFolder(Storage(path)).create(settings(run={"seed": 7}), {"machine": "another"})
    assert {file: file.read_bytes() for file in path.iterdir()} == before


def test_a_new_run_id_with_room_passes_and_makes_nothing(path, tmp_path):
    RunFolder(Storage(path)).check_place(is_new=True)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_refused_with_both_sizes(path):
    with pytest.raises(StorageError) as caught:
        RunFolder(Storage(path)).check_room(2**60)
    assert caught.value.expected == f"{2**30:.1f} GiB free for {path}"
    assert caught.value.found.endswith("GiB on its disk")
    assert "run.root" in caught.value.fix and "run.save_merged" in caught.value.fix


def test_an_object_store_has_room():
    RunFolder(Storage(f"memory://{uuid.uuid4().hex}")).check_room(2**60)


def test_a_folder_that_cannot_be_made_is_a_storage_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"file/run.*Not a directory"):
        RunFolder(Storage(tmp_path / "file" / "run")).create(Config(), {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_a_storage_error_that_names_it(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        RunFolder(Storage(tmp_path / "run")).create(Config(), {})


def test_the_run_id_is_that_of_the_settings_or_the_name_with_a_time():
    assert run_id(Config(run=RunConfig(id="mine", name="other"))) == "mine"
    made = run_id(Config(run=RunConfig(name="quick")))
    assert datetime.strptime(made, "quick-%Y%m%d-%H%M%S")


def test_checkpoints_have_an_absolute_path_since_a_learner_rank_works_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert RunFolder(Storage("runs/mine")).checkpoints == tmp_path / "runs/mine/checkpoints"


def test_checkpoints_on_an_object_store_have_a_url():
    assert str(RunFolder(Storage("memory://runs/mine")).checkpoints) == "memory://runs/mine/checkpoints"


# Opening one again


def test_an_unfinished_run_may_go_on_with_its_own_settings(run):
    run.check_resumable(Config())
    for status in ("running", "failed", "interrupted"):
        run.write_json("summary.json", {"status": status})
        run.check_resumable(Config())


def test_a_run_may_go_on_elsewhere_and_at_another_speed(run):
    run.check_resumable(
        settings(
            run={"id": "mine", "root": "/elsewhere", "keep_checkpoints": 2},
            cluster={"address": "ray://head:10001"},
            rollout={"workers": 4, "min_workers": 1, "gpus": 1, "batch_sequences": 8},
            learner={"workers": 2, "zero_stage": 3, "checkpoint_steps": 5},
        )
    )


def test_a_changed_setting_is_refused_by_its_name_with_both_values(run, path):
    with pytest.raises(ConfigError) as caught:
        run.check_resumable(settings(learner={"lr": 0.5}, run={"seed": 7}, rollout={"workers": 2}))
    assert str(path / "config.yaml") in caught.value.expected
    assert caught.value.found == "learner.lr: 0.0001 -> 0.5; run.seed: 0 -> 7"


def test_a_complete_run_is_refused(run):
    run.write_json("summary.json", {"status": "complete"})
    with pytest.raises(StorageError, match="mine, which is complete"):
        run.check_resumable(Config())


def test_a_run_that_is_not_there_is_refused_by_its_path(path):
    with pytest.raises(StorageError, match=r"runs/mine/config\.yaml; found no such file"):
        RunFolder(Storage(path)).check_resumable(Config())


def test_a_run_of_an_older_format_is_refused_before_its_settings_are_compared(run, path):
    (path / "environment.json").write_text("{}")  # the first format had no number
    with pytest.raises(StorageError, match=rf"a run of format {FORMAT}.*mine, of format 1.*start a new run"):
        run.check_resumable(settings(run={"seed": 7}))


def test_settings_of_another_version_are_refused_by_their_file(run):
    run.write_text("config.yaml", "rollout: {no_such_setting: 1}\n")
    with pytest.raises(ConfigError, match=r"config\.yaml: rollout\.no_such_setting"):
        run.check_resumable(Config())


# What lies in it


def test_what_json_cannot_say_is_refused_and_leaves_the_old_file_whole(run):
    run.write_json("summary.json", {"round": 1})
    with pytest.raises(ValueError):
        run.write_json("summary.json", {"round": float("nan")})
    with pytest.raises(UnicodeEncodeError):
        run.write_text("summary.json", "half a file \udcff")
    assert run.summary() == {"round": 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.yaml", b"run: ["), ("config.yaml", b"- a"), ("config.yaml", b"\xff"), ("summary.json", b'{"status": "comp')],
    ids=["cut off", "a list", "no text", "cut off"],
)
def test_a_damaged_file_of_a_run_is_refused_by_its_path(run, path, name, content):
    (path / name).write_bytes(content)
    with pytest.raises(StorageError, match=rf"a run's {name}; found .*{name}: "):
        run.settings() if name == "config.yaml" else run.summary()


def test_a_summary_that_is_not_there_yet_is_empty(run):
    assert run.summary() == {}
    assert run.read_json("timeline.json", []) == []


def test_lines_are_one_object_each_and_replace_those_of_before(run, path):
    run.write_lines("metrics.jsonl", [{"round": 0}])
    run.write_lines("metrics.jsonl", [{"round": 0}, {"round": 1}])
    lines = (path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"round": 0}, {"round": 1}]


def write(run: RunFolder, name: str, *row_groups: list[dict], columns: pa.Schema | None = None) -> None:
    with run.table(name, columns or pa.schema({"a": pa.int64(), "b": pa.int64()})) as add:
        for rows in row_groups:
            add(rows)


def test_a_table_is_read_back_as_it_was_however_its_rows_came(run, path):
    rows = [{"a": 1, "text": "Où 🦙?", "tokens": [1, 2]}, {"a": None, "text": "", "tokens": []}]
    columns = pa.schema({"a": pa.int64(), "text": pa.string(), "tokens": pa.list_(pa.int64())})
    write(run, "rounds/0001/t.parquet", rows[:1], [], rows[1:], columns=columns)
    assert pq.read_table(path / "rounds/0001/t.parquet").to_pylist() == rows
    assert pq.ParquetFile(path / "rounds/0001/t.parquet").num_row_groups == 2


def test_a_table_without_rows_is_not_written(run, path):
    write(run, "rounds/0001/facts.parquet", [])
    assert not (path / "rounds").exists()


def test_a_table_that_is_not_finished_is_not_there_and_leaves_that_of_before(run, path):
    write(run, "t.parquet", [{"a": 1, "b": 2}])
    for name in ("t.parquet", "u.parquet"):
        with pytest.raises(KeyError), run.table(name, pa.schema({"a": pa.int64()})) as add:
            add([{"a": 3}])
            raise KeyError
    assert run.read_table("t.parquet", ["b"]) == [{"b": 2}]
    assert not [each.name for each in path.iterdir() if each.name.endswith(".part")] and not run.storage.exists("u.parquet")


def test_columns_of_a_table_are_read_and_a_table_that_was_not_written_has_no_rows(run):
    write(run, "t.parquet", [{"a": 1, "b": 2}, {"a": 3, "b": 4}])
    assert run.read_table("t.parquet", ["b"]) == [{"b": 2}, {"b": 4}]
    assert run.read_table("u.parquet", ["b"]) == []


@pytest.mark.parametrize("read", [read_status, RunReader, lambda run: lineage_of(run, 1)], ids=["status", "report", "card"])
def test_whoever_reads_the_settings_of_a_run_says_that_they_are_damaged(tmp_path, read):
    saved = make_saved_run(tmp_path)
    saved.write_text("config.yaml", "run: [")
    with pytest.raises(StorageError, match=r"a run's config\.yaml; found .*mine/config\.yaml"):
        read(saved)


@pytest.mark.parametrize("damage", [b"PAR1 no more", b""])
def test_a_damaged_table_is_refused_by_its_path(run, path, damage):
    (path / "t.parquet").write_bytes(damage)
    with pytest.raises(StorageError, match=r"a table with a, b; found .*t\.parquet.*copy of the run"):
        run.read_table("t.parquet", ["a", "b"])


def test_a_table_that_lacks_a_column_is_refused_by_its_path(run):
    write(run, "t.parquet", [{"a": 1}], columns=pa.schema({"a": pa.int64()}))
    with pytest.raises(StorageError, match=r"a table with a, b; found .*t\.parquet"):
        run.read_table("t.parquet", ["a", "b"])
