"""Reads and writes a run's folder on any filesystem that fsspec knows: a local path, `s3://`, `gs://`, `abfs://`, `memory://`.

A name is relative to the folder ("rounds/0001/pairs.json.gz") and has one writer at a time (see `lease.py`). Files are complete
or absent. Only `append` adds to one, and only on a disk, since object stores cannot. Every failure is a StorageError that
names the path.
"""

import glob
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import fsspec

from flame_ray.errors import StorageError
from flame_ray.storage.atomic import MANIFEST, atomic_file, atomic_folder, is_temporary, storage_errors


class Storage:
    """One folder. `local` is its absolute path on this machine's filesystem; None where it is on an object store."""

    def __init__(self, url: str | Path):
        self._fs, self._root = _open(url)
        self.local: Path | None = Path(self._root) if "file" in self._fs.protocol else None
        self.url = str(self.local or url).rstrip("/")

    def at(self, name: str) -> str:
        """The full path or URL of a name, as messages show it."""
        return f"{self.url}/{name}" if name else self.url

    def write(self, name: str, data: bytes) -> None:
        """Replaces the file. Once this returns, the file survives a power cut."""
        with self._doing("write", name) as path:
            if not self.local:
                self._fs.pipe_file(path, data)
                return
            with atomic_file(Path(path)) as temporary:
                temporary.write_bytes(data)

    def append(self, name: str, data: bytes) -> None:
        """Adds to a file on a disk. A kill may cut off the end of what is added."""
        if not self.local:
            raise ValueError(f"expected a folder on a disk; found {self.url}")
        with self._doing("write", name) as path, open(path, "ab") as file:
            file.write(data)

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """Yields a path on this machine, whose file replaces `name` if the block ends well: for large files."""
        if self.local:
            with self._doing("write", name) as path, atomic_file(Path(path)) as temporary:
                yield temporary
            return
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / "file"
            with storage_errors(folder, setting="TMPDIR"):
                yield temporary
            with self._doing("write", name) as path:
                self._fs.put_file(str(temporary), path)

    def read(self, name: str) -> bytes:
        with self._doing("read", name) as path:
            try:
                data: bytes = self._fs.cat_file(path)
            except FileNotFoundError as error:
                raise self._missing(name) from error
            return data

    def exists(self, name: str) -> bool:
        """Whether there is a file or a folder of this name."""
        with self._doing("look for", name) as path:
            self._fs.invalidate_cache()  # of listings: another process may have written since
            try:  # not fs.exists: that answers False when the network or the credentials fail
                self._fs.info(path)
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True

    def names(self, prefix: str = "") -> list[str]:
        """The files in a folder and below it (or the file of that name), sorted; [] if there are none."""
        with self._doing("list", prefix) as path:
            self._fs.invalidate_cache()
            try:
                found = _walk(path) if self.local else self._fs.find(path)
            except (FileNotFoundError, NotADirectoryError):
                return []
            names = (each[len(self._root) :].lstrip("/") for each in found)
            return sorted(name for name in names if not is_temporary(PurePosixPath(name)))

    def remove(self, prefix: str) -> None:
        """Removes a file, or a folder with its manifest first: what remains after a kill does not look complete."""
        if not prefix:
            raise ValueError("expected a name inside the root; found the root itself")
        names = self.names(prefix)
        with self._doing("remove", prefix) as path:
            for batch in reversed(_manifest_last(names, f"{prefix}/{MANIFEST}")):
                self._fs.rm([self._path(name) for name in batch])
            if self.local and Path(path).is_dir():
                shutil.rmtree(path)

    def put_folder(self, source: Path, name: str) -> None:
        """Uploads a finished local folder as `name`, its manifest last. An older folder of that name is removed first.

        Raises StorageError.
        """
        files = sorted(path for path in source.rglob("*") if path.is_file())
        if not files:
            raise StorageError(f"a finished folder at {source}", "no files", "write it again")
        self.remove(name)
        with self._doing("write", name) as path:
            for batch in _manifest_last(files, source / MANIFEST):
                targets = [f"{path}/{file.relative_to(source).as_posix()}" for file in batch]
                self._fs.put([str(file) for file in batch], targets)

    def copy_folder(self, source: str, target: str) -> None:
        """Copies a finished folder, its manifest last. An older folder of the target's name is replaced.

        On a disk its files are hard links where that is possible; on an object store, the store itself copies them.
        """
        names = self.names(source)
        if not names:
            raise self._missing(source)
        if self.local:
            with atomic_folder(self.local / target) as made:
                shutil.copytree(self.local / source, made, copy_function=_link_or_copy, dirs_exist_ok=True)
            return
        self.remove(target)
        with self._doing("copy", source, f" to {target}"):
            for batch in _manifest_last(names, f"{source}/{MANIFEST}"):
                for name in batch:
                    self._fs.cp_file(self._path(name), self._path(target + name.removeprefix(source)))

    def get_folder(self, name: str, scratch: Path) -> Path:
        """Downloads a folder to `scratch/name`, its manifest last. An older copy there is removed first."""
        names, target = self.names(name), scratch / name
        if not names:
            raise self._missing(name)
        with self._doing("fetch", name, f" into {target}"):
            shutil.rmtree(target, ignore_errors=True)
            for batch in _manifest_last(names, f"{name}/{MANIFEST}"):
                self._fs.get([self._path(each) for each in batch], [str(scratch / each) for each in batch])
        return target

    def free_bytes(self) -> int | None:
        """Free bytes on the disk; None for an object store, which has no such limit."""
        if not self.local:
            return None
        with self._doing("measure", ""):
            return shutil.disk_usage(next(path for path in (self.local, *self.local.parents) if path.exists())).free

    @contextmanager
    def trial(self, setting: str = "run.root") -> Iterator[str]:
        """Yields the path or URL of a new, empty folder where this one is or will be; it is gone after the block.

        Raises StorageError where nothing can be made: below a file, without permission, on a filesystem that is full.
        """
        name = f".flame-ray-{uuid.uuid4().hex}"
        if not self.local:
            self.write(name, b"")
            try:
                yield self.at(name)
            finally:
                self.remove(name)
            return
        below = next(path for path in (self.local, *self.local.parents) if os.path.lexists(path))
        if not below.exists():
            found = f"{below}, a link to {os.readlink(below)}, where nothing is"
            raise StorageError(f"a folder for {self.url}", found, f"make it, correct the link, or set {setting}")
        with storage_errors(self.url, f"make a folder in {below}, for", setting):
            (below / name).mkdir()
        try:
            yield str(below / name)
        finally:
            shutil.rmtree(below / name, ignore_errors=True)

    def _path(self, name: str) -> str:
        """A name as the filesystem writes it. A name that leads out of the root is a ValueError."""
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise ValueError(f"expected a name relative to the root; found {name}")
        return f"{self._root}/{name}" if name else self._root

    def _missing(self, name: str) -> StorageError:
        return StorageError(
            f"to read {self.at(name)}", "no such file or folder", "check run.root and run.id, or start a new run"
        )

    @contextmanager
    def _doing(self, verb: str, name: str, more: str = "") -> Iterator[str]:
        """Yields the path of a name, and turns whatever the filesystem raises into a StorageError."""
        path = self._path(name)
        with storage_errors(self.at(name) + more, verb):
            try:
                yield path
            except (OSError, StorageError):
                raise
            except NotImplementedError as error:
                raise OSError(f"the driver of {self._fs.protocol} cannot {verb} there") from error
            except Exception as error:  # drivers have errors of their own, such as botocore's NoCredentialsError
                if self.local:
                    raise
                raise OSError(f"{type(error).__name__}: {error}") from error


