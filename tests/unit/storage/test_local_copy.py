"""A folder that goes to an object store and comes back; the scratch that it lies in is the test's own."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from flame_ray.errors import StorageError
from flame_ray.storage import local_copy as module
from flame_ray.storage.atomic import MANIFEST
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.local_copy import RemoteFolder, local_copy, write_folder


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "scratch"
    path.mkdir()
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(path))
    return path


@pytest.fixture
def remote() -> RemoteFolder:
    return RemoteFolder(f"memory://{uuid.uuid4().hex}/run/state")


def left_in(scratch: Path) -> list[str]:
    return sorted(path.name for path in scratch.rglob("*") if path.is_file() and path.suffix != ".lock")


def write(target, text: str = "weights") -> None:
    with write_folder(target) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "model.safetensors").write_text(text)


def test_a_local_folder_is_written_and_read_in_its_place(tmp_path, scratch):
    write(tmp_path / "state")
    with local_copy(tmp_path / "state") as folder:
        assert folder == tmp_path / "state"
        assert (folder / "deep" / "model.safetensors").read_text() == "weights"
    assert not (folder / MANIFEST).exists() and list(scratch.iterdir()) == []


def test_a_remote_folder_comes_back_as_it_was_and_nothing_stays_in_the_scratch(remote, scratch):
    write(remote)
    assert Storage(remote.url).names() == ["deep/model.safetensors", MANIFEST]
    assert left_in(scratch) == []
    with local_copy(remote) as folder:
        assert (folder / "deep" / "model.safetensors").read_text() == "weights"
        assert scratch in folder.parents
    assert left_in(scratch) == []


def test_a_block_that_fails_stores_nothing_and_leaves_nothing(remote, scratch):
    with pytest.raises(KeyError), write_folder(remote) as folder:
        (folder / "model.safetensors").write_text("half")
        raise KeyError("a bug")
    assert Storage(remote.url).names() == [] and left_in(scratch) == []


def test_what_a_killed_process_left_in_the_scratch_is_not_stored(remote, scratch):
    with write_folder(remote) as folder:
        place = folder
        (folder / "a").write_text("x")
    place.mkdir()
    (place / "stale").write_text("of a killed process")
    write(remote)
    assert Storage(remote.url).names() == ["deep/model.safetensors", MANIFEST]


def test_a_full_scratch_says_where_it_is_and_how_to_use_another(remote):
    with pytest.raises(StorageError) as caught, write_folder(remote):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert f"copy of {remote.url}" in caught.value.expected and caught.value.found == "No space left on device"
    assert "TMPDIR" in caught.value.fix


@pytest.mark.parametrize(("damage", "found"), [("other", "its sha256"), ("short", "it has 5 bytes, not 7"), (None, "missing")])
def test_a_damaged_file_is_refused_by_its_url(remote, scratch, damage, found):
    write(remote)
    name = "deep/model.safetensors"
    if damage is None:
        Storage(remote.url).remove(name)
    else:
        Storage(remote.url).write(name, {"other": b"WEIGHTS", "short": b"short"}[damage])
    with pytest.raises(StorageError, match=found) as caught, local_copy(remote):
        pass
    assert f"{remote.url}/{name}" in caught.value.found
    assert left_in(scratch) == []


def test_a_folder_without_a_manifest_is_refused(remote):
    Storage(remote.url).write("model.safetensors", b"half")
    with pytest.raises(StorageError, match=r"state/manifest\.json"), local_copy(remote):
        pass


def test_all_who_read_on_a_node_share_one_copy_which_the_last_removes(remote, scratch, monkeypatch):
    fetched: list[str] = []
    fetch = module._fetch
    monkeypatch.setattr(module, "_fetch", lambda folder, copy: (fetched.append(folder.url), fetch(folder, copy)))
    write(remote)
    readers, together = 4, threading.Barrier(4)
    seen: list[Path] = []

    def read() -> None:
        with local_copy(remote) as folder:
            together.wait(30)
            seen.append(folder)
            assert (folder / "deep" / "model.safetensors").read_text() == "weights"

    threads = [threading.Thread(target=read) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(seen), len(set(seen)), fetched) == (readers, 1, [remote.url])
    assert left_in(scratch) == []


def test_a_last_reader_whose_look_meets_that_of_another_looks_again(remote, scratch, monkeypatch):
    write(remote)
    taken, write_lock = iter([True]), module.ReadWriteLock.write_lock

    def busy_once(lock, **how):
        if next(taken, False):
            raise module.Timeout("a lock")
        return write_lock(lock, **how)

    with local_copy(remote):
        monkeypatch.setattr(module.ReadWriteLock, "write_lock", busy_once)
    assert next(taken, None) is None and left_in(scratch) == []


def test_a_reader_keeps_the_copy_and_a_killed_one_leaves_no_lock(remote, scratch):
    write(remote)
    hold = "import filelock, sys; x = filelock.ReadWriteLock(sys.argv[1]); x.acquire_read(); print('held', flush=True); input()"
    with local_copy(remote) as folder:
        lock = f"{folder.parents[1]}.lock"
        reader = subprocess.Popen([sys.executable, "-c", hold, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert reader.stdout.readline() == "held\n"
    assert "model.safetensors" in left_in(scratch)
    reader.kill()
    reader.wait()
    with local_copy(remote) as folder:
        assert (folder / "deep" / "model.safetensors").read_text() == "weights"
    assert left_in(scratch) == []


def test_a_copy_that_a_killed_process_left_is_no_copy_of_another_folder_of_that_url(remote):
    write(remote, "old")
    with local_copy(remote) as folder:
        old = folder
        Storage(remote.parent.url).remove("state")
        write(remote, "new")
        with local_copy(remote) as folder:
            assert folder != old
            assert (folder / "deep" / "model.safetensors").read_text() == "new"


@pytest.mark.parametrize("strange", ["a link", "a file", "wide", "another user's"])
def test_a_scratch_that_is_not_ours_alone_is_refused(remote, scratch, tmp_path, monkeypatch, strange):
    write(remote)
    root = scratch / f"flame-ray-{os.getuid()}"
    shutil.rmtree(root)
    if strange == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        root.symlink_to(tmp_path / "elsewhere")
    elif strange == "a file":
        root.touch(mode=0o600)
    else:
        root.mkdir()
        root.chmod(0o777 if strange == "wide" else 0o700)
    if strange == "another user's":
        monkeypatch.setattr(module.os, "getuid", lambda: 12345)
        root.rename(scratch / f"flame-ray-{os.getuid()}")
    with pytest.raises(StorageError, match=r"only this user .*set TMPDIR"), local_copy(remote):
        pytest.fail("it was trusted")
    with pytest.raises(StorageError, match=r"only this user .*set TMPDIR"):
        write(remote)
