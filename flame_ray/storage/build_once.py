"""Folders in the cache that one process builds while others wait, and that are built again when they are damaged.

The checksums are compared by the process that first opens a folder after it has changed. Later ones compare sizes and times of
writing, since reading an index of 20 million passages at each start would take longer than it is worth.
"""

import json
import logging
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from flame_ray.errors import StorageError
from flame_ray.storage.atomic import MANIFEST, atomic_folder, storage_errors, verify_manifest, write_manifest

VERIFIED = "verified.json"
SETTING = "FLAME_RAY_CACHE"
log = logging.getLogger(__name__)


def build_once(folder: Path, build: Callable[[Path], None], manifest: str = MANIFEST) -> Path:
    """The folder, which `build` fills if it is missing or damaged. Raises StorageError where it cannot be used."""
    _refuse_strange(folder.absolute())
    if _is_intact(folder, manifest):
        return folder
    with storage_errors(folder, setting=SETTING):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{folder}.lock").acquire()
    with lock:
        if not _is_intact(folder, manifest):  # another process may have built it meanwhile
            with atomic_folder(folder, SETTING) as temporary:
                build(temporary)
                write_manifest(temporary, manifest)
            _note_verified(folder)
    return folder


def _refuse_strange(folder: Path) -> None:
    """In a folder such as /tmp anyone may make a cache of this name, and change it after its checksums were compared."""
    for path in (folder, *folder.parents):
        if not os.path.lexists(path) or not path.parent.stat().st_mode & stat.S_IWOTH:
            continue
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_uid not in (0, os.getuid()):
            raise _strange(path, f"a link, of uid {found.st_uid}" if stat.S_ISLNK(found.st_mode) else f"of uid {found.st_uid}")
    if folder.is_dir() and folder.stat().st_mode & stat.S_IWOTH:
        raise _strange(folder, f"{stat.filemode(folder.stat().st_mode)}, which anyone may write to")


def _strange(path: Path, found: str) -> StorageError:
    fix = f"remove it if it is yours, or set {SETTING} to a folder of your own"
    return StorageError(f"{path} to be a folder that this user (uid {os.getuid()}) or root made", found, fix)


def _is_intact(folder: Path, manifest: str) -> bool:
    try:
        if _verified(folder) == _stamps(folder):
            return True
        verify_manifest(folder, manifest)
    except (FileNotFoundError, NotADirectoryError):  # never built, or another process is replacing it
        return False
    except StorageError as error:
        log.warning("%s is damaged and is built again: %s", folder, error.found)
        return False
    _note_verified(folder)
    return True


def _stamps(folder: Path) -> dict[str, list[int]]:
    """Size and time of writing of each file."""
    files = ((file.name, file.stat()) for file in folder.iterdir() if not file.name.startswith(VERIFIED))
    return {name: [status.st_size, status.st_mtime_ns] for name, status in files}


def _verified(folder: Path) -> object:
    try:
        return json.loads((folder / VERIFIED).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing or torn: the checksums are compared again
        return None


def _note_verified(folder: Path) -> None:
    temporary = folder / f"{VERIFIED}.{os.getpid()}"
    with suppress(OSError):  # a folder that only its owner may write is verified at every start
        temporary.write_text(json.dumps(_stamps(folder)), encoding="utf-8")
        temporary.replace(folder / VERIFIED)
