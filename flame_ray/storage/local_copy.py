"""Folders that one node writes and others read, on a disk that all of them see or on an object store.

What goes to an object store, or comes from there, is kept for a while in this node's own scratch folder ($TMPDIR). On an object
store a folder is complete once its manifest is there.
"""

import hashlib
import os
import random
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from filelock import ReadWriteLock, Timeout

from flame_ray.errors import StorageError
from flame_ray.storage.atomic import MANIFEST, atomic_folder, storage_errors, verify_manifest, write_manifest
from flame_ray.storage.filesystem import Storage

POLL_S = 0.1
LAST_LOOKS = 3


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder on an object store, by its URL.

    >>> str(RemoteFolder("s3://bucket/run") / "state")
    's3://bucket/run/state'
    """

    url: str

    def __truediv__(self, name: str) -> "RemoteFolder":
        return RemoteFolder(f"{self.url}/{name}")

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> "RemoteFolder":
        return RemoteFolder(self.url.rpartition("/")[0])


Folder = Path | RemoteFolder


def folder_of(storage: Storage) -> Folder:
    return storage.local or RemoteFolder(storage.url)


@contextmanager
def write_folder(target: Folder) -> Iterator[Path]:
    """Yields a local folder, which is stored at `target` if the block ends well; otherwise nothing changes there.

    On an object store it gets a manifest if it has none. Raises StorageError, naming what could not be written.
    """
    if not isinstance(target, RemoteFolder):
        with atomic_folder(target) as made:
            yield made
        return
    made = _scratch(target.url)
    try:
        with _scratch_errors(made, target):
            shutil.rmtree(made, ignore_errors=True)  # left by a killed process
            made.mkdir()
            yield made
            if not (made / MANIFEST).is_file():
                write_manifest(made)
        Storage(target.parent.url).put_folder(made, target.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@overload
@contextmanager
def local_copy(folder: Folder) -> Iterator[Path]: ...


@overload
@contextmanager
def local_copy(folder: Folder | None) -> Iterator[Path | None]: ...


@contextmanager
def local_copy(folder: Folder | None) -> Iterator[Path | None]:
    """Yields the folder itself (or None); for a remote folder, a verified copy, removed after its last reader on this node.

    Raises StorageError, naming the file, if a file is not as it was written.
    """
    if not isinstance(folder, RemoteFolder):
        yield folder
        return
    manifest = Storage(folder.url).read(MANIFEST)  # part of the key, as the folder of a URL can be replaced
    copy = _scratch(folder.url + hashlib.sha256(manifest).hexdigest())
    lock = ReadWriteLock(f"{copy}.lock", is_singleton=False)
    _share(folder, copy, lock)
    try:
        yield _inside(copy, folder)
    finally:
        lock.release()
        _remove_unread(copy, lock)


def _remove_unread(copy: Path, lock: ReadWriteLock) -> None:
    """Remove the copy if nobody reads it any more. Two that end together each find the other asking: they ask again."""
    for _ in range(LAST_LOOKS):
        with suppress(Timeout), lock.write_lock(blocking=False):
            shutil.rmtree(copy, ignore_errors=True)
            return
        time.sleep(POLL_S * random.random())


def _share(folder: RemoteFolder, copy: Path, lock: ReadWriteLock) -> None:
    """Returns with the lock held for reading, and the copy in place.

    No process waits for the write lock. It would wait for the first readers, and these, the ranks of one group, wait for it.
    """
    while True:
        lock.acquire_read()
        if copy.exists():
            return
        lock.release()
        try:
            with lock.write_lock(blocking=False):
                if not copy.exists():
                    _fetch(folder, copy)
        except Timeout:
            time.sleep(POLL_S)


def _fetch(folder: RemoteFolder, copy: Path) -> None:
    part = copy.with_name(f"{copy.name}.part")
    try:
        with _scratch_errors(copy, folder):
            fetched = Storage(folder.parent.url).get_folder(folder.name, _inside(part, folder).parent)
            verify_manifest(fetched)
            part.rename(copy)
    except StorageError as error:
        shutil.rmtree(part, ignore_errors=True)
        found = error.found.replace(str(_inside(part, folder)), folder.url)
        raise StorageError(error.expected, found, error.fix) from error


def _inside(copy: Path, folder: RemoteFolder) -> Path:
    """The folder inside its copy, under its own last two names, such as round-0001/state, which errors may show."""
    return copy / folder.parent.name / folder.name


def _scratch(key: str) -> Path:
    """A path that is the same for the same key: a later process finds what a killed one left, and replaces or uses it."""
    root = Path(tempfile.gettempdir()) / f"flame-ray-{os.getuid()}"
    with storage_errors(root, setting="TMPDIR"), suppress(FileExistsError):
        root.mkdir(mode=0o700, parents=True)
    _refuse_strange(root)
    return root / hashlib.sha256(key.encode()).hexdigest()[:16]


def _refuse_strange(root: Path) -> None:
    """Anyone may make a file of any name in /tmp: what lies in a folder of someone else could be changed under our hands."""
    with storage_errors(root, "look at", "TMPDIR"):
        found = root.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    if not ours:
        is_link = "a link" if stat.S_ISLNK(found.st_mode) else stat.filemode(found.st_mode)
        raise StorageError(
            f"{root} to be a folder that only this user (uid {os.getuid()}) may read",
            f"{is_link}, of uid {found.st_uid}",
            "remove it if it is yours, or set TMPDIR on every node to a folder of your own",
        )


@contextmanager
def _scratch_errors(path: Path, folder: RemoteFolder) -> Iterator[None]:
    with storage_errors(f"{path}, this node's copy of {folder}", setting="TMPDIR on the nodes"):
        yield
