"""Lets one live process own a run: the owner writes `owner.json`, and renews it every few seconds.

On a local disk, a file lock separates two processes that start at once. On an object store, a process writes the file, waits
and reads it back; one that stalls in between finds at its next renewal that it has lost the run. The clocks of machines are
assumed to agree within seconds.
"""

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from flame_ray.errors import StorageError
from flame_ray.storage.atomic import storage_errors
from flame_ray.storage.filesystem import Storage

log = logging.getLogger(__name__)

OWNER = "owner.json"
LOCK = ".owner.lock"
SETTLE_S = 2.0  # longer than a process takes from reading the file to writing it
STALE_S = 60.0  # a lease that was last renewed so long ago is nobody's any more, if its process cannot be looked up
SAME_START_S = 30.0  # a start is measured from the boot, whose time changes when the clock is set


@dataclass(frozen=True)
class Owner:
    """A process that owns a run. `machine`: the boot and the container in which its pid is valid; "" if unknown."""

    token: str
    host: str
    pid: int
    started: float
    renewed: float
    machine: str = ""

    @classmethod
    def me(cls, now: float) -> "Owner":
        started = psutil.Process().create_time()
        return cls(uuid.uuid4().hex, socket.gethostname(), os.getpid(), started, now, _machine())

    def sees(self, other: "Owner") -> bool:
        """Whether this process can look up the other by its pid."""
        return (self.host, self.machine) == (other.host, other.machine)

    def running(self) -> bool:
        """Whether this process still runs on this machine; another process may have been given its pid."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < SAME_START_S
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


class Clock:
    """The time, which tests replace."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Lease:
    """The right to write a run.

    If another process takes the run, `lost` becomes true, and the renewing thread calls `on_lost`.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        stale_s: float = STALE_S,
        renew_s: float = 10.0,
        on_lost: Callable[[], None] | None = None,
        clock: Clock | None = None,
    ):
        self._storage, self._stale_s, self._renew_s = storage, stale_s, renew_s
        self._on_lost, self._clock = on_lost, clock or Clock()
        self._owner: Owner | None = None
        self._released, self._guard = threading.Event(), threading.Lock()
        self._lost = False

    @property
    def lost(self) -> bool:
        return self._lost

    def acquire(self) -> None:
        """Takes the run, and keeps it until `release`. Raises StorageError if another live process owns it."""
        owner = Owner.me(self._clock.now())
        with _locked(self._storage) as locked:
            self._refuse_other(owner, found := self._read())
            if found:
                log.warning("taking over the run of %s/%d, which has ended", found.host, found.pid)
            self._write(owner)
            if not locked:
                self._clock.sleep(SETTLE_S)
            self._refuse_other(owner, self._read())
        self._owner, self._lost, self._released = owner, False, threading.Event()
        threading.Thread(target=self._renew_often, args=(self._released,), name="lease", daemon=True).start()

    def renew(self) -> None:
        """Renews the lease, unless another process owns the run by now."""
        with self._guard:
            if self._owner is None or self._lost:
                return
            with _locked(self._storage):
                self._lost = not self._is_mine()
                if not self._lost:
                    self._write(replace(self._owner, renewed=self._clock.now()))
        if self._lost:
            log.error("another process has taken the run at %s", self._storage.url)
            if self._on_lost:
                self._on_lost()

    def release(self) -> None:
        """Gives the run up. A storage error is only logged, because the lease ends with the process anyway."""
        self._released.set()
        with self._guard:
            try:
                with _locked(self._storage):
                    if self._is_mine():
                        self._storage.remove(OWNER)
            except StorageError as error:
                log.warning("could not release the run: %s", error)
            self._owner = None

    def __enter__(self) -> "Lease":
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _renew_often(self, released: threading.Event) -> None:
        while not released.wait(self._renew_s) and not self._lost:
            try:
                self.renew()
            except StorageError as error:
                log.warning("could not renew the lease of the run: %s", error)

    def _refuse_other(self, me: Owner, owner: Owner | None) -> None:
        if owner is None or owner.token == me.token:
            return
        age = self._clock.now() - owner.renewed
        if _lives(owner, me, age, self._stale_s):
            raise StorageError(
                f"no other process to own the run at {self._storage.url}",
                f"process {owner.pid} on {owner.host}, which renewed its lease {age:.0f} s ago",
                f"stop it, or wait until it ends; elsewhere its lease expires {self._stale_s:g} s after its last renewal",
            )

    def _is_mine(self) -> bool:
        found = self._read()
        return self._owner is not None and found is not None and found.token == self._owner.token

    def _read(self) -> Owner | None:
        return _read_owner(self._storage)

    def _write(self, owner: Owner) -> None:
        self._storage.write(OWNER, json.dumps(asdict(owner), indent=1).encode())


_OWNER = TypeAdapter(Owner)


def live_owner(storage: Storage, clock: Clock | None) -> Owner | None:
    """The process that owns a run and lives, as far as can be seen from here. Raises StorageError if it cannot be read."""
    now = (clock or Clock()).now()
    owner = _read_owner(storage)
    return owner if owner and _lives(owner, Owner.me(now), now - owner.renewed, STALE_S) else None


def _lives(owner: Owner, me: Owner, age: float, stale_s: float) -> bool:
    """Whether an owner lives, whose lease was renewed `age` seconds ago."""
    return owner.running() if me.sees(owner) else age < stale_s


def _read_owner(storage: Storage) -> Owner | None:
    if not storage.exists(OWNER):
        return None
    try:
        return _OWNER.validate_json(storage.read(OWNER))
    except ValidationError as error:
        at = storage.at(OWNER)
        raise StorageError(f"the owner of a run in {at}", "other content", "remove the file if no process runs") from error


@contextmanager
def _locked(storage: Storage) -> Iterator[bool]:
    """Admits one process at a time, and yields True; yields False where files cannot be locked."""
    lock = _lock(storage.local) if storage.local else None
    try:
        yield lock is not None
    finally:
        if lock:
            lock.release()


def _lock(folder: Path) -> FileLock | None:
    with storage_errors(folder / LOCK):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    lock = FileLock(folder / LOCK, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError:  # a filesystem without locks, such as Lustre mounted without flock
        return None
    return lock


def _machine() -> str:
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return ""
