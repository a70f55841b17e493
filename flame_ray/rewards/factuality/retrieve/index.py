"""Folders of what is made once from a corpus, and then memory-mapped by every process of a node.

In: a key, which says what the folder is made from (corpus, settings, library versions), and how to make it. Out: a folder
that is whole and undamaged. Knows nothing of what is in it.

A folder is written aside and renamed. One process makes it while others wait; a damaged one is made anew. Its checksums are
compared by whoever opens it first after it has changed: the others trust the files' sizes and times of writing, since
reading 20 million passages at each start would cost more than it finds.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from flame_ray.engines.models import cache_dir
from flame_ray.errors import StorageError
from flame_ray.storage.atomic import verify_manifest, whole_folder, write_manifest

KEY, VERIFIED = "made_from.json", "verified.json"
Key = Mapping[str, str | int | float | None]
log = logging.getLogger(__name__)


def open_index(kind: str, key: Key, make: Callable[[Path], None]) -> Path:
    """The folder of `key` in the cache (FLAME_RAY_CACHE), made by `make` if it is not there or damaged. Raises StorageError."""
    folder = cache_dir() / "indexes" / f"{kind}-{fingerprint(key)[:24]}"
    if _is_intact(folder):
        return folder
    with _locked(folder):
        if not _is_intact(folder):  # another process may have made it meanwhile
            with whole_folder(folder) as aside:
                _make(aside, make)
                (aside / KEY).write_text(json.dumps({"kind": kind, **key}, indent=1), encoding="utf-8")
                write_manifest(aside)
            _note_verified(folder)
    return folder


def fingerprint(key: Key) -> str:
    """A name for all that a folder is made from."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    try:
        make(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # it can be large, and may never be tried again
        raise


def _is_intact(folder: Path) -> bool:
    try:
        if _verified(folder) == _stamps(folder):
            return True
        verify_manifest(folder)
    except (FileNotFoundError, NotADirectoryError):  # never made, or just being replaced
        return False
    except StorageError as error:
        log.warning("an index is damaged and is made anew: %s", error.found)
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
    except (OSError, ValueError):  # not there, or torn: the checksums are compared again
        return None


def _note_verified(folder: Path) -> None:
    aside = folder / f"{VERIFIED}.{os.getpid()}"
    with contextlib.suppress(OSError):  # a folder that only its owner may write is verified at every start
        aside.write_text(json.dumps(_stamps(folder)), encoding="utf-8")
        aside.replace(folder / VERIFIED)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; a killed one lets go. Raises StorageError where nothing can be written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock").open("ab")
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        fix = "correct its permissions, or set FLAME_RAY_CACHE to a folder on this node's own disk"
        raise StorageError(f"a folder for indexes, with locks, at {folder.parent}", str(error), fix) from error
    with lock:
        yield
