"""What is done once is never done again, and what does not count yet is all that a death can cost."""

import math
import uuid
from collections.abc import Iterator

import pytest

from flame_ray.errors import StorageError
from flame_ray.journal import shards as module
from flame_ray.journal.shards import SHARD_RECORDS, Shards
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Prompt, PromptSet
from tests.builders import make_graded, make_pair, make_pair_set, make_prompt, make_response


class Killed(BaseException):
    """The process is gone: no `except Exception` sees it."""


class FullStorage(Storage):
    """Takes so many files and no more."""

    def __init__(self, url: str, takes: int):
        super().__init__(url)
        self.takes = takes

    def write(self, name: str, data: bytes) -> None:
        if not self.takes:
            raise StorageError(f"to write {self.at(name)}", "no space left", "free some space")
        self.takes -= 1
        super().write(name, data)


@pytest.fixture(autouse=True)
def no_shard_grows_old(monkeypatch):
    """However slow the machine."""
    monkeypatch.setattr(module, "SHARD_S", math.inf)


@pytest.fixture(params=["disk", "memory"])
def url(request, tmp_path) -> str:
    return str(tmp_path / "run") if request.param == "disk" else f"memory://{uuid.uuid4().hex}/run"


@pytest.fixture
def shards(url) -> Shards:
    return Shards(Storage(url))


def prompts(*numbers: int) -> list[Prompt]:
    return [Prompt(f"p{number}", f"question {number}") for number in numbers]


def dying(records: list[Prompt]) -> Iterator[Prompt]:
    yield from records
    raise Killed


def stored(url: str, round: int = 1, kind: str = "sampled") -> list[Prompt]:
    """What another process finds."""
    return list(Shards(Storage(url)).stream(round, kind, Prompt))


def test_a_stream_passes_on_as_it_came_and_comes_back_as_it_was(shards, url):
    records = prompts(*range(2 * SHARD_RECORDS + 5))
    assert list(shards.store(1, "sampled", records)) == records
    assert stored(url) == records


def test_a_record_is_stored_before_it_counts(shards, url):
    for record in shards.store(1, "sampled", prompts(*range(SHARD_RECORDS + 3))):
        assert record in stored(url)


def test_a_shard_that_cannot_be_stored_gives_none_of_its_records(url):
    full = Shards(FullStorage(url, takes=1))
    given: list[Prompt] = []
    with pytest.raises(StorageError, match="no space left"):
        for record in full.store(1, "sampled", prompts(*range(SHARD_RECORDS + 3))):
            given.append(record)
    assert given == stored(url) == prompts(*range(SHARD_RECORDS))


def test_a_process_that_dies_loses_only_what_did_not_count_and_the_next_one_goes_on(shards, url):
    records = prompts(*range(SHARD_RECORDS + 5))
    given: list[Prompt] = []
    with pytest.raises(Killed):
        for record in shards.store(1, "sampled", dying(records)):
            given.append(record)
    assert given == stored(url) == records[:SHARD_RECORDS]
    left = [record for record in records if record not in stored(url)]
    assert list(Shards(Storage(url)).store(1, "sampled", left)) == records[SHARD_RECORDS:]
    assert stored(url) == records


def test_a_reader_that_stops_loses_nothing_that_it_was_given(shards, url):
    stream = shards.store(1, "sampled", prompts(*range(SHARD_RECORDS + 5)))
    given = [next(stream) for _ in range(3)]
    stream.close()
    assert given == stored(url)[:3]


def test_a_shard_is_stored_once_it_is_old_however_few_its_records(shards, url, monkeypatch):
    monkeypatch.setattr(module, "SHARD_S", 0.0)
    drawn: list[Prompt] = []
    stream = shards.store(1, "sampled", (drawn.append(record) or record for record in prompts(0, 1, 2)))
    assert next(stream) == drawn[-1] == stored(url)[-1] == prompts(0)[0]
    assert len(list(stream)) == 2


def test_many_processes_one_after_the_other_keep_every_record_once(url):
    records = prompts(*range(12))
    for number in range(0, 12, 3):
        list(Shards(Storage(url)).store(1, "sampled", records[number : number + 3]))
    assert stored(url) == records


