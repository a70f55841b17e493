"""A folder is whole or absent, and can tell if it was damaged; arrays carry weights without loss."""

import json

import pytest
import torch

from flame_ray.engines.weight_chunks import to_arrays, to_tensors
from flame_ray.errors import StorageError
from flame_ray.storage.atomic import verify_manifest, whole_folder, write_manifest


def test_a_folder_appears_only_when_its_writing_ended_well(tmp_path):
    target = tmp_path / "round-1" / "adapter"
    with whole_folder(target) as aside:
        (aside / "weights").write_text("new")
        assert not target.exists()
    assert (target / "weights").read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["adapter"]


def test_a_write_that_fails_leaves_the_old_folder_as_it_was(tmp_path):
    target = tmp_path / "adapter"
    with whole_folder(target) as aside:
        (aside / "weights").write_text("old")
    with pytest.raises(RuntimeError), whole_folder(target) as aside:
        (aside / "weights").write_text("half")
        raise RuntimeError
    assert (target / "weights").read_text() == "old"


def test_what_a_killed_run_left_behind_is_written_over(tmp_path):
    (tmp_path / "adapter.tmp").mkdir()
    (tmp_path / "adapter.tmp" / "stale").touch()
    with whole_folder(tmp_path / "adapter") as aside:
        (aside / "weights").touch()
    assert [path.name for path in (tmp_path / "adapter").iterdir()] == ["weights"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file/adapter"), whole_folder(tmp_path / "file" / "adapter"):
        pass


def test_a_folder_that_is_written_again_leaves_nothing_of_the_old_one(tmp_path):
    for name in ("old", "new"):
        with whole_folder(tmp_path / "adapter") as aside:
            (aside / name).touch()
    assert [path.name for path in (tmp_path / "adapter").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_arrays_give_back_the_very_same_tensors(dtype):
    values = {"a.weight": torch.randn(3, 4).to(dtype), "b.bias": torch.randn(4).to(dtype)}
    back = dict(to_tensors(to_arrays(values.items(), str(dtype))))
    assert all(torch.equal(back[name], value) and back[name].dtype == dtype for name, value in values.items())
