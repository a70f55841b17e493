"""Keeps answers between runs, in an SQLite file that the processes of one node share.

A damaged file is set aside with a warning, and a new one is begun: every answer can be computed again.
"""

import errno
import json
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from flame_ray.errors import StorageError
from flame_ray.storage.atomic import storage_errors

log = logging.getLogger(__name__)
BUSY_S = 60.0  # how long to wait for another process that is writing
BATCH = 500  # keys a query; SQLite allows 32,766
TABLE = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
CODES = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_BUSY: errno.EBUSY}
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
T = TypeVar("T")


def cache_dir() -> Path:
    """The folder of everything that is kept between runs: FLAME_RAY_CACHE, or flame-ray in the user's cache folder.

    An empty variable counts as not set.
    """
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flame-ray"
    return Path(os.environ.get("FLAME_RAY_CACHE") or default)


def node_file(folder: Path) -> Path:
    """The file of this node in a folder: SQLite's write-ahead log does not work across nodes that share a disk."""
    return folder / f"{socket.gethostname() or 'node'}.sqlite"


class Cache:
    """A dictionary on disk from texts to JSON values. Raises StorageError where the file cannot be written.

    With `needed` false, that the disk is full or the file locked is a warning, and the cache is empty from then on: it only
    saves work, and a full disk is no reason to lose the work that is done.
    """

    def __init__(self, path: Path, needed: bool = True):
        self._path, self._needed, self._is_given_up = path, needed, False
        self._connection: sqlite3.Connection | None = None
        with _writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)

    def __contains__(self, key: str) -> bool:
        return bool(self.get([key]))

    def __getitem__(self, key: str) -> Any:
        return self.get([key])[key]

    def get(self, keys: Sequence[str]) -> dict[str, Any]:
        """The values of those keys that are known."""
        nothing: dict[bytes, Any] = {}
        stored = self._attempt(lambda connection: _select(connection, [_encode(key) for key in dict.fromkeys(keys)]), nothing)
        return {key: stored[_encode(key)] for key in keys if _encode(key) in stored}

    def add(self, values: Mapping[str, Any]) -> None:
        """Stores values, in place of older ones of the same keys."""
        rows = [(_encode(key), json.dumps(value)) for key, value in values.items()]
        if rows:
            self._attempt(lambda connection: _insert(connection, rows), None)

    def _attempt(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What `work` returns, or `otherwise` where this cache is not needed and cannot be used."""
        if self._is_given_up:
            return otherwise
        try:
            return self._on_sound_file(work)
        except StorageError as error:
            if self._needed:
                raise
            self._is_given_up = True
            log.warning("%s Work goes on without this cache.", error)
            return otherwise

    def _on_sound_file(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns; if the file is damaged, `work` is repeated on a new file."""
        with _writable(self._path):
            try:
                return work(self._open())
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._close()
                _set_aside(self._path, error)
                return work(self._open())

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self._path)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _encode(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _connect(path: Path) -> sqlite3.Connection:
    # Ray runs the calls of an actor one after another, but not always in the same thread.
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # a power cut may cost the last answers, but never the file
        connection.execute(TABLE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _select(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        marks = ",".join("?" * len(batch))
        for key, value in connection.execute(f"SELECT key, value FROM answers WHERE key IN ({marks})", batch):
            try:
                found[key] = json.loads(value)
            except ValueError:  # damage inside a row, which SQLite does not see
                log.warning("an answer is damaged and is computed again")
    return found


def _insert(connection: sqlite3.Connection, rows: Sequence[tuple[bytes, str]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)
    except sqlite3.Error:
        connection.rollback()
        raise
    connection.commit()


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", -1) & 0xFF in DAMAGE


def _set_aside(path: Path, error: sqlite3.DatabaseError) -> None:
    """Renames the file, unless another process has replaced it meanwhile."""
    with FileLock(f"{path}.lock"):
        if _is_sound(path):
            return
        suffix = f".damaged-{time.time_ns()}"
        log.warning("the cache %s is damaged (%s): it is renamed to *%s, and a new one is begun", path, error, suffix)
        for part in ("", "-wal", "-shm"):
            if os.path.exists(f"{path}{part}"):
                os.replace(f"{path}{part}", f"{path}{part}{suffix}")


def _is_sound(path: Path) -> bool:
    try:
        with closing(_connect(path)) as connection:
            return connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return False


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    with storage_errors(path, setting="FLAME_RAY_CACHE"):
        try:
            yield
        except sqlite3.Error as error:
            code = CODES.get(getattr(error, "sqlite_errorcode", -1) & 0xFF, errno.EIO)
            raise OSError(code, f"{type(error).__name__}: {error}") from error
