"""A folder that is either whole or absent, and that can tell whether it still is what was written.

In: a target folder. Out: a place to write, and a manifest of what lies there. Knows nothing of what is written.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flame_ray.errors import StorageError

MANIFEST = "manifest.json"


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yields `<target>.tmp`, which becomes `target` only if the block ends well; a `target` already there is replaced."""
    aside, old = (target.with_name(target.name + ending) for ending in (".tmp", ".old"))
    try:
        for left_behind in (aside, old):  # by a killed run
            shutil.rmtree(left_behind, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        for path in [*aside.rglob("*"), aside]:
            _to_disk(path)
        if target.exists():
            target.rename(old)  # not removed yet, which can take long: a kill between two renames is all that could lose it
        aside.rename(target)
        _to_disk(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"a folder that can be written at {target}", str(error), "free space or correct permissions (run.root)"
        ) from error


def write_manifest(folder: Path) -> None:
    """Size and sha256 of every file in the folder and below it, as `manifest.json`; to be called when all else is written."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / MANIFEST]
    files = {path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": _sha256(path)} for path in paths}
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=1), encoding="utf-8")


def verify_manifest(folder: Path) -> None:
    """Raises StorageError, naming the file, unless every file of the manifest is there and has the same bytes still."""
    for name, (size, digest) in _manifest(folder).items():
        path = folder / name
        if not path.is_file():
            raise _damaged(path, "it is missing")
        if path.stat().st_size != size:
            raise _damaged(path, f"it has {path.stat().st_size} bytes, not {size}")
        if _sha256(path) != digest:
            raise _damaged(path, f"its sha256 is not that of {MANIFEST}")


def _manifest(folder: Path) -> dict[str, tuple[int, str]]:
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {name: (entry["bytes"], entry["sha256"]) for name, entry in files.items()}
    except FileNotFoundError as error:
        raise _damaged(folder / MANIFEST, "it is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder / MANIFEST, f"it is not a manifest ({error!r})") from error


def _damaged(path: Path, what: str) -> StorageError:
    return StorageError("files as they were written", f"{path}: {what}", "resume from an earlier folder, or restore this one")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
