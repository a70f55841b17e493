"""Answers kept between runs, through a kill in the middle of a write."""

import logging
from pathlib import Path

import pytest

from flame_ray.errors import StorageError
from flame_ray.storage.cache import Cache


@pytest.fixture
def path(tmp_path):
    return tmp_path / "classify" / "model.jsonl"


def test_what_is_added_is_there_at_once_and_for_the_next_reader(path):
    cache = Cache(path)
    assert "a" not in cache
    cache.add({"a": 0.25, "b": 1.0})
    for reader in (cache, Cache(path)):
        assert "a" in reader and reader["a"] == 0.25 and reader["b"] == 1.0


def test_texts_of_any_kind_come_back_whole(path):
    texts = ['quotes "and" commas, [brackets]', "two\nlines\r\nthree", "Où 🦙?", "\u2028 a separator \x85 and \x1c", ""]
    Cache(path).add({text: float(i) for i, text in enumerate(texts)})
    found = Cache(path)
    assert [found[text] for text in texts] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_later_answer_takes_the_place_of_an_earlier_one(path):
    Cache(path).add({"a": 0.1})
    Cache(path).add({"a": 0.9})
    assert Cache(path)["a"] == 0.9


def test_nothing_is_written_when_there_is_nothing_to_add(path):
    Cache(path).add({})
    assert not path.exists()


@pytest.mark.parametrize("cut", [1, 2, 5, 10])
def test_a_torn_last_line_is_left_out_with_a_warning_and_the_rest_is_kept(path, cut, caplog):
    Cache(path).add({"whole": 0.5, "torn": 0.75})
    path.write_bytes(path.read_bytes()[: -1 - cut])
    with caplog.at_level(logging.WARNING):
        found = Cache(path)
    assert found["whole"] == 0.5 and "torn" not in found
    assert f"{path}:2" in caplog.text


def test_answers_that_are_added_after_a_torn_line_are_kept(path):
    Cache(path).add({"whole": 0.5, "torn": 0.75})
    path.write_bytes(path.read_bytes()[:-3])
    Cache(path).add({"torn": 0.25, "b": 1.0})
    Cache(path).add({"c": 0.0})
    found = Cache(path)
    assert [found[key] for key in ("whole", "torn", "b", "c")] == [0.5, 0.25, 1.0, 0.0]


def test_a_line_that_only_lacks_its_end_is_kept_and_so_is_what_is_added_after_it(path):
    Cache(path).add({"a": 0.5})
    path.write_bytes(path.read_bytes()[:-1])
    Cache(path).add({"b": 0.25})
    found = Cache(path)
    assert (found["a"], found["b"]) == (0.5, 0.25)


@pytest.mark.parametrize("left", [b"\x00\x00\xff", b'["O\xf0\x9f', b"0.5", b'["b"]', b"null"])
def test_what_is_no_answer_is_left_out_with_a_warning(path, left, caplog):
    Cache(path).add({"a": 0.5})
    path.write_bytes(path.read_bytes() + left)
    with caplog.at_level(logging.WARNING):
        found = Cache(path)
    assert found["a"] == 0.5 and "b" not in found
    assert f"{path}:2" in caplog.text


def test_a_full_disk_is_a_storage_error_that_names_the_file(path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"model\.jsonl.*No space left.*free some space"):
        Cache(path).add({"a": 0.5})


def test_an_answer_that_was_never_given_is_a_key_error(path):
    with pytest.raises(KeyError):
        Cache(path)["never"]


def test_what_another_reader_added_since_is_kept(path):
    first, second = Cache(path), Cache(path)
    first.add({"a": 0.25})
    second.add({"b": 0.75})
    found = Cache(path)
    assert (found["a"], found["b"]) == (0.25, 0.75)
