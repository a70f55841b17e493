"""What a user gets wrong first: each ends at once with one message and an exit code, and leaves no run folder."""

import json
import subprocess
from pathlib import Path

import pytest

from flame_ray.errors import StorageError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.storage.filesystem import Storage
from tests.conftest import Ended
from tests.integration.runs import REPOSITORY


@pytest.fixture
def attempt(no_ray, flame, tmp_path):
    """Runs the quickstart with one thing wrong."""

    def run(*overrides: str) -> Ended:
        pairs = (f"run.root={tmp_path / 'runs'}", "run.id=bad", "cluster.dashboard=false", *overrides)
        words = [word for pair in pairs for word in ("--set", pair)]
        return flame("run", REPOSITORY / "jobs" / "quickstart.yaml", *words, folder=tmp_path)

    return run


def check(ended: Ended, tmp_path: Path, code: int, *parts: str) -> None:
    assert ended.returncode == code, ended.stderr
    message = ended.stderr.strip().splitlines()[-1]
    assert message.startswith("flame-ray: expected ") and "; found " in message and "To fix: " in message
    assert "Traceback" not in ended.stderr
    for part in parts:
        assert part in message, (part, message)
    assert not (tmp_path / "runs").exists(), "a run that never began must leave no folder"


def source(path: Path, **more: str) -> str:
    return f"prompts.sources={json.dumps([{'source': str(path), **more}])}"


def jsonl(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_mistyped_setting_is_named(attempt, tmp_path):
    check(attempt("rollout.sampels=4"), tmp_path, 2, "rollout.sampels")


def test_a_missing_prompt_file_is_named(attempt, tmp_path):
    check(attempt(source(tmp_path / "none.jsonl")), tmp_path, 3, "none.jsonl")


def test_a_missing_column_is_named_with_those_that_exist(attempt, tmp_path):
    path = jsonl(tmp_path / "p.jsonl", '{"question": "Who?"}')
    check(attempt(source(path)), tmp_path, 3, "prompt", "question", "p.jsonl:1")


def test_a_malformed_row_is_named_by_file_and_line(attempt, tmp_path):
    path = jsonl(tmp_path / "p.jsonl", '{"prompt": "Who?"}', '{"prompt": ')
    check(attempt(source(path)), tmp_path, 3, "p.jsonl:2")


def test_an_empty_prompt_set_is_refused(attempt, tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text("")
    check(attempt(source(path)), tmp_path, 3, "p.jsonl")


def test_an_empty_corpus_is_refused(attempt, tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text("")
    check(attempt(f"factuality.corpus={path}"), tmp_path, 3, "corpus.jsonl")


def test_a_corpus_without_the_text_column_is_refused(attempt, tmp_path):
    path = jsonl(tmp_path / "corpus.jsonl", '{"title": "Peru", "body": "Lima"}')
    check(attempt(f"factuality.corpus={path}"), tmp_path, 3, "text", "body")


def test_a_model_folder_that_is_not_there_is_refused(attempt, tmp_path):
    check(attempt("model.policy=./nowhere"), tmp_path, 4, "model.policy", "./nowhere")


def test_a_prompt_longer_than_the_model_takes_is_named(attempt, tmp_path, model):
    long = {"prompt": "Who? " * 400, "id": "long", "split": "train"}
    short = [{"prompt": "Where?", "split": "heldout"}, {"prompt": "When?", "split": "dev"}]
    rows = [json.dumps(row) for row in (long, *short)]
    path = jsonl(tmp_path / "p.jsonl", *rows)
    check(attempt(source(path)), tmp_path, 4, "p.jsonl:1", "model.max_length", "prompts.overlong=leave_out")


def test_a_model_folder_without_a_chat_template_is_refused(attempt, tmp_path, model):
    folder = tmp_path / "model"
    folder.mkdir()
    for file in model.iterdir():
        if file.name != "chat_template.jinja":
            (folder / file.name).symlink_to(file)
    check(attempt(f"model.policy={folder}"), tmp_path, 4, "chat template")


def test_more_actors_than_the_cluster_can_ever_place_are_refused(attempt, tmp_path, model):
    check(attempt("rollout.workers=1000"), tmp_path, 5, "rollout 250", "CPU", ".workers")


def test_a_disk_without_room_for_the_checkpoints_is_refused(attempt, tmp_path, model):
    check(attempt("run.save_merged=true", "run.rounds=100000"), tmp_path, 6, "GiB", "run.root")


def test_a_run_id_that_is_there_already_is_refused(attempt, tmp_path, model):
    taken = tmp_path / "runs" / "bad"
    taken.mkdir(parents=True)
    done = attempt()
    assert done.returncode == 6 and "run.id" in done.stderr and not any(taken.iterdir())


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB, which fills up."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"this test mounts a small file system, which is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_is_one_message_and_leaves_no_half_written_file(small_disk):
    run = RunFolder(Storage(small_disk))
    run.write_json("summary.json", {"status": "running"})
    with pytest.raises(StorageError, match="No space left"):
        run.write_text("large.txt", "x" * 2**21)
    assert {path.name for path in small_disk.iterdir()} <= {"summary.json", ".large.txt.part"}
    assert json.loads((small_disk / "summary.json").read_text()) == {"status": "running"}
