"""A folder that one node writes and others read: on a disk that all of them see, or on an object store.

In: a place, a `Path` or a `RemoteFolder`. Out: a local folder to write into, or to read. What goes to an object store, or comes
from there, lies for a while in this node's own scratch ($TMPDIR). There a folder is whole once its manifest is there.
Knows nothing of what is in a folder.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flame_ray.errors import StorageError
from flame_ray.storage.atomic import MANIFEST, verify_manifest, whole_folder, write_manifest
from flame_ray.storage.filesystem import Storage

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder that no node mounts, by its URL.

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
def written(target: Folder) -> Iterator[Path]:
    """Yields a local folder, which is whole at `target` once the block has ended well; else nothing has changed there.

    On an object store it gets a manifest if it has none. Raises StorageError, naming what could not be written.
    """
    if not isinstance(target, RemoteFolder):
        with whole_folder(target) as aside:
            yield aside
        return
    made = _scratch(target.url)
    try:
        with _scratching(made, target):
            shutil.rmtree(made, ignore_errors=True)  # left behind by a killed process
            made.mkdir()
            yield made
            if not (made / MANIFEST).is_file():
                write_manifest(made)
        Storage(target.parent.url).put_folder(made, target.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def at_hand(folder: Folder | None) -> Iterator[Path | None]:
    """Yields the folder itself (or None), or this node's verified copy, which its processes share and the last one removes.

    Raises StorageError, naming the file, if it is not as it was written.
    """
    if not isinstance(folder, RemoteFolder):
        yield folder
        return
    manifest = Storage(folder.url).read(MANIFEST)  # in the name: another folder of the same URL is no copy of this one
    copy = _scratch(folder.url + hashlib.sha256(manifest).hexdigest())
    with _scratching(copy, folder):
        lock = copy.with_name(f"{copy.name}.lock").open("ab")
    with lock:
        _share(folder, copy, lock.fileno())
        try:
            yield _inside(copy, folder)
        finally:
            _remove_if_last(copy, lock.fileno())


def _share(folder: RemoteFolder, copy: Path, lock: int) -> None:
    """Until the copy is there, and stays there while this process holds the lock.

    Nobody waits to be alone with the lock: who did would be kept waiting by the readers that came first, and these, being
    ranks of one group, wait for it.
    """
    while True:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if copy.exists():
            return
        fcntl.flock(lock, fcntl.LOCK_UN)
        if not _is_alone(lock):
            time.sleep(POLL_S)
        elif not copy.exists():
            with _scratching(copy, folder):
                _fetch(folder, copy)


def _fetch(folder: RemoteFolder, copy: Path) -> None:
    part = copy.with_name(f"{copy.name}.part")
    try:
        fetched = Storage(folder.parent.url).get_folder(folder.name, _inside(part, folder).parent)
        verify_manifest(fetched)
        part.rename(copy)
    except StorageError as error:
        shutil.rmtree(part, ignore_errors=True)
        found = error.found.replace(str(_inside(part, folder)), folder.url)
        raise StorageError(error.expected, found, error.fix) from error


def _inside(copy: Path, folder: RemoteFolder) -> Path:
    """Below two names of the folder's own, such as round-0001/state, which an error may show."""
    return copy / folder.parent.name / folder.name


def _remove_if_last(copy: Path, lock: int) -> None:
    if _is_alone(lock):
        shutil.rmtree(copy, ignore_errors=True)


def _is_alone(lock: int) -> bool:
    """Takes the lock for this process alone, if no other holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _scratch(key: str) -> Path:
    """A path, the same for the same key, so that what a killed process left is found, and replaced or used."""
    mine = Path(tempfile.gettempdir()) / f"flame-ray-{os.getuid()}"
    mine.mkdir(mode=0o700, parents=True, exist_ok=True)
    return mine / hashlib.sha256(key.encode()).hexdigest()[:16]


@contextmanager
def _scratching(path: Path, folder: RemoteFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"room for {folder} in {path} on a learner's node",
            f"{error.strerror or error}",
            "free some space there, or set TMPDIR on the nodes to another disk",
        ) from error
