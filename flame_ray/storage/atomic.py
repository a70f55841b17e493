"""Writes files and folders that are complete or absent, and manifests that show whether a folder was damaged since."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from flame_ray.errors import StorageError

MANIFEST = "manifest.json"
HASHED_BYTES = 64 * 2**20  # what has up to this size is known by its content
SAMPLES, SAMPLED_BYTES = 64, 2**16  # of a larger file: all of it up to 4 MiB


@contextmanager
def storage_errors(path: Path | str, verb: str = "write", setting: str = "run.root") -> Iterator[None]:
    """Turns an OSError into a StorageError that names the path, the reason, and the setting that chooses another place."""
    try:
        yield
    except OSError as error:
        fix = _fix(error, str(path), setting)
        raise StorageError(f"to {verb} {path}", str(error.strerror or error), fix) from error


def write_file(path: Path, data: bytes, setting: str) -> None:
    """Replaces a file, whose folder is made if need be; of a link, the file that it leads to. Raises StorageError."""
    with storage_errors(path, setting=setting), atomic_file(Path(os.path.realpath(path))) as temporary:
        temporary.write_bytes(data)


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yields a temporary path, whose file replaces `target` at the end of the block. Folders are made. Raises OSError.

    The file is on the disk before it gets its name, so a power cut leaves the old file or the new one.
    """
    temporary = _temporary(target)
    _make_folder(target.parent)
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path, setting: str = "run.root") -> Iterator[Path]:
    """Yields a temporary folder, which replaces `target` if the block ends well. Raises StorageError."""
    temporary, old = _temporary(target), target.with_name(f".{target.name}.old.part")
    try:
        with storage_errors(target, setting=setting):
            for leftover in (temporary, old):  # of a killed process
                shutil.rmtree(leftover, ignore_errors=True)
            temporary.mkdir(parents=True)
            yield temporary
            for path in [*temporary.rglob("*"), temporary]:
                _sync(path)
            if target.exists():
                target.rename(old)  # removing it here could take long, and a kill meanwhile would lose the folder
            temporary.rename(target)
            _sync(target.parent)
    finally:
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)


def is_temporary(path: PurePath) -> bool:
    """Whether a relative path is, or is inside, something that `atomic_file` or `atomic_folder` is still writing."""
    return any(part.startswith(".") and part.endswith(".part") for part in path.parts)


def write_manifest(folder: Path, name: str = MANIFEST) -> None:
    """Lists size and sha256 of every file in the folder and below it. Call it after everything else is written."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / name]
    files = {path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in paths}
    (folder / name).write_text(json.dumps({"files": files}, indent=1), encoding="utf-8")


def verify_manifest(folder: Path, name: str = MANIFEST) -> None:
    """Raises StorageError, naming the file, unless every file of the manifest has the size and sha256 that it lists."""
    for file, (size, digest) in _entries(folder / name).items():
        path = folder / file
        if not path.is_file():
            raise _damaged(path, "it is missing")
        if size is not None and path.stat().st_size != size:
            raise _damaged(path, f"it has {path.stat().st_size} bytes, not {size}")
        if sha256_of(path) != digest:
            raise _damaged(path, f"its sha256 is not the one in {name}")


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(path: Path, samples: bool = False) -> str:
    """Tells a file's or folder's content, wherever it lies and whenever it was copied there. What is hidden does not count.

    What is larger than HASHED_BYTES is too large to read at every start. It counts by names and sizes, and with `samples`
    also by some bytes of each file, which tell a model that was trained further from what it was.
    """
    if path.is_file():
        files = {"": path}
    else:
        found = {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}
        files = {name: file for name, file in found.items() if "/." not in f"/{name}"}
    sizes = {name: file.stat().st_size for name, file in files.items()}
    is_small = sum(sizes.values()) <= HASHED_BYTES
    if is_small:
        return json_digest({name: sha256_of(file) for name, file in files.items()})
    return json_digest({name: [sizes[name], _sampled(file)] for name, file in files.items()} if samples else sizes)


def _sampled(path: Path) -> str:
    """The SHA-256 of SAMPLES pieces of a file, from its beginning to its end: of a small file, all of it."""
    digest, last = hashlib.sha256(), max(0, path.stat().st_size - SAMPLED_BYTES)
    with path.open("rb") as file:
        for number in range(SAMPLES):
            file.seek(last * number // (SAMPLES - 1))
            digest.update(file.read(SAMPLED_BYTES))
    return digest.hexdigest()


def json_digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a value as JSON; the order of keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _entries(manifest: Path) -> dict[str, tuple[int | None, str]]:
    """Size and sha256 by file name. Models that were cached by earlier versions list the sha256 alone."""
    try:
        tree = json.loads(manifest.read_text(encoding="utf-8"))
        if "files" not in tree:
            return {name: (None, digest) for name, digest in tree["sha256"].items()}
        return {name: (entry["bytes"], entry["sha256"]) for name, entry in tree["files"].items()}
    except FileNotFoundError as error:
        raise _damaged(manifest, "it is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(manifest, f"it is not a manifest ({error!r})") from error


def _damaged(path: Path, what: str) -> StorageError:
    return StorageError("files as they were written", f"{path}: {what}", "resume from an earlier folder, or restore this one")


def _fix(error: OSError, path: str, setting: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"free some space, or set {setting} to another disk"
    if error.errno == errno.EBUSY:
        return f"wait for the process that uses it, or set {setting}"
    if path.partition("/")[0].endswith(":"):  # a URL
        return f"check the credentials, the bucket and its permissions, and the network, or set {setting}"
    if error.errno == errno.ENOTDIR:
        return f"set {setting} to a path in which no file stands in the place of a folder"
    return f"check the folder's permissions, or set {setting}"


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _make_folder(folder: Path) -> None:
    """Like mkdir with its parents, and each new folder is on the disk."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