def missing_driver(url: str) -> str | None:
    """What fsspec says of a URL that nothing here can open; None where its driver is installed, and for a path."""
    try:
        fsspec.get_filesystem_class(url.partition("://")[0].rpartition("::")[2] if "://" in url else "file")
    except (ImportError, ValueError) as error:
        return str(error).rstrip(".")
    return None


def _open(url: str | Path) -> tuple[fsspec.AbstractFileSystem, str]:
    """The filesystem of a URL, and the root as that filesystem writes it."""
    if "://" not in str(url):
        return fsspec.filesystem("file"), str(Path(url).expanduser().absolute())
    fix = "set run.root to a local path, or to an s3://, gs:// or abfs:// URL"
    try:
        files, root = fsspec.core.url_to_fs(str(url))
    except ImportError as error:
        raise StorageError(f"a driver for {url}", "that its package is not installed", f"on every node, {error}") from error
    except Exception as error:  # an unknown protocol, or a driver that refuses to start
        raise StorageError(f"a filesystem for {url}", f"{type(error).__name__}: {error}", fix) from error
    if glob.has_magic(root) and "file" not in files.protocol:
        raise StorageError("a URL without *, ? or [, which fsspec would expand", str(url), fix)
    return files, root.rstrip("/")


def _walk(path: str) -> list[str]:
    """The file, or all files of the folder. Unlike fsspec's find, it raises an error for a folder that may not be read."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # another process has removed it meanwhile
            raise error

    if os.path.isfile(path):
        return [path]
    return [os.path.join(folder, file) for folder, _, files in os.walk(path, onerror=refuse) for file in files]


def _link_or_copy(source: str, target: str) -> None:
    """Not every filesystem has hard links. Files of finished folders are replaced and never changed, so a link is safe."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _manifest_last(files: list, manifest: Path | str) -> list[list]:
    """The files in batches: all others first, then the manifest, so that a folder with a manifest is complete."""
    batches = [[file for file in files if file != manifest], [file for file in files if file == manifest]]
    return [batch for batch in batches if batch]
