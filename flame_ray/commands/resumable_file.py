"""The output of `flame-ray score` and of others: one JSON record a line, appended, so that an existing file can be resumed.

What the records depend on (input, settings, versions) is written beside the file, in `<name>.settings.json`.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from filelock import lock_descriptor

from flame_ray.config.load import differences
from flame_ray.errors import ConfigError, StorageError
from flame_ray.shown import hide_secrets
from flame_ray.storage.atomic import storage_errors, write_file
from flame_ray.storage.jsonl import json_line

FIX = "give another --out, or remove this file and start again"


class ResumableFile:
    """Use as a context manager. `last` is the number of the last complete record, 0 if there is none. A record has it in the
    column `number`; of scores it is the input line.

    `made_by` is what the records depend on. Raises ConfigError if an existing file was made by something else, and
    StorageError if another process writes the file or it cannot be written.
    """

    def __init__(self, path: Path, made_by: dict[str, Any], number: str = "line"):
        self._path, self._made_by, self._number = path, hide_secrets(made_by), number
        self._settings = path.with_name(f"{path.name}.settings.json")
        self._file: IO[bytes] | None = None
        self._is_new = False
        self.last = 0

    def __enter__(self) -> "ResumableFile":
        with storage_errors(self._path, setting="--out"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._is_new = not self._path.exists()
            self._file = self._path.open("a+b")
        try:
            self._lock(self._file)
        except BaseException:
            self._file.close()
            raise
        try:
            self._check_settings()
            self.last = self._drop_incomplete(self._file)
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """A new file is removed if an error comes before its first record."""
        assert self._file is not None
        with storage_errors(self._path, setting="--out"), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
            if kind and self._is_new and not os.fstat(self._file.fileno()).st_size:
                self._path.unlink(missing_ok=True)
                if self._settings.is_file():
                    self._settings.unlink()

    def append(self, record: dict[str, Any]) -> None:
        """Writes a record. A kill of this process afterwards does not lose it."""
        assert self._file is not None
        with storage_errors(self._path, setting="--out"):
            self._file.write(json_line(record).encode())
            self._file.flush()

    def records(self) -> Iterator[dict[str, Any]]:
        """The complete records, one at a time."""
        with storage_errors(self._path, "read", "--out"), self._path.open("rb") as file:
            for line in file:
                yield json.loads(line)

    def _lock(self, file: IO[bytes]) -> None:
        """The lock ends with the process, even if it is killed."""
        with storage_errors(self._path, "lock", "--out"):
            if not (lock_descriptor(file.fileno(), blocking=False) and self._is_at_its_path(file)):
                raise StorageError("no other process to write the file", f"{self._path}", "wait until that process ends")

    def _is_at_its_path(self, file: IO[bytes]) -> bool:
        """False where another process has removed the file between its opening and its lock."""
        return self._path.exists() and os.path.samestat(os.fstat(file.fileno()), self._path.stat())

    def _check_settings(self) -> None:
        """Refuses to add to records of other settings, of another input, or of unknown origin."""
        if self._path.stat().st_size == 0:
            write_file(self._settings, json.dumps(self._made_by, indent=1).encode(), "--out")
            return
        try:
            before = json.loads(self._settings.read_bytes())
        except FileNotFoundError as error:
            expected = f"a new file, or one with {self._settings.name} beside it"
            raise StorageError(expected, f"{self._path}", FIX) from error
        except (OSError, ValueError) as error:
            raise StorageError("settings in JSON", f"{self._settings}: {error}", FIX) from error
        if changed := differences(before, self._made_by):
            raise ConfigError(f"the input and the settings that {self._path} was started with", "; ".join(changed), FIX)

    def _drop_incomplete(self, file: IO[bytes]) -> int:
        """Cuts off what follows the last complete record, and returns the number of that record."""
        position = end = last = 0
        with storage_errors(self._path, setting="--out"):
            file.seek(0)
            for text in file:
                position += len(text)
                if number := _number(text, self._number):
                    end, last = position, number
            file.truncate(end)
        return last


def _number(text: bytes, column: str) -> int:
    """The number of a complete record; 0 for anything else."""
    try:
        number = json.loads(text)[column] if text.endswith(b"\n") else 0
    except (ValueError, TypeError, KeyError):
        return 0
    return number if isinstance(number, int) else 0