def test_a_stream_of_nothing_stores_nothing(shards, url):
    assert list(shards.store(1, "sampled", [])) == stored(url) == []
    assert Storage(url).names() == []


def test_rounds_and_kinds_are_kept_apart(shards, url):
    for round, kind, number in ((1, "sampled", 1), (2, "sampled", 2), (1, "scored", 3)):
        list(shards.store(round, kind, prompts(number)))
    assert [stored(url, 1), stored(url, 2), stored(url, 1, "scored")] == [prompts(1), prompts(2), prompts(3)]


def test_a_single_record_is_there_once_it_is_written(shards, url):
    decided = PromptSet(tuple(prompts(1, 2)))
    assert not shards.has(1, "prompts")
    shards.write(1, "prompts", decided)
    again = Shards(Storage(url))
    assert again.has(1, "prompts") and again.read(1, "prompts", PromptSet) == decided
    assert not again.has(2, "prompts") and not again.has(1, "pairs")


def test_a_stream_is_no_single_record_and_a_single_record_no_stream(shards, url):
    list(shards.store(1, "sampled", prompts(1)))
    shards.write(1, "prompts", PromptSet(()))
    assert not shards.has(1, "sampled")
    assert stored(url, 1, "prompts") == []


def test_pairs_come_back_as_they_were_and_count_once_the_last_of_them_is_stored(url, monkeypatch):
    monkeypatch.setattr(module, "SHARD_PAIRS", 2)
    best = make_graded(make_response(prompt="h"), advantage=None, kind="instruction")
    singles = *(make_graded(make_response(prompt=name)) for name in "fg"), best
    pairs = make_pair_set(
        *(make_pair(prompt=name) for name in "abcde"), graded=singles, dropped={"factuality: tie": 1}, responses=12, truncated=3
    )
    for takes in range(6):  # three shards and two, then the counts
        with pytest.raises(StorageError, match="no space left"):
            Shards(FullStorage(url, takes)).write_pairs(1, pairs)
        assert not Shards(Storage(url)).has(1, "pairs")
    Shards(Storage(url)).write_pairs(1, pairs)
    assert Shards(Storage(url)).has(1, "pairs") and Shards(Storage(url)).read_pairs(1) == pairs


def test_what_is_removed_is_gone_and_nothing_else_is(shards, url):
    shards.remove(1, "sampled")
    list(shards.store(1, "sampled", prompts(1)))
    list(shards.store(1, "scored", prompts(2)))
    shards.remove(1, "sampled")
    assert (stored(url), stored(url, 1, "scored")) == ([], prompts(2))


def test_a_shard_that_is_damaged_is_named(shards, url):
    list(shards.store(1, "sampled", prompts(1)))
    Storage(url).write("rounds/0001/sampled/000000.json.gz", b"not a shard")
    with pytest.raises(StorageError, match=r"rounds/0001/sampled/000000\.json\.gz"):
        stored(url)


IDS = [
    "../../escape",
    "/etc/passwd",
    "a\0b",
    "a" * 5000,
    "..",
    "CON",
    "a/../../b",
    "\u202e",
    "\x1b]52;c;cm0=\x07",
    "rounds/0001/pairs.json.gz",
]


def test_the_ids_of_prompts_name_no_file_and_come_back_as_they_were(tmp_path):
    storage = Storage(tmp_path / "inside" / "run")
    prompts = [make_prompt(id) for id in IDS]
    assert list(Shards(storage).store(1, "prompts", prompts)) == prompts
    assert storage.names() == ["rounds/0001/prompts/000000.json.gz"]
    assert [path.name for path in tmp_path.iterdir()] == ["inside"] and len(list(tmp_path.rglob("*.gz"))) == 1
    assert list(Shards(storage).stream(1, "prompts", Prompt)) == prompts


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "rounds/../../escape", ".."])
def test_a_name_that_leads_out_of_the_folder_of_a_run_is_no_name(tmp_path, name):
    storage = Storage(tmp_path / "inside" / "run")
    for use in (storage.exists, storage.read, storage.names, storage.remove, lambda name: storage.write(name, b"")):
        with pytest.raises(ValueError, match="relative to the root"):
            use(name)
