"""Index folders: one for each key, mapped by every process, and built again when damaged."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from flame_ray.config import FactualityConfig
from flame_ray.errors import DataError
from flame_ray.rewards.factuality.retrieve import open_passages, open_retriever
from flame_ray.rewards.factuality.retrieve.index import KEY, open_index


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "indexes"


def build(folder: Path) -> None:
    (folder / "data").write_bytes(b"index" * 100)


@pytest.mark.parametrize("other", [{"a": 2}, {"a": 1, "b": None}, {}])
def test_another_key_is_another_index_and_the_same_key_the_same(other):
    assert open_index("x", {"a": 1}, build) == open_index("x", {"a": 1}, build) != open_index("x", other, build)


def test_the_folder_says_what_it_was_made_from():
    folder = open_index("x", {"bm25s": "0.3", "k1": 1.5}, build)
    assert json.loads((folder / KEY).read_text()) == {"kind": "x", "bm25s": "0.3", "k1": 1.5}


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
