"""A folder is whole or absent; arrays carry weights without loss."""

import pytest
import torch

from flame_ray.errors import StorageError
from flame_ray.learner.arrays import to_arrays, to_tensors
from flame_ray.learner.checkpoint import whole_folder


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_arrays_give_back_the_very_same_tensors(dtype):
    values = {"a.weight": torch.randn(3, 4).to(dtype), "b.bias": torch.randn(4).to(dtype)}
    back = dict(to_tensors(to_arrays(values.items(), str(dtype))))
    assert all(torch.equal(back[name], value) and back[name].dtype == dtype for name, value in values.items())
