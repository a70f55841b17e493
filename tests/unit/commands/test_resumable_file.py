"""The output of flame-ray score: complete records survive a kill, and records of other settings or input are not mixed in."""

import json
import multiprocessing
import os
import signal

import pytest

from flame_ray.commands.resumable_file import ResumableFile
from flame_ray.errors import ConfigError, StorageError

MADE_BY = {"responses": {"sha256": "abc"}, "factuality": {"checker": "lexical", "workers": 1}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scores.jsonl"


def write(path, *lines, made_by=MADE_BY):
    with ResumableFile(path, made_by) as file:
        for line in lines:
            file.append({"line": line, "text": "ß\u2028"})
        return file.last


def lines_of(path):
    return [json.loads(line)["line"] for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_a_new_file_has_no_last_line_and_its_settings_stand_beside_it(path):
    assert write(path, 1, 2) == 0
    assert lines_of(path) == [1, 2]
    assert json.loads((path.parent / "scores.jsonl.settings.json").read_text()) == MADE_BY


def test_a_new_file_is_gone_after_an_error_before_its_first_record_and_stays_after_a_later_one(path):
    with pytest.raises(ZeroDivisionError), ResumableFile(path, MADE_BY):
        raise ZeroDivisionError
    assert list(path.parent.iterdir()) == []
    with pytest.raises(ZeroDivisionError), ResumableFile(path, MADE_BY) as file:
        file.append({"line": 1})
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), ResumableFile(path, MADE_BY):
        raise ZeroDivisionError
    assert lines_of(path) == [1] and write(path, 2) == 1


def test_a_new_file_whose_settings_cannot_be_written_is_gone_too(path):
    path.with_name("scores.jsonl.settings.json").mkdir()
    with pytest.raises(StorageError, match=r"settings\.json; found Is a directory"), ResumableFile(path, MADE_BY):
        pass
    assert not path.exists()


def test_a_file_that_was_there_stays_after_an_error_even_if_it_is_empty(path):
    path.touch()
    with pytest.raises(ZeroDivisionError), ResumableFile(path, MADE_BY):
        raise ZeroDivisionError
    assert path.exists()


def test_a_file_that_another_process_has_removed_is_not_written(path):
    file = ResumableFile(path, MADE_BY)
    opened = path.open("a+b")
    path.unlink()
    with opened, pytest.raises(StorageError, match="no other process to write the file"):
        file._lock(opened)


def test_an_existing_file_is_resumed_after_its_last_record(path):
    write(path, 1, 2, 4)
    assert write(path, 5) == 4
    assert lines_of(path) == [1, 2, 4, 5]


@pytest.mark.parametrize(
    "torn",
    [b'{"line": 3, "te', b'{"line": 3}', b"\x00\x00\x00", b"\x00\x00\n", b"\n", b"[3]\n", b'{"line": "3"}\n', b"\xff\xfe\n\n"],
)
def test_an_incomplete_record_at_the_end_is_dropped(path, torn):
    write(path, 1, 2)
    with path.open("ab") as file:
        file.write(torn)
    assert write(path, 3) == 2
    assert lines_of(path) == [1, 2, 3]


def test_a_file_that_holds_only_an_incomplete_record_starts_again(path):
    write(path)
    path.write_bytes(b'{"line": 1, "te')
    assert write(path, 1) == 0
    assert lines_of(path) == [1]


def test_long_records_are_found_whole(path):
    with ResumableFile(path, MADE_BY) as file:
        file.append({"line": 1, "text": "x" * 2_000_000})
        file.append({"line": 2, "text": "y" * 1_000_000})
    assert write(path) == 2


@pytest.mark.parametrize(
    ("made_by", "part"),
    [
        ({**MADE_BY, "responses": {"sha256": "other"}}, "responses.sha256: abc -> other"),
        ({**MADE_BY, "factuality": {"checker": "nli", "workers": 1}}, "factuality.checker: lexical -> nli"),
    ],
)
def test_another_input_or_setting_is_refused_by_name_and_changes_nothing(path, made_by, part):
    write(path, 1)
    before = path.read_bytes()
    with pytest.raises(ConfigError) as error:
        write(path, 2, made_by=made_by)
    assert part in str(error.value) and "--out" in str(error.value)
    assert path.read_bytes() == before


def test_more_workers_may_resume_it(path):
    write(path, 1)
    assert write(path, 2, made_by={**MADE_BY, "factuality": {"checker": "lexical", "workers": 8}}) == 1


def test_a_file_of_unknown_origin_is_not_added_to(path):
    path.write_text('{"line": 1}\n')
    with pytest.raises(StorageError, match=r"scores.jsonl.settings.json beside it"):
        write(path, 2)
    assert path.read_text() == '{"line": 1}\n'


def test_settings_that_are_damaged_are_refused(path):
    write(path, 1)
    (path.parent / "scores.jsonl.settings.json").write_text("{")
    with pytest.raises(StorageError, match="settings in JSON"):
        write(path, 2)


def test_a_second_process_is_refused_while_the_first_one_writes(path):
    with ResumableFile(path, MADE_BY), pytest.raises(StorageError, match="no other process to write"):
        ResumableFile(path, MADE_BY).__enter__()
    write(path, 1)


def _append_and_die(path):
    with ResumableFile(path, MADE_BY) as file:
        file.append({"line": 1})
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_kill_costs_no_whole_record_and_leaves_no_lock(path):
    process = multiprocessing.get_context("spawn").Process(target=_append_and_die, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert write(path, 2) == 1
    assert lines_of(path) == [1, 2]


def test_its_records_can_be_read_while_it_is_open(path):
    with ResumableFile(path, MADE_BY) as file:
        file.append({"line": 1})
        assert list(file.records()) == [{"line": 1}]


def test_a_folder_that_is_not_there_is_made_and_one_that_cannot_be_is_an_error(tmp_path):
    write(tmp_path / "new" / "scores.jsonl", 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"scores\.jsonl"):
        write(tmp_path / "file" / "scores.jsonl", 1)


def test_a_number_that_json_cannot_hold_is_a_bug_and_not_a_line(path):
    with ResumableFile(path, MADE_BY) as file, pytest.raises(ValueError):
        file.append({"line": 1, "score": float("nan")})
    assert path.read_bytes() == b""
