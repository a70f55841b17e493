"""A folder that is either whole or absent: it is written aside, forced to disk, and renamed.

In: a target folder. Out: a place to write. Knows nothing of what is written.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flame_ray.errors import StorageError


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yields `<target>.tmp`, which becomes `target` only if the block ends well; a `target` already there is replaced."""
    aside = target.with_name(target.name + ".tmp")
    try:
        shutil.rmtree(aside, ignore_errors=True)  # what a killed run left behind
        aside.mkdir(parents=True)
        yield aside
        for path in [*aside.rglob("*"), aside]:
            _to_disk(path)
        if target.exists():
            shutil.rmtree(target)  # only now: the new one is whole
        aside.rename(target)
        _to_disk(target.parent)
    except OSError as error:
        raise StorageError(
            f"a folder that can be written at {target}", str(error), "free space or correct permissions (run.root)"
        ) from error


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
