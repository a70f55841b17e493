"""A run's folder, on a disk and on an object store that lives in memory."""

import errno
import os
import pickle
import uuid
from pathlib import Path

import fsspec
import pytest

from flame_ray.errors import StorageError
from flame_ray.storage.atomic import storage_errors
from flame_ray.storage.filesystem import Storage


@pytest.fixture(params=["disk", "memory"])
def storage(request, tmp_path) -> Storage:
    return Storage(tmp_path / "run" if request.param == "disk" else f"memory://{uuid.uuid4().hex}/run")


@pytest.fixture
def disk(tmp_path) -> Storage:
    return Storage(tmp_path / "run")


@pytest.fixture
def memory() -> Storage:
    return Storage(f"memory://{uuid.uuid4().hex}/run")


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """A finished folder whose manifest sorts neither first nor last."""
    folder = tmp_path / "made here"
    for name in ("manifest.json", "adapter.safetensors", "zero/rank-0.pt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"the bytes of {name}".encode())
    return folder


def fill_the_disk(path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/dev/full")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Recording:
    """A filesystem that notes what is written and removed, in order, and can fail on the way."""

    def __init__(self, files, fail_at: str | None = None):
        self._files, self._fail_at = files, fail_at
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, name):
        return getattr(self._files, name)

    def put(self, sources, targets):
        for source, target in zip(sources, targets, strict=True):
            self._note("put", target)
            self._files.put_file(source, target)

    def get(self, sources, targets):
        for source, target in zip(sources, targets, strict=True):
            self._note("get", source)
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            self._files.get_file(source, target)

    def rm(self, paths):
        for path in paths:
            self._note("rm", path)
            self._files.rm(path)

    def cp_file(self, source, target):
        self._note("cp_file", target)
        self._files.cp_file(source, target)

    def _note(self, verb, path):
        if self._fail_at and path.endswith(self._fail_at):
            raise ConnectionError("the network went away")
        self.calls.append((verb, path.rpartition("/")[2]))


def test_what_is_written_is_read_back_and_the_last_write_stands(storage):
    storage.write("rounds/0001/a.json", b"first, and longer")
    storage.write("rounds/0001/a.json", b"second")
    assert storage.read("rounds/0001/a.json") == b"second"
    storage.write("empty", b"")
    assert storage.read("empty") == b""


def test_a_file_and_its_folders_exist_and_nothing_else_does(storage):
    assert not storage.exists("rounds")
    storage.write("rounds/0001/a.json", b"x")
    assert [storage.exists(name) for name in ("rounds", "rounds/0001", "rounds/0001/a.json")] == [True] * 3
    assert [storage.exists(name) for name in ("round", "rounds/0001/a", "rounds/0001/a.json/b")] == [False] * 3


def test_names_are_relative_sorted_and_of_one_folder_only(storage):
    assert storage.names() == storage.names("rounds") == []
    for name in ("rounds/2/a", "rounds/10/b/c", "rounds/1/z", "rounds/1/a", "top"):
        storage.write(name, b"x")
    assert storage.names() == ["rounds/1/a", "rounds/1/z", "rounds/10/b/c", "rounds/2/a", "top"]
    assert storage.names("rounds/1") == ["rounds/1/a", "rounds/1/z"]
    assert storage.names("top") == ["top"]
    assert storage.names("rounds/3") == storage.names("top/below") == []


def test_names_are_sorted_even_if_the_filesystem_does_not(memory, monkeypatch):
    memory.write("a", b"x")
    memory.write("b", b"x")
    found = [memory._path("b"), memory._path("a")]
    monkeypatch.setattr(memory, "_fs", Recording(memory._fs))
    memory._fs.find = lambda path: found
    assert memory.names() == ["a", "b"]


def test_what_another_process_writes_is_seen_by_one_that_has_looked_before(memory, monkeypatch):
    class Listing(Recording):
        """Remembers what it was told until it is told to forget, as s3fs does."""

        def __init__(self, files):
            super().__init__(files)
            self.known: dict[str, list[str]] = {}

        def invalidate_cache(self):
            self.known = {}

        def find(self, path):
            return self.known.setdefault(path, self._files.find(path))

        def info(self, path):
            if not self.find(path):
                raise FileNotFoundError(path)

    other = Storage(memory.url)
    monkeypatch.setattr(memory, "_fs", Listing(memory._fs))
    assert memory.names("a") == [] and not memory.exists("a")
    other.write("a", b"x")
    assert memory.names("a") == ["a"]
    other.remove("a")
    assert not memory.exists("a")


def test_files_and_folders_that_a_killed_writer_left_unfinished_have_no_name(disk):
    disk.write("a", b"x")
    (disk.local / ".a.part").write_bytes(b"half")
    (disk.local / ".state.part").mkdir()
    (disk.local / ".state.part" / "weights").write_bytes(b"half")
    assert disk.names() == ["a"]


def test_removing_a_folder_keeps_its_neighbours_and_removing_nothing_is_fine(storage):
    for name in ("rounds/1/a", "rounds/1/b/c", "rounds/10/a", "top"):
        storage.write(name, b"x")
    storage.remove("rounds/1")
    storage.remove("top")
    storage.remove("never")
    assert storage.names() == ["rounds/10/a"]
    assert not storage.exists("rounds/1")


def test_a_name_that_leads_out_of_the_root_is_a_programming_error(storage):
    for name in ("../other", "a/../../b", "/etc/passwd"):
        with pytest.raises(ValueError):
            storage.write(name, b"x")
    with pytest.raises(ValueError):
        storage.remove("")


def test_reading_what_is_missing_is_a_storage_error_that_names_it(storage, tmp_path):
    with pytest.raises(StorageError) as caught:
        storage.read("rounds/0007/a.json")
    assert caught.value.expected == f"to read {storage.url}/rounds/0007/a.json"
    assert caught.value.found == "no such file or folder"
    with pytest.raises(StorageError, match="round-0007"):
        storage.get_folder("round-0007", tmp_path)


def test_a_storage_travels_between_processes(storage):
    storage.write("a", b"x")
    assert pickle.loads(pickle.dumps(storage)).read("a") == b"x"


def test_a_relative_path_and_a_file_url_are_local_and_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in ("runs/mine", Path("runs/mine"), f"file://{tmp_path}/runs/mine/", str(tmp_path / "runs/mine")):
        storage = Storage(url)
        assert storage.local == tmp_path / "runs" / "mine"
        assert storage.url == str(tmp_path / "runs" / "mine")


def test_a_local_path_keeps_every_character_that_a_url_would_not(tmp_path):
    storage = Storage(tmp_path / "a b [1]*::c #2")
    storage.write("f", b"x")
    assert (tmp_path / "a b [1]*::c #2" / "f").read_bytes() == b"x"
    assert storage.names() == ["f"] and storage.exists("f")


def test_an_object_store_has_no_local_path_and_no_free_bytes(memory):
    assert memory.local is None and memory.free_bytes() is None


def test_the_free_bytes_are_those_of_the_disk_before_the_folder_is_there(disk):
    assert disk.free_bytes() > 0
    assert not disk.local.exists()


def test_a_reader_that_holds_the_old_file_open_reads_it_whole(disk):
    disk.write("a", b"old")
    with (disk.local / "a").open("rb") as reader:
        disk.write("a", b"new")
        assert reader.read() == b"old"
    assert os.listdir(disk.local) == ["a"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not say which files are open")
def test_a_file_is_forced_to_the_disk_before_it_gets_its_name_and_its_folders_after(disk, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append(os.readlink(f"/proc/self/fd/{file}")), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (order.append("rename"), replace(*paths)))
    disk.local.mkdir()
    disk.write("rounds/a", b"x")
    root = str(disk.local)
    assert order == [root, f"{root}/rounds/.a.part", "rename", f"{root}/rounds"]


def test_a_full_disk_keeps_the_old_file_and_says_what_to_do(disk):
    disk.write("a", b"old")
    fill_the_disk(disk.local / ".a.part")
    with pytest.raises(StorageError) as caught:
        disk.write("a", b"new")
    assert caught.value.expected == f"to write {disk.local / 'a'}"
    assert caught.value.found == "No space left on device"
    assert caught.value.fix == "free some space, or set run.root to another disk"
    assert disk.read("a") == b"old" and os.listdir(disk.local) == ["a"]


def test_a_quota_is_a_full_disk_too():
    with pytest.raises(StorageError, match="free some space"), storage_errors("/a/file"):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_a_folder_that_cannot_be_made_is_a_storage_error_that_names_the_file(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"to write .*file/run/a; found Not a directory.*set run\.root"):
        Storage(tmp_path / "file" / "run").write("a", b"x")


def test_a_folder_that_may_not_be_listed_is_an_error_and_not_empty(disk, monkeypatch):
    disk.write("open/secret/a", b"x")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("secret"):  # root, who runs these tests in a container, may read anything
            raise PermissionError(errno.EACCES, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StorageError, match=r"to list .*run; found Permission denied.*check the folder's permissions"):
        disk.names()


@pytest.mark.parametrize("verb", ["info", "cat_file", "pipe_file", "find"])
def test_any_failure_of_a_driver_is_a_storage_error_and_never_an_absent_file(memory, monkeypatch, verb):
    class NoCredentials(Exception):
        """botocore's are no OSErrors either."""

    def fail(*args, **named):
        raise NoCredentials("unable to locate credentials")

    monkeypatch.setattr(memory, "_fs", Recording(memory._fs))
    setattr(memory._fs, verb, fail)
    calls = {
        "info": lambda: memory.exists("a"),
        "cat_file": lambda: memory.read("a"),
        "pipe_file": lambda: memory.write("a", b"x"),
        "find": lambda: memory.names("a"),
    }
    with pytest.raises(StorageError, match=r"memory://.*/run/a; found NoCredentials: unable to locate.*check the credentials"):
        calls[verb]()


def test_an_unknown_protocol_and_a_missing_driver_say_what_to_install_or_set():
    with pytest.raises(StorageError, match=r"zz://bucket/run; found .*Protocol not known: zz.*run\.root"):
        Storage("zz://bucket/run")
    fsspec.register_implementation("absent", "no_such_package.FileSystem", errtxt="Install no_such_package to access Nothing")
    with pytest.raises(StorageError, match=r"a driver for absent://bucket; .*Install no_such_package"):
        Storage("absent://bucket")


def test_a_url_that_fsspec_would_expand_is_refused():
    with pytest.raises(StorageError, match=r"\*"):
        Storage("memory://runs/*")


def test_a_folder_is_uploaded_whole_and_comes_back_whole(memory, checkpoint, tmp_path):
    memory.put_folder(checkpoint, "checkpoints/round-1")
    memory.write("checkpoints/round-10/manifest.json", b"another")
    found = memory.get_folder("checkpoints/round-1", tmp_path / "scratch")
    assert contents(found) == contents(checkpoint)
    assert found == tmp_path / "scratch/checkpoints/round-1"


def test_a_folder_replaces_an_older_one_and_an_older_copy(memory, checkpoint, tmp_path):
    memory.write("round-1/stale.pt", b"old")
    memory.put_folder(checkpoint, "round-1")
    scratch = tmp_path / "scratch"
    (scratch / "round-1").mkdir(parents=True)
    (scratch / "round-1" / "stale.pt").write_bytes(b"old")
    assert contents(memory.get_folder("round-1", scratch)) == contents(checkpoint)


def test_the_manifest_is_the_first_to_go_and_the_last_to_come(memory, checkpoint, tmp_path):
    memory.put_folder(checkpoint, "round-1")
    memory._fs = files = Recording(memory._fs)
    memory.put_folder(checkpoint, "round-1")
    memory.get_folder("round-1", tmp_path / "scratch")
    body = ["adapter.safetensors", "rank-0.pt"]
    expected = [("rm", "manifest.json"), *[("rm", name) for name in body]]
    for verb in ("put", "get"):
        expected += [*[(verb, name) for name in body], (verb, "manifest.json")]
    assert files.calls == expected


def test_an_upload_that_breaks_leaves_no_manifest(memory, checkpoint):
    memory.put_folder(checkpoint, "round-1")
    memory._fs = Recording(memory._fs, fail_at="rank-0.pt")
    with pytest.raises(StorageError, match=r"round-1.*the network went away"):
        memory.put_folder(checkpoint, "round-1")
    assert not memory.exists("round-1/manifest.json")


def test_a_folder_without_files_is_not_finished(memory, tmp_path):
    with pytest.raises(StorageError, match="a finished folder at"):
        memory.put_folder(tmp_path / "never", "round-1")


def fill(storage: Storage, name: str, folder: Path) -> None:
    for path, data in contents(folder).items():
        storage.write(f"{name}/{path}", data)


def test_a_folder_is_copied_whole_and_replaces_the_one_before(storage, checkpoint):
    fill(storage, "checkpoints/round-1/adapter", checkpoint)
    storage.write("best/adapter/of the round before.txt", b"old")
    storage.copy_folder("checkpoints/round-1/adapter", "best/adapter")
    names = ["adapter.safetensors", "manifest.json", "zero/rank-0.pt"]
    assert storage.names("best") == [f"best/adapter/{name}" for name in names]
    assert all(storage.read(f"best/adapter/{name}") == f"the bytes of {name}".encode() for name in names)


def test_a_copy_takes_no_room_on_a_disk_and_stays_when_its_source_is_written_again_or_removed(disk, checkpoint):
    fill(disk, "adapter", checkpoint)
    disk.copy_folder("adapter", "best")
    assert os.path.samefile(disk.local / "adapter/zero/rank-0.pt", disk.local / "best/zero/rank-0.pt")
    disk.write("adapter/zero/rank-0.pt", b"new")
    disk.remove("adapter")
    assert disk.read("best/zero/rank-0.pt") == b"the bytes of zero/rank-0.pt"


def test_where_a_disk_has_no_hard_links_the_files_are_copied(disk, checkpoint, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    fill(disk, "adapter", checkpoint)
    disk.copy_folder("adapter", "best")
    assert not os.path.samefile(disk.local / "adapter/manifest.json", disk.local / "best/manifest.json")
    assert disk.read("best/manifest.json") == b"the bytes of manifest.json"


def test_a_folder_that_is_not_there_is_not_copied_and_named(storage):
    with pytest.raises(StorageError, match="nothing here"):
        storage.copy_folder("nothing here", "best")


def test_on_an_object_store_the_manifest_is_copied_last(memory, checkpoint):
    fill(memory, "adapter", checkpoint)
    memory._fs = Recording(memory._fs)
    memory.copy_folder("adapter", "best")
    copied = [name for call, name in memory._fs.calls if call == "cp_file"]
    assert len(copied) == 3 and copied[-1].endswith("manifest.json")
