"""The file that scores are written to: one JSON object a line, appended, so that a kill costs at most its last line.

In: a path, and what its scores depend on (beside it, in `<name>.settings.json`). Out: the number of the last input line
whose record is whole, and records appended after it. One process writes at a time. Knows nothing of what a record means,
but for its `line`.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from flame_ray.config.load import differences
from flame_ray.errors import ConfigError, StorageError
from flame_ray.storage.atomic import storage_errors
from flame_ray.storage.filesystem import Storage

BLOCK = 1 << 20
ANOTHER = "give another --out, or remove this file and begin again"


class ScoreFile:
    """Use as a context manager. `last` is the input line of the last record, 0 when there is none."""

    def __init__(self, path: Path, made_by: dict[str, Any]):
        self._path, self._made_by = path, made_by
        self._beside = f"{path.name}.settings.json"
        self._storage = Storage(path.absolute().parent)
        self._file: IO[bytes] | None = None
        self.last = 0

    def __enter__(self) -> "ScoreFile":
        with storage_errors(self._path, setting="--out"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b")
        try:
            self._own()
            self._check()
            self.last = self._cut()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        assert self._file is not None
        with storage_errors(self._path, setting="--out"), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def append(self, record: dict[str, Any]) -> None:
        """One write a record; it is with the operating system when this returns, so that a kill of the process keeps it."""
        assert self._file is not None
        line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
        with storage_errors(self._path, setting="--out"):
            self._file.write(line.encode("utf-8"))
            self._file.flush()

    def records(self) -> Iterator[dict[str, Any]]:
        """Those that are whole, one at a time."""
        with storage_errors(self._path, "read", "--out"), self._path.open("rb") as file:
            for line in file:
                yield json.loads(line)

    def _own(self) -> None:
        """The lock ends with the process, however that ends."""
        assert self._file is not None
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError("a file that no other process writes", f"{self._path}", "wait until that one ends") from error
        except OSError as error:
            fix = "choose a disk whose files can be locked"
            raise StorageError(f"to lock {self._path}", f"{error.strerror}", fix) from error

    def _check(self) -> None:
        """Scores of other settings, of another input or of no known origin are never added to."""
        if self._path.stat().st_size == 0:
            self._storage.write(self._beside, json.dumps(self._made_by, indent=1).encode())
            return
        if not self._storage.exists(self._beside):
            raise StorageError(f"a new file, or one with {self._beside} beside it", f"{self._path}", ANOTHER)
        try:
            before = json.loads(self._storage.read(self._beside))
        except ValueError as error:
            raise StorageError("settings in JSON", f"{self._storage.at(self._beside)}: {error}", ANOTHER) from error
        if changed := differences(before, self._made_by):
            raise ConfigError(f"the input and the settings that {self._path} was begun with", "; ".join(changed), ANOTHER)

    def _cut(self) -> int:
        """Cut what is torn off the end; the line of the last record that is left."""
        assert self._file is not None
        with storage_errors(self._path, setting="--out"):
            end = self._path.stat().st_size
            while end:
                start = self._line_start(end)
                line = self._line(start, end)
                if line:
                    break
                end = start
            self._file.truncate(end)
        return line if end else 0

    def _line(self, start: int, end: int) -> int:
        """The number of the input line of a record; 0 for what is no whole record."""
        assert self._file is not None
        self._file.seek(start)
        text = self._file.read(end - start)
        try:
            line = json.loads(text)["line"] if text.endswith(b"\n") else 0
        except (ValueError, TypeError, KeyError):
            return 0
        return line if isinstance(line, int) else 0

    def _line_start(self, end: int) -> int:
        """Where the line begins that ends at `end`."""
        assert self._file is not None
        at = end - 1  # what ends it
        while at:
            start = max(0, at - BLOCK)
            self._file.seek(start)
            found = self._file.read(at - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            at = start
        return 0
