"""Answers kept between runs: shared by processes, and begun anew when the file is damaged."""

import gc
import logging
import multiprocessing
import sqlite3
from contextlib import closing

import pytest

from flame_ray.errors import StorageError
from flame_ray.storage.cache import Cache, _set_aside, cache_dir, node_file


@pytest.fixture
def path(tmp_path):
    return tmp_path / "classify" / "node.sqlite"


def test_what_is_added_is_there_at_once_and_for_the_next_reader(path):
    cache = Cache(path)
    assert "a" not in cache
    cache.add({"a": 0.25, "b": ["supported", 1 / 3, None]})
    for reader in (cache, Cache(path)):
        assert "a" in reader and reader["a"] == 0.25
        assert reader.get(["b", "c", "b"]) == {"b": ["supported", 1 / 3, None]}


@pytest.mark.parametrize(
    "text", ["", 'quotes "and" [brackets]', "two\nlines\r\n", "Où 🦙?", "\u2028", "\x00\ud800", "x" * 100_000]
)
def test_any_text_is_a_key(path, text):
    Cache(path).add({text: 1})
    assert Cache(path).get([text, text + " "]) == {text: 1}


def test_a_later_answer_replaces_an_earlier_one(path):
    Cache(path).add({"a": 0.1})
    Cache(path).add({"a": 0.9})
    assert Cache(path)["a"] == 0.9


def test_an_answer_that_was_never_given_is_a_key_error(path):
    with pytest.raises(KeyError):
        Cache(path)["never"]


def test_thousands_at_once(path):
    values = {f"key {number}": number for number in range(3000)}
    Cache(path).add(values)
    assert Cache(path).get(list(values)) == values


@pytest.mark.parametrize("damage", ["no database", "a torn page", "cut short"])
def test_a_damaged_file_is_set_aside_with_a_warning_and_begun_anew(path, damage, caplog):
    values = {f"key {number}": "value " * 20 for number in range(2000)}
    Cache(path).add(values)
    gc.collect()  # closes the file, and so brings all of it out of the write-ahead log
    whole = path.read_bytes()
    torn = whole[:4096] + b"\x55" * (len(whole) - 4096)
    path.write_bytes({"no database": b"other" * 999, "a torn page": torn, "cut short": whole[: len(whole) // 2]}[damage])
    with caplog.at_level(logging.WARNING):
        assert Cache(path).get(list(values)) == {}
    Cache(path).add(values)
    assert Cache(path).get(list(values)) == values
    assert "is damaged" in caplog.text and len(list(path.parent.glob("*.damaged-*"))) >= 1


def test_a_row_that_is_not_json_is_no_answer(path):
    Cache(path).add({"a": [1], "b": [2]})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE answers SET value = '[3' WHERE key = CAST('a' AS BLOB)")
    assert Cache(path).get(["a", "b"]) == {"b": [2]}


def test_a_file_that_another_process_has_begun_anew_meanwhile_is_not_set_aside(path):
    late = Cache(path)
    path.write_bytes(b"something else" * 400)
    Cache(path).add({"a": 1})
    assert late["a"] == 1
    assert len(list(path.parent.glob("*.damaged-*"))) == 1


def test_a_process_that_comes_late_to_the_damage_leaves_the_new_file_alone(path):
    Cache(path).add({"a": 1})
    _set_aside(path, sqlite3.DatabaseError("what the file before it had"))
    assert Cache(path)["a"] == 1 and not list(path.parent.glob("*.damaged-*"))


def test_a_file_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"FLAME_RAY_CACHE"):
        Cache(tmp_path / "file" / "node.sqlite")
    (tmp_path / "node.sqlite").mkdir()
    with pytest.raises(StorageError, match=r"unable to open.*FLAME_RAY_CACHE"):
        Cache(tmp_path / "node.sqlite").get(["a"])


def full(path, **settings) -> Cache:
    """A cache whose disk takes no more."""
    cache = Cache(path, **settings)
    cache.add({"a": 1})
    cache._open().execute("PRAGMA max_page_count=1")
    return cache


MUCH = {f"key {number}": "value " * 99 for number in range(99)}


def test_of_a_full_disk_the_error_says_so(path):
    with pytest.raises(StorageError, match=r"full.*free some space, or set FLAME_RAY_CACHE"):
        full(path).add(MUCH)


def test_of_a_file_that_another_process_keeps_locked_the_error_says_so(path, monkeypatch):
    monkeypatch.setattr("flame_ray.storage.cache.BUSY_S", 0)
    cache = Cache(path)
    cache.add({"a": 1})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"locked.*wait for the process that uses it, or set FLAME_RAY_CACHE"):
            cache.add({"b": 2})


def test_a_cache_that_is_not_needed_is_given_up_with_one_warning_when_the_disk_is_full(path, caplog):
    cache = full(path, needed=False)
    for _ in range(2):
        cache.add(MUCH)
        assert cache.get(["a"]) == {}
    assert len(caplog.records) == 1 and "free some space" in caplog.text and "without this cache" in caplog.text


def _work(path, process):
    cache = Cache(path)
    for number in range(40):
        cache.add({f"shared {number}": process, f"{process} has {number}": number})


def test_several_processes_write_at_once_and_nothing_is_lost(path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work, args=(path, process)) for process in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (40 + 3 * 40,)


def test_the_cache_is_where_the_variables_say(tmp_path, monkeypatch):
    monkeypatch.delenv("FLAME_RAY_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "flame-ray"
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"


def test_each_node_has_a_file_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "gpu-7")
    assert node_file(tmp_path) == tmp_path / "gpu-7.sqlite"
