"""Records in a shard: read as the same class, the same values and the same bytes; damage is found and named."""

import collections.abc
import dataclasses
import enum
import gzip
import json
import math
import random
import struct
import subprocess
import sys
import types as python_types
import typing
import uuid

import pytest

from flame_ray import types
from flame_ray.errors import StorageError
from flame_ray.journal.shards import load, save
from flame_ray.storage.filesystem import Storage

RECORDS = [value for value in vars(types).values() if dataclasses.is_dataclass(value)]
ID = types.ResponseId(1, "peru/borders", 0)
RESPONSE = types.Response(ID, "It borders Brazil.", (1, 2), (3, 4), "stop", 1)
VERDICT = types.Verdict(types.Fact("It borders Brazil.", 0), types.VerdictLabel.NOT_FOUND, 1 / 3, None)
TEXTS = ["", "Où 🦙?", 'quotes "and" \\ backslashes', "two\nlines\r\n\x00\x1f\x7f\u2028", "\U0010ffff\ufeff", "null"]


@pytest.fixture(params=["disk", "memory"])
def storage(request, tmp_path) -> Storage:
    return Storage(tmp_path / "run" if request.param == "disk" else f"memory://{uuid.uuid4().hex}/run")


@pytest.fixture
def disk(tmp_path) -> Storage:
    return Storage(tmp_path / "run")


def any_float(rng: random.Random) -> float:
    """Any finite bit pattern, or an edge."""
    value = struct.unpack("<d", rng.randbytes(8))[0]
    return value if math.isfinite(value) else rng.choice([0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e16])


def any_text(rng: random.Random) -> str:
    points = (chr(rng.randrange(0x110000)) for _ in range(rng.randrange(8)))
    return rng.choice(TEXTS) + "".join(point for point in points if not "\ud800" <= point <= "\udfff")


