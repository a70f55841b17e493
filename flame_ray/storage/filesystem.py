"""A run's folder on any filesystem that fsspec knows: a local path, `s3://`, `gs://`, `abfs://`, `memory://`.

In: a folder's URL, names relative to it ("rounds/0001/scores.json.gz"), bytes. Out: files that are whole or absent. A name
has one writer at a time (`lease.py` sees to that). Every failure is a StorageError that names the path. Nothing can be
appended to, since object stores cannot. Knows nothing of what the bytes mean.
"""

import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import fsspec

from flame_ray.errors import StorageError

MANIFEST = "manifest.json"


class Storage:
    """One folder. `local` is its absolute path when this machine's filesystem holds it, else None."""

    def __init__(self, url: str | Path):
        self._fs, self._root = _open(url)
        self.local: Path | None = Path(self._root) if "file" in self._fs.protocol else None
        self.url = str(self.local or url).rstrip("/")

    def at(self, name: str) -> str:
        """Where a name is, for a person to read."""
        return f"{self.url}/{name}" if name else self.url

    def write(self, name: str, data: bytes) -> None:
        """Replaces the whole file; it outlives a power cut once this returns."""
        with self._doing("write", name) as path:
            if not self.local:
                self._fs.pipe_file(path, data)
                return
            with _aside(Path(path)) as aside:
                aside.write_bytes(data)

    def read(self, name: str) -> bytes:
        with self._doing("read", name) as path:
            try:
                data: bytes = self._fs.cat_file(path)
            except FileNotFoundError as error:
                raise self._missing(name) from error
            return data

    def exists(self, name: str) -> bool:
        """Whether a file or a folder has this name."""
        with self._doing("look for", name) as path:
            self._fs.invalidate_cache()  # of listings: another process may have written since
            try:  # not fs.exists: that answers False when the network or the credentials fail
                self._fs.info(path)
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True

    def names(self, prefix: str = "") -> list[str]:
        """Every file of a folder and of the folders in it (or the one file so named), sorted; [] when there is none."""
        with self._doing("list", prefix) as path:
            self._fs.invalidate_cache()
            try:
                found = _walk(path) if self.local else self._fs.find(path)
            except (FileNotFoundError, NotADirectoryError):
                return []
            return sorted(each[len(self._root) :].lstrip("/") for each in found if not _is_part(each))

    def remove(self, prefix: str) -> None:
        """Removes a file, or a folder: its manifest first, so that what a kill leaves of it is not taken for whole."""
        if not prefix:
            raise ValueError("a name, not the root")
        names = self.names(prefix)
        with self._doing("remove", prefix) as path:
            for batch in reversed(_manifest_last(names, f"{prefix}/{MANIFEST}")):
                self._fs.rm([self._path(name) for name in batch])
            if self.local and Path(path).is_dir():
                shutil.rmtree(path)

    def put_folder(self, source: Path, name: str) -> None:
        """Stores a finished local folder under `name`, in place of what was there, its manifest last."""
        if self.local and source.resolve() == (self.local / name).resolve():
            return
        files = sorted(path for path in source.rglob("*") if path.is_file())
        if not files:
            raise StorageError(f"a finished folder at {source}", "no file", "write it again")
        self.remove(name)
        with self._doing("write", name) as path:
            for batch in _manifest_last(files, source / MANIFEST):
                self._put(batch, [f"{path}/{file.relative_to(source).as_posix()}" for file in batch])

    def get_folder(self, name: str, scratch: Path) -> Path:
        """A local copy of a folder: itself where the storage is local, else `scratch/name`, fetched anew."""
        names = self.names(name)
        if not names:
            raise self._missing(name)
        if self.local:
            return self.local / name
        target = scratch / name
        with self._doing("fetch", name, f" into {target}"):
            shutil.rmtree(target, ignore_errors=True)
            for batch in _manifest_last(names, f"{name}/{MANIFEST}"):
                self._fs.get([self._path(each) for each in batch], [str(scratch / each) for each in batch])
        return target

    def free_bytes(self) -> int | None:
        """What the disk has left; None where that is not a question (an object store)."""
        if not self.local:
            return None
        with self._doing("measure", ""):
            return shutil.disk_usage(next(path for path in (self.local, *self.local.parents) if path.exists())).free

    def _put(self, files: list[Path], paths: list[str]) -> None:
        if not self.local:
            self._fs.put([str(file) for file in files], paths)
            return
        for file, path in zip(files, paths, strict=True):
            with _aside(Path(path)) as aside:
                shutil.copyfile(file, aside)

    def _path(self, name: str) -> str:
        """A name as the filesystem writes it; one that leads out of the root is a ValueError."""
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise ValueError(f"a name relative to the root, not {name}")
        return f"{self._root}/{name}" if name else self._root

    def _missing(self, name: str) -> StorageError:
        return StorageError(f"to read {self.at(name)}", "nothing of that name", "check run.root and run.id, or start a new run")

    @contextmanager
    def _doing(self, verb: str, name: str, more: str = "") -> Iterator[str]:
        """Yields the name's path, and turns whatever a filesystem raises into a StorageError."""
        path = self._path(name)
        with storing(self.at(name) + more, verb):
            try:
                yield path
            except (OSError, StorageError):
                raise
            except Exception as error:  # each driver has a tree of its own (botocore: NoCredentialsError)
                if self.local:
                    raise
                raise OSError(f"{type(error).__name__}: {error}") from error


