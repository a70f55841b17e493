"""Folders in the cache: built once, shared by processes, built again when damaged."""

import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from flame_ray.errors import DataError, StorageError
from flame_ray.storage.build_once import VERIFIED, build_once

PROCESSES = 3


class Builder:
    """Writes two files, and counts how often."""

    times = 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "data").write_bytes(b"index" * 100)
        (folder / "about.json").write_text("{}")


@pytest.fixture
def builder():
    return Builder()


@pytest.fixture
def folder(tmp_path, builder):
    return build_once(tmp_path / "cache" / "index", builder)


def test_a_folder_is_built_once(folder, builder):
    assert build_once(folder, builder) == folder
    assert builder.times == 1


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["data", "about.json", "manifest.json"])
def test_a_damaged_file_is_named_and_the_folder_built_again(folder, builder, caplog, damage, name):
    damage(folder / name)
    build_once(folder, builder)
    assert builder.times == 2
    assert str(folder / name) in caplog.text or "manifest" in caplog.text
    assert (folder / "data").read_bytes() == b"index" * 100


def test_files_that_were_only_copied_are_verified_and_kept(folder, builder):
    os.utime(folder / "data", (1, 1))
    (folder / VERIFIED).write_text("torn {")
    build_once(folder, builder)
    assert builder.times == 1
    assert json.loads((folder / VERIFIED).read_text())["data"] == [500, 10**9]


def test_a_build_that_fails_leaves_no_files(tmp_path, builder):
    def fail(folder: Path) -> None:
        (folder / "data").write_bytes(b"half")
        raise DataError("a corpus", "none", "write one")

    with pytest.raises(DataError):
        build_once(tmp_path / "index", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["index.lock"]
    assert (build_once(tmp_path / "index", builder) / "data").read_bytes() == b"index" * 100


def test_an_error_names_the_cache_that_cannot_be_written(tmp_path, builder):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/index.*FLAME_RAY_CACHE"):
        build_once(tmp_path / "file" / "index", builder)


def _build_when_all_are_there(folder: Path) -> None:
    with (folder.parent / "built").open("a") as log:
        log.write("once\n")
    deadline = time.monotonic() + 60
    while len(list(folder.parent.glob("arrived-*"))) < PROCESSES and time.monotonic() < deadline:
        time.sleep(0.01)
    (folder / "data").write_bytes(b"index")


def _build(folder: Path) -> Path:
    (folder.parent / f"arrived-{os.getpid()}").touch()
    return build_once(folder, _build_when_all_are_there)


def test_of_processes_that_start_at_once_one_builds_and_the_others_wait(tmp_path):
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        folders = pool.map(_build, [tmp_path / "index"] * PROCESSES, chunksize=1)
    assert set(folders) == {tmp_path / "index"}
    assert (tmp_path / "built").read_text() == "once\n"


@pytest.mark.parametrize("strange", ["a link", "another user's", "another user's folder above", "open to all"])
def test_a_cache_that_another_may_have_made_in_a_shared_folder_is_refused(tmp_path, builder, monkeypatch, strange):
    """As /tmp: anyone may make something there, and nobody may remove what another has made."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    folder = shared / "cache" / "index"
    if strange == "a link":
        build_once(tmp_path / "elsewhere" / "index", builder)
        (shared / "cache").symlink_to(tmp_path / "elsewhere")
    else:
        build_once(folder, builder)
    if strange == "open to all":
        folder.chmod(0o777)
    elif strange.startswith("another user's"):
        os.chown(shared / "cache", 12345, -1) if os.getuid() == 0 else monkeypatch.setattr(os, "getuid", lambda: 12345)
    if strange == "another user's":
        (shared / "cache").chmod(0o1777)
    with pytest.raises(StorageError, match=r"that this user \(uid \d+\) or root made; found .*set FLAME_RAY_CACHE"):
        build_once(folder, builder)
    assert builder.times == 1


def test_a_cache_of_ones_own_in_a_shared_folder_is_used(tmp_path, builder):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    for _ in range(2):
        build_once(tmp_path / "shared" / "cache" / "index", builder)
    assert builder.times == 1
