"""Verdicts that were given before, kept on disk: the same fact on the same evidence is asked of a checker once.

In: a checker and a file. Out: the same verdicts. Knows nothing of how any is reached.

SQLite in WAL mode: processes of one node read and write it at the same time. A verdict is kept under the checker's identity,
the fact's text and the evidence's titles and texts; where the deciding passage stood is kept, not what it was called. One on
which the checker failed is not kept. A damaged file is set aside, with a warning, and a new one begun.
"""

import fcntl
import hashlib
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from flame_ray.errors import StorageError
from flame_ray.rewards.factuality.check.base import Checker
from flame_ray.types import Claim, Verdict, VerdictLabel

log = logging.getLogger(__name__)
BUSY_S = 60.0  # how long to wait for another process that writes
BATCH = 500  # keys a query; SQLite takes 32,766 at most
TABLE = "CREATE TABLE IF NOT EXISTS verdicts (key BLOB PRIMARY KEY, label TEXT, score REAL, passage INTEGER) WITHOUT ROWID"
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
LABELS = frozenset(VerdictLabel)  # a flipped bit in a row is damage that SQLite does not see
T = TypeVar("T")


class _Kept(NamedTuple):
    label: str
    score: float
    passage: int | None  # place in the claim's evidence


def default_path() -> Path:
    """In the cache folder, a file for each node: WAL does not work across the nodes that share a home folder."""
    from flame_ray.engines.models import cache_dir

    return cache_dir() / "verdicts" / f"{socket.gethostname() or 'node'}.sqlite"


class CachedChecker:
    """Another checker that remembers. Raises StorageError where the file cannot be written."""

    def __init__(self, checker: Checker, path: Path):
        self.threshold = checker.threshold
        self._checker, self._path = checker, path
        with _writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection: sqlite3.Connection | None = None

    @property
    def identity(self) -> str:
        return self._checker.identity

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        keys = [_key(self.identity, claim) for claim in claims]
        kept = self._safely(lambda connection: _read(connection, list(dict.fromkeys(keys))))
        missing = {key: claim for key, claim in zip(keys, claims, strict=True) if key not in kept}
        verdicts = dict(zip(missing, self._checker.check(list(missing.values())) if missing else (), strict=True))
        new = {key: _kept(missing[key], verdict) for key, verdict in verdicts.items()}
        self._keep({key: value for key, value in new.items() if value.label != VerdictLabel.ERROR})
        return tuple(_verdict(claim, kept.get(key) or new[key]) for key, claim in zip(keys, claims, strict=True))

    def _keep(self, new: dict[bytes, _Kept]) -> None:
        if new:
            self._safely(lambda connection: _write(connection, new))

    def _safely(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """On a damaged file, once more on a new one."""
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


def _key(identity: str, claim: Claim) -> bytes:
    """Each part with its length before it, so that no two lists of parts make the same text."""
    texts = (identity, claim.fact.text, *(text for passage in claim.passages_K for text in (passage.title, passage.text)))
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def _kept(claim: Claim, verdict: Verdict) -> _Kept:
    ids = [passage.id for passage in claim.passages_K]
    return _Kept(str(verdict.label), verdict.score, ids.index(verdict.passage_id) if verdict.passage_id in ids else None)


def _verdict(claim: Claim, kept: _Kept) -> Verdict:
    passage_id = None if kept.passage is None else claim.passages_K[kept.passage].id
    return Verdict(claim.fact, VerdictLabel(kept.label), kept.score, passage_id)


# --- the file -------------------------------------------------------------------------------------------------------


def _connect(path: Path) -> sqlite3.Connection:
    # Ray runs an actor's calls one after another, but not always in the same thread.
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # a power cut may cost the last verdicts, and never the file
        connection.execute(TABLE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _read(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, _Kept]:
    found: dict[bytes, _Kept] = {}
    for start in range(0, len(keys), BATCH):
        some = keys[start : start + BATCH]
        marks = ",".join("?" * len(some))
        rows = connection.execute(f"SELECT key, label, score, passage FROM verdicts WHERE key IN ({marks})", some)
        found.update((key, _Kept(*rest)) for key, *rest in rows if rest[0] in LABELS)
    return found


def _write(connection: sqlite3.Connection, new: dict[bytes, _Kept]) -> None:
    rows = [(key, *kept) for key, kept in new.items()]
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)", rows)
    except sqlite3.Error:
        connection.rollback()
        raise
    connection.commit()


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", -1) & 0xFF in DAMAGE


def _set_aside(path: Path, error: sqlite3.DatabaseError) -> None:
    """Under a lock, and only if the file is still damaged: another process may have begun a new one meanwhile."""
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_sound(path):
            return
        suffix = f".damaged-{time.time_ns()}"
        log.warning("the cache of verdicts %s is damaged (%s): set aside as *%s, a new one is begun", path, error, suffix)
        for part in ("", "-wal", "-shm"):
            if os.path.exists(f"{path}{part}"):
                os.replace(f"{path}{part}", f"{path}{part}{suffix}")


def _is_sound(path: Path) -> bool:
    try:
        connection = _connect(path)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return False
    try:
        return connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return False
    finally:
        connection.close()


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        expected, found = f"a cache of verdicts that can be written: {path}", f"{type(error).__name__}: {error}"
        fix = "free space, correct the permissions, set FLAME_RAY_CACHE to another folder, or set factuality.cache=false"
        raise StorageError(expected, found, fix) from error