def anything(kind, rng: random.Random):
    """A value of an annotation: a record, a union, a tuple, a dictionary, an enumeration or a plain type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, python_types.UnionType):
        return anything(rng.choice(arguments), rng)
    if origin is tuple:
        return tuple(anything(arguments[0], rng) for _ in range(rng.randrange(3)))
    if origin in (dict, collections.abc.Mapping):
        return {anything(arguments[0], rng): anything(arguments[1], rng) for _ in range(rng.randrange(3))}
    if dataclasses.is_dataclass(kind):
        return any_record(kind, rng)
    if issubclass(kind, enum.Enum):
        return rng.choice(list(kind))
    plain = {
        bool: lambda: rng.random() < 0.5,
        int: lambda: rng.choice([0, -1, 151_643, 2**31, 2**64 + 1]),
        float: lambda: any_float(rng),
        str: lambda: any_text(rng),
        type(None): lambda: None,
    }
    return plain[kind]()


def any_record(kind, rng: random.Random):
    values = {name: anything(hint, rng) for name, hint in typing.get_type_hints(kind).items()}
    if kind is types.Pair:  # which joins two samples of one prompt
        chosen = values["chosen"]
        other = dataclasses.replace(chosen.id, index=chosen.id.index + 1)
        values["rejected"] = dataclasses.replace(values["rejected"], id=other)
    return kind(**values)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_any_record_comes_back_as_it_was_class_by_class_and_bit_by_bit(storage, kind):
    rng = random.Random(f"seed of {kind.__name__}")
    for count in (0, 1, 40):
        records = [any_record(kind, rng) for _ in range(count)]
        save(storage, "shard.json.gz", records)
        found = load(storage, "shard.json.gz", kind)
        assert found == records
        assert repr(found) == repr(records)  # which tells -0.0 from 0.0, 1 from 1.0, and a tuple from a list


def test_each_reward_comes_back_as_its_own_class(storage):
    passages, sentences = (types.Passage("a", "Peru", "Lima"),), (types.Sentence("Hello!", verifiable=False),)
    rewards = {
        "instruction": types.Score(ID, 0.5, (0.25, 0.75)),
        "length": types.Score(ID, 4.0),
        "factuality": types.FactScore(ID, (VERDICT,), False, passages, sentences),
        "abstains": types.FactScore(ID, ()),
        "failed": types.Missing(ID, "no answer"),
        "failed with evidence": types.Missing(ID, "no checker", passages),
    }
    save(storage, "shard", [types.ScoredResponse(RESPONSE, rewards), types.ScoredResponse(RESPONSE, {})])
    found, bare = load(storage, "shard", types.ScoredResponse)
    assert {name: type(each) for name, each in found.rewards.items()} == {name: type(each) for name, each in rewards.items()}
    assert list(found.rewards.items()) == list(rewards.items())
    assert bare.rewards == {}


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_no_record_is_read_as_another_type(disk, kind):
    save(disk, "shard", [any_record(kind, random.Random(0))])
    for other in RECORDS:
        if other is not kind:
            with pytest.raises(StorageError, match=f"{other.__name__} records in .*shard"):
                load(disk, "shard", other)


def test_enumerations_are_members_and_not_their_text(disk):
    save(disk, "shard", [types.Prompt("a", "b", types.Split.HELDOUT)])
    assert type(load(disk, "shard", types.Prompt)[0].split) is types.Split


def test_nan_and_infinities_are_kept(disk):
    save(disk, "shard", [types.Score(ID, math.nan, (math.inf, -math.inf))])
    (found,) = load(disk, "shard", types.Score)
    assert math.isnan(found.value) and found.samples == (math.inf, -math.inf)


def test_equal_records_give_equal_bytes_in_any_process_at_any_time(disk):
    save(disk, "shard", [RESPONSE] * 3)
    code = (
        "import sys, time; time.time = lambda: 1.0\n"
        "from flame_ray.journal.shards import load, save; from flame_ray.storage.filesystem import Storage\n"
        "from flame_ray.types import Response; storage = Storage(sys.argv[1])\n"
        "save(storage, 'again', load(storage, 'shard', Response))"
    )
    subprocess.run([sys.executable, "-c", code, disk.url], check=True, env={"PYTHONHASHSEED": "7"})
    assert disk.read("again") == disk.read("shard")
    assert disk.read("shard")[4:8] == b"\0\0\0\0"  # no time in the header


@pytest.mark.parametrize(
    "wrong",
    [
        [types.Score(ID, "high", ())],
        [types.Score(ID, 1.0, [1.0])],
        [types.ScoredResponse(RESPONSE, {"instruction": None})],
        [types.Prompt("a", "half a pair \ud800")],
        [types.Prompt("a", "b"), RESPONSE],
    ],
    ids=["text for a number", "list for a tuple", "none for a score", "lone surrogate", "two types"],
)
def test_a_record_that_would_not_come_back_is_refused_when_it_is_saved_and_nothing_is_written(storage, wrong):
    with pytest.raises(ValueError):
        save(storage, "shard", wrong)
    assert not storage.exists("shard")


def test_a_shard_cut_anywhere_is_damaged(disk):
    save(disk, "shard", [RESPONSE] * 5)
    whole = disk.read("shard")
    for length in range(len(whole)):
        disk.write("shard", whole[:length])
        with pytest.raises(StorageError, match=r"Response records in .*shard; found .*remove the file"):
            load(disk, "shard", types.Response)


def test_a_shard_with_any_byte_changed_is_damaged_or_means_the_same(disk):
    save(disk, "shard", [RESPONSE] * 5)
    whole = disk.read("shard")
    damaged = 0
    for place in range(len(whole)):
        disk.write("shard", whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            assert load(disk, "shard", types.Response) == [RESPONSE] * 5
        except StorageError as error:
            assert f"{disk.url}/shard" in str(error)
            damaged += 1
    assert damaged > 0.9 * len(whole)  # all but the header's time and system, and two ways of packing the same


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ([{"id": "a"}], "0.text: Field required"),
        ([{"id": "a", "text": 3}], "0.text: Input should be a valid string"),
        ([{"id": "a", "text": "b", "label": "true"}], "0.label: Input should be a valid boolean"),
        ([{"id": "a", "text": "b", "more": 1}], "0.more: Unexpected"),
        ([{"id": "a", "text": "b", "split": "test"}], "0.split: "),
        ({"id": "a"}, "the file: Input should be a valid array"),
    ],
)
def test_a_shard_of_another_schema_names_the_first_field_that_differs(disk, tree, found):
    disk.write("shard", gzip.compress(json.dumps(tree).encode()))
    with pytest.raises(StorageError) as caught:
        load(disk, "shard", types.Prompt)
    assert caught.value.expected == f"Prompt records in {disk.url}/shard"
    assert caught.value.found.startswith(found)


def test_a_missing_shard_is_named(storage):
    with pytest.raises(StorageError, match=r"rounds/0001/scores\.json\.gz"):
        load(storage, "rounds/0001/scores.json.gz", types.ScoredResponse)
