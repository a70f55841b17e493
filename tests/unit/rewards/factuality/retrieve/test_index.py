"""Index folders: made once, shared, noticed when damaged."""

import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from flame_ray.config import FactualityConfig
from flame_ray.errors import DataError, StorageError
from flame_ray.rewards.factuality.retrieve import open_passages, open_retriever
from flame_ray.rewards.factuality.retrieve.index import KEY, VERIFIED, open_index


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "indexes"


class Maker:
    """Writes one file, and counts how often."""

    def __init__(self, content: bytes = b"index" * 100):
        self.content, self.times = content, 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "data").write_bytes(self.content)


def test_an_index_is_made_once():
    maker = Maker()
    assert open_index("x", {"a": 1}, maker) == open_index("x", {"a": 1}, maker)
    assert maker.times == 1


@pytest.mark.parametrize("other", [{"a": 2}, {"a": 1, "b": None}, {}])
def test_another_key_is_another_index(other):
    maker = Maker()
    assert open_index("x", {"a": 1}, maker) != open_index("x", other, maker)
    assert maker.times == 2


def test_the_folder_says_what_it_was_made_from():
    folder = open_index("x", {"bm25s": "0.3", "k1": 1.5}, Maker())
    assert json.loads((folder / KEY).read_text()) == {"kind": "x", "bm25s": "0.3", "k1": 1.5}


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["data", KEY, "manifest.json"])
def test_a_damaged_file_is_named_and_the_index_made_anew(caplog, damage, name):
    maker = Maker()
    folder = open_index("x", {}, maker)
    damage(folder / name)
    open_index("x", {}, maker)
    assert maker.times == 2
    assert str(folder / name) in caplog.text or "manifest" in caplog.text
    assert (folder / "data").read_bytes() == maker.content


def test_files_that_were_only_copied_are_verified_and_kept():
    maker = Maker()
    folder = open_index("x", {}, maker)
    os.utime(folder / "data", (1, 1))
    (folder / VERIFIED).write_text("torn {")
    open_index("x", {}, maker)
    assert maker.times == 1
    assert json.loads((folder / VERIFIED).read_text())["data"] == [500, 10**9]


def test_a_maker_that_fails_leaves_nothing_behind(cache):
    def fail(folder: Path) -> None:
        (folder / "data").write_bytes(b"half")
        raise DataError("a corpus", "none", "write one")

    with pytest.raises(DataError):
        open_index("x", {}, fail)
    maker = Maker()
    assert (open_index("x", {}, maker) / "data").read_bytes() == maker.content


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="FLAME_RAY_CACHE"):
        open_index("x", {}, Maker())


def _make_slowly(folder: Path) -> None:
    with (folder.parents[1] / "made").open("a") as log:
        log.write("once\n")
    time.sleep(0.5)
    (folder / "data").write_bytes(b"index")


def _open_slowly(_: int) -> str:
    return str(open_index("x", {"a": 1}, _make_slowly))


def test_of_processes_that_start_at_once_one_makes_the_index_and_all_open_it(cache):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        folders = pool.map(_open_slowly, range(3), chunksize=1)
    assert len(set(folders)) == 1
    assert (cache.parent / "made").read_text() == "once\n"


def _mapped(arguments: tuple[str, str]) -> dict[str, list[int]]:
    """Which bytes of its index files a process holds for itself alone: changed copies, in KiB."""
    corpus, query = arguments
    retriever = open_retriever(FactualityConfig(corpus=corpus))
    assert retriever.retrieve([query], 5)[0]
    found, name = {}, None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            name = line.rpartition("/")[2] if "/indexes/" in line else None
        elif name and line.startswith(("Size:", "Anonymous:")):
            found.setdefault(name, []).append(int(line.split()[1]))
    return found


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux tells what a process maps")
def test_the_files_are_mapped_and_no_process_has_a_copy(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(json.dumps({"title": f"title {i}", "text": f"word{i} " * 100}) for i in range(3000)))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for mapped in pool.map(_mapped, [(str(path), "word7"), (str(path), "word8")], chunksize=1):
            assert {"passages.arrow", "terms.arrow", "data.csc.index.npy", "indices.csc.index.npy"} <= set(mapped)
            assert all(anonymous == 0 for sizes in mapped.values() for anonymous in sizes[1::2])


def test_a_corpus_that_has_changed_is_indexed_anew(tmp_path):
    path = tmp_path / "corpus.jsonl"
    config = FactualityConfig(corpus=str(path))
    path.write_text('{"title": "Lima", "text": "A city."}')
    assert open_retriever(config).retrieve(["city"], 1)[0][0].text == "A city."
    path.write_text('{"title": "Lima", "text": "The city of Peru."}')
    assert open_retriever(config).retrieve(["city"], 1)[0][0].text == "The city of Peru."


def test_a_truncated_index_file_is_noticed_and_written_again(tmp_path, cache, caplog):
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(json.dumps({"title": f"t{i}", "text": f"word{i}"}) for i in range(100)))
    config = FactualityConfig(corpus=str(path))
    before = open_retriever(config).retrieve(["word42"], 3)
    for name in ("passages.arrow", "data.csc.index.npy"):
        (file,) = cache.glob(f"*/{name}")
        os.truncate(file, file.stat().st_size // 2)
    assert open_retriever(config).retrieve(["word42"], 3) == before
    assert "passages.arrow" in caplog.text and "data.csc.index.npy" in caplog.text


def test_an_empty_corpus_is_refused_and_leaves_no_index(tmp_path, cache):
    (tmp_path / "corpus.jsonl").write_text("\n")
    with pytest.raises(DataError, match="at least one passage"):
        open_passages(FactualityConfig(corpus=str(tmp_path / "corpus.jsonl")))
    assert not list(cache.glob("*/passages.arrow"))