@contextmanager
def storing(path: Path | str, verb: str = "write") -> Iterator[None]:
    """Turns an OSError into a StorageError that says which path, why, and what to do."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"to {verb} {path}", f"{error.strerror or error}", _fix(error, str(path))) from error


def _fix(error: OSError, path: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space, or set run.root to another disk"
    if "://" in path:
        return "check the credentials, the bucket and its permissions, and the network, or set run.root"
    return "check the folder's permissions, or set run.root"


def _open(url: str | Path) -> tuple[fsspec.AbstractFileSystem, str]:
    """A URL's filesystem, and the root as that filesystem writes it."""
    if "://" not in str(url):
        return fsspec.filesystem("file"), str(Path(url).expanduser().absolute())
    fix = "set run.root to a local path, or to an s3://, gs:// or abfs:// URL"
    try:
        files, root = fsspec.core.url_to_fs(str(url))
    except ImportError as error:
        raise StorageError(f"a driver for {url}", "that its package is not installed", f"on every node: {error}") from error
    except Exception as error:  # an unknown protocol, or a driver that refuses to start
        raise StorageError(f"a filesystem for {url}", f"{type(error).__name__}: {error}", fix) from error
    if glob.has_magic(root) and "file" not in files.protocol:
        raise StorageError("a URL without *, ? or [, which fsspec would expand", str(url), fix)
    return files, root.rstrip("/")


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """Yields `.name.part`, which becomes `target` once it is on the disk."""
    aside = target.with_name(f".{target.name}.part")
    _make_folder(target.parent)
    try:
        yield aside
        _to_disk(aside)
        os.replace(aside, target)
        _to_disk(target.parent)
    finally:
        aside.unlink(missing_ok=True)


def _walk(path: str) -> list[str]:
    """The file, or every file of the folder; unlike fsspec's find, a folder that may not be read is an error."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # which another process has removed since
            raise error

    if os.path.isfile(path):
        return [path]
    return [os.path.join(folder, file) for folder, _, files in os.walk(path, onerror=refuse) for file in files]


def _is_part(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.startswith(".") and name.endswith(".part")


def _make_folder(folder: Path) -> None:
    """Like mkdir with its parents, and each new folder is on the disk."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _to_disk(folder.parent)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _manifest_last(files: list, manifest: Path | str) -> list[list]:
    """The files in one or two batches, of which the manifest alone is the last."""
    batches = [[file for file in files if file != manifest], [file for file in files if file == manifest]]
    return [batch for batch in batches if batch]
