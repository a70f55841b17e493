"""Files and folders are complete or absent, and a manifest finds damage."""

import json

import pytest

from flame_ray.errors import StorageError
from flame_ray.storage.atomic import atomic_folder, json_digest, verify_manifest, write_manifest


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_only_when_its_block_has_ended_well(tmp_path):
    target = tmp_path / "round-1" / "adapter"
    with atomic_folder(target) as folder:
        (folder / "weights").write_text("new")
        assert not target.exists()
    assert (target / "weights").read_text() == "new"
    assert names(target.parent) == ["adapter"]


def test_a_write_that_fails_leaves_the_old_folder_as_it_was_and_nothing_else(tmp_path):
    target = tmp_path / "adapter"
    with atomic_folder(target) as folder:
        (folder / "weights").write_text("old")
    with pytest.raises(RuntimeError), atomic_folder(target) as folder:
        (folder / "weights").write_text("half")
        raise RuntimeError
    assert (target / "weights").read_text() == "old"
    assert names(tmp_path) == ["adapter"]


def test_what_a_killed_process_left_is_replaced(tmp_path):
    with atomic_folder(tmp_path / "adapter") as folder:
        name = folder.name
    (tmp_path / name).mkdir()
    (tmp_path / name / "stale").touch()
    with atomic_folder(tmp_path / "adapter") as folder:
        (folder / "weights").touch()
    assert names(tmp_path / "adapter") == ["weights"]


def test_an_error_names_the_folder_that_cannot_be_written_and_the_setting_to_change(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/adapter.*set --out"), atomic_folder(tmp_path / "file" / "adapter", "--out"):
        pass


def test_a_folder_that_is_written_again_keeps_nothing_of_the_old_one(tmp_path):
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "adapter") as folder:
            (folder / name).touch()
    assert names(tmp_path / "adapter") == ["new"]
    assert names(tmp_path) == ["adapter"]


@pytest.fixture
def state(tmp_path):
    """A folder with a manifest, a folder within it that has one of its own, and an empty file."""
    inner = tmp_path / "learner" / "state"
    inner.mkdir(parents=True)
    (inner / "weights").write_bytes(bytes(range(256)) * 40)
    write_manifest(inner)
    (tmp_path / "nothing").touch()
    (tmp_path / "summary.json").write_text("{}")
    write_manifest(tmp_path)
    return tmp_path


def test_a_manifest_lists_every_file_below_its_folder_with_size_and_hash(state):
    verify_manifest(state)
    verify_manifest(state / "learner" / "state")
    files = json.loads((state / "manifest.json").read_text())["files"]
    assert set(files) == {"learner/state/weights", "learner/state/manifest.json", "nothing", "summary.json"}
    assert files["learner/state/weights"]["bytes"] == 10240
    assert files["nothing"]["sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of no bytes


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a flipped bit": flip,
    "a file cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a file made longer": lambda path: path.write_bytes(path.read_bytes() + b"0"),
    "a missing file": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("name", ["learner/state/weights", "learner/state/manifest.json", "summary.json"])
def test_damage_to_a_file_is_found_and_the_file_named(state, damage, name):
    damage(state / name)
    with pytest.raises(StorageError, match=str(state / name)):
        verify_manifest(state)


def test_a_manifest_of_an_earlier_version_that_lists_only_sha256_is_verified(state):
    files = json.loads((state / "manifest.json").read_text())["files"]
    (state / "old.json").write_text(
        json.dumps({"source": "x", "sha256": {name: each["sha256"] for name, each in files.items()}})
    )
    verify_manifest(state, "old.json")
    flip(state / "summary.json")
    with pytest.raises(StorageError, match=r"summary\.json: its sha256 is not the one in old\.json"):
        verify_manifest(state, "old.json")


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"files": 3}', "\0"])
def test_a_manifest_that_is_missing_or_broken_is_named(state, content):
    (state / "manifest.json").unlink()
    if content is not None:
        (state / "manifest.json").write_text(content)
    with pytest.raises(StorageError, match=str(state / "manifest.json")):
        verify_manifest(state)


def test_a_flipped_bit_anywhere_in_the_manifest_itself_is_found(state):
    manifest = state / "manifest.json"
    whole = manifest.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        manifest.write_bytes(damaged)
        with pytest.raises(StorageError):
            verify_manifest(state)


def test_a_digest_of_a_value_stays_as_it_is_because_caches_are_keyed_by_it():
    assert json_digest({"b": [1, None], "a": "é"}) == json_digest({"a": "é", "b": (1, None)}) == "8920de3941419361"
