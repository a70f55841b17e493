"""One live process owns a run: it says so in `owner.json`, and says so again every few seconds.

In: a run's Storage. Out: a Lease that is held, or a StorageError that names the process which holds it. On a local disk two
processes that start at once are kept apart by a file lock; on an object store by writing, waiting and reading back, and
one that was stalled in between learns that it lost at its next renewal. Machines' clocks are taken to agree within seconds.
Knows nothing of what the run writes.
"""

import fcntl
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
from pydantic import TypeAdapter, ValidationError

from flame_ray.errors import StorageError
from flame_ray.storage.filesystem import Storage, storing

log = logging.getLogger(__name__)

OWNER = "owner.json"
LOCK = ".owner.lock"
SETTLE_S = 2.0  # longer than it takes another process to write after it read
SAME_START_S = 30.0  # a start is counted from the boot, whose time moves when the clock is set


@dataclass(frozen=True)
class Owner:
    """A process that owns a run. `machine`: the boot and the container that its pid belongs to; "" where unknown."""

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

    def beside(self, other: "Owner") -> bool:
        """Whether both see the same processes, so that one can tell whether the other lives."""
        return (self.host, self.machine) == (other.host, other.machine)

    def running(self) -> bool:
        """Whether this process is on this machine now, and not another one that was given its pid."""
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
    """The right to write a run. `lost` turns true, and `on_lost` is called on the renewing thread, if another took it."""

    def __init__(
        self,
        storage: Storage,
        *,
        stale_s: float = 60.0,
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
        """Takes the run, and keeps it until `release`. Raises StorageError when another live process owns it."""
        owner = Owner.me(self._clock.now())
        with _alone(self._storage) as alone:
            self._refuse(owner, found := self._read())
            if found:
                log.warning("taking over the run of %s/%d, which is gone", found.host, found.pid)
            self._write(owner)
            if not alone:
                self._clock.sleep(SETTLE_S)
            self._refuse(owner, self._read())
        self._owner, self._lost, self._released = owner, False, threading.Event()
        threading.Thread(target=self._keep, args=(self._released,), name="lease", daemon=True).start()

    def renew(self) -> None:
        """Says once more that this process owns the run, unless another one does by now."""
        with self._guard:
            if self._owner is None or self._lost:
                return
            with _alone(self._storage):
                self._lost = not self._mine()
                if not self._lost:
                    self._write(replace(self._owner, renewed=self._clock.now()))
        if self._lost:
            log.error("another process has taken the run at %s", self._storage.url)
            if self._on_lost:
                self._on_lost()

    def release(self) -> None:
        """Gives the run up. A storage that fails now is only logged: the lease ends with the process anyway."""
        self._released.set()
        with self._guard:
            try:
                with _alone(self._storage):
                    if self._mine():
                        self._storage.remove(OWNER)
            except StorageError as error:
                log.warning("the run is not released: %s", error)
            self._owner = None

    def __enter__(self) -> "Lease":
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _keep(self, released: threading.Event) -> None:
        while not released.wait(self._renew_s) and not self._lost:
            try:
                self.renew()
            except StorageError as error:
                log.warning("the run's lease is not renewed: %s", error)

    def _refuse(self, me: Owner, owner: Owner | None) -> None:
        if owner is None or owner.token == me.token:
            return
        age = self._clock.now() - owner.renewed
        if owner.running() if owner.beside(me) else age < self._stale_s:
            raise StorageError(
                f"a run that no other process owns at {self._storage.url}",
                f"{owner.host}/{owner.pid}, renewed {age:.0f} s ago",
                f"stop it, or wait until it ends; on another machine that is known {self._stale_s:g} s after it last renewed",
            )

    def _mine(self) -> bool:
        found = self._read()
        return self._owner is not None and found is not None and found.token == self._owner.token

    def _read(self) -> Owner | None:
        if not self._storage.exists(OWNER):
            return None
        try:
            return _OWNER.validate_json(self._storage.read(OWNER))
        except ValidationError as error:
            at = self._storage.at(OWNER)
            raise StorageError(f"the owner of a run in {at}", "something else", "remove it if no process runs") from error

    def _write(self, owner: Owner) -> None:
        self._storage.write(OWNER, json.dumps(asdict(owner), indent=1).encode())


_OWNER = TypeAdapter(Owner)


@contextmanager
def _alone(storage: Storage) -> Iterator[bool]:
    """Keeps the processes that come here, of this filesystem, to one at a time; yields whether it can."""
    if storage.local is None:
        yield False
        return
    path = storage.local / LOCK
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        yield _lock(file.fileno())


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a filesystem without locks, such as Lustre mounted without flock
        return False
    return True


def _machine() -> str:
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return ""
