"""Who owns a run: processes of this machine, of another one, dead and alive. Time is set by hand."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from contextlib import suppress

import psutil
import pytest

from flame_ray.errors import StorageError
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.lease import OWNER, Lease, _machine
from tests.doubles import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["disk", "memory"])
def storage(request, tmp_path) -> Storage:
    return Storage(tmp_path / "run" if request.param == "disk" else f"memory://{uuid.uuid4().hex}/run")


@pytest.fixture
def disk(tmp_path) -> Storage:
    return Storage(tmp_path / "run")


@pytest.fixture
def sleeper():
    """A process that does nothing, until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


def lease(storage, clock, **other) -> Lease:
    """One whose thread sleeps through the test."""
    return Lease(storage, renew_s=3600, clock=clock, **other)


def owned(storage, clock, **other) -> None:
    """Leaves the lease of a process that is not this one."""
    here = {"host": socket.gethostname(), "machine": _machine(), "pid": os.getpid()}
    owner = {"token": "another", "started": psutil.Process().create_time(), "renewed": clock.now()}
    storage.write(OWNER, json.dumps(here | owner | other).encode())


def token(storage) -> str:
    return json.loads(storage.read(OWNER))["token"]


def test_a_lease_says_who_holds_the_run_and_is_gone_afterwards(storage, clock):
    with lease(storage, clock):
        found = json.loads(storage.read(OWNER))
        assert (found["host"], found["pid"], found["renewed"]) == (socket.gethostname(), os.getpid(), pytest.approx(1e6, abs=3))
        assert found["started"] == psutil.Process().create_time() and found["token"]
    assert not storage.exists(OWNER)


def test_a_lease_is_released_when_the_run_fails(storage, clock):
    with pytest.raises(RuntimeError), lease(storage, clock):
        raise RuntimeError("the run")
    assert not storage.exists(OWNER)


def test_a_process_of_this_machine_that_is_alive_keeps_the_run_however_long_it_was_silent(storage, clock, sleeper):
    owned(storage, clock, pid=sleeper.pid, started=psutil.Process(sleeper.pid).create_time(), renewed=clock.now() - 7200)
    before = storage.read(OWNER)
    with pytest.raises(StorageError) as caught:
        lease(storage, clock).acquire()
    assert caught.value.expected == f"no other process to own the run at {storage.url}"
    assert caught.value.found == f"process {sleeper.pid} on {socket.gethostname()}, which renewed its lease 7200 s ago"
    assert caught.value.fix.startswith("stop it, or wait")
    assert storage.read(OWNER) == before


def test_a_process_of_this_machine_that_was_killed_loses_the_run_at_once(storage, clock, sleeper):
    owned(storage, clock, pid=sleeper.pid, started=psutil.Process(sleeper.pid).create_time())
    sleeper.kill()
    sleeper.wait()
    with lease(storage, clock):
        assert token(storage) != "another"


def test_a_killed_process_that_its_parent_has_not_reaped_is_dead_too(disk, clock, sleeper):
    owned(disk, clock, pid=sleeper.pid, started=psutil.Process(sleeper.pid).create_time())
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE
    with lease(disk, clock):
        assert token(disk) != "another"


def test_another_process_that_was_given_the_dead_owners_pid_does_not_own_the_run(disk, clock):
    owned(disk, clock, started=psutil.Process().create_time() - 3600)
    with lease(disk, clock):
        assert token(disk) != "another"


def test_a_clock_that_was_set_does_not_make_a_live_owner_another_process(disk, clock):
    owned(disk, clock, started=psutil.Process().create_time() - 5)
    with pytest.raises(StorageError):
        lease(disk, clock).acquire()


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"machine": "another container"}])
@pytest.mark.parametrize(("silent_s", "free"), [(-30, False), (59, False), (61, True)])
def test_an_owner_whose_processes_are_not_seen_from_here_is_dead_when_it_was_silent_for_a_minute(
    storage, clock, elsewhere, silent_s, free
):
    owned(storage, clock, pid=2**22, renewed=clock.now() - silent_s, **elsewhere)
    if free:
        with lease(storage, clock):
            assert token(storage) != "another"
    else:
        with pytest.raises(StorageError, match=f"renewed its lease {silent_s} s ago"):
            lease(storage, clock).acquire()


def test_a_second_lease_of_one_process_is_refused_and_the_first_goes_on(storage, clock):
    with lease(storage, clock) as first:
        mine = token(storage)
        with pytest.raises(StorageError, match=f"process {os.getpid()} on"), lease(storage, clock):
            pass
        first.renew()
        assert token(storage) == mine and not first.lost


def test_a_lease_can_be_taken_again_after_its_release(storage, clock):
    mine = lease(storage, clock)
    for _ in range(2):
        with mine:
            assert storage.exists(OWNER)


def test_a_renewal_says_the_time(storage, clock):
    with lease(storage, clock) as mine:
        clock.time += 40
        mine.renew()
        assert json.loads(storage.read(OWNER))["renewed"] == clock.time


@pytest.mark.parametrize("taken", ["by another", "away"])
def test_a_lease_that_was_taken_is_lost_once_and_leaves_the_file_as_it_is(storage, clock, taken):
    calls = []
    with lease(storage, clock, on_lost=lambda: calls.append("lost")) as mine:
        owned(storage, clock, host="another") if taken == "by another" else storage.remove(OWNER)
        mine.renew()
        mine.renew()
        assert mine.lost and calls == ["lost"]
    assert storage.names(OWNER) == ([OWNER] if taken == "by another" else [])


def test_a_release_leaves_a_run_that_another_has_taken_to_it(storage, clock):
    with lease(storage, clock):
        owned(storage, clock, host="another")
    assert token(storage) == "another"


def test_a_renewal_after_the_release_writes_nothing(storage, clock):
    with lease(storage, clock) as mine:
        pass
    mine.renew()
    assert not storage.exists(OWNER) and not mine.lost


def test_on_an_object_store_the_last_of_two_that_start_at_once_wins(clock):
    storage = Storage(f"memory://{uuid.uuid4().hex}/run")
    clock.meanwhile = lambda: owned(storage, clock, host="another")
    with pytest.raises(StorageError, match="on another,"):
        lease(storage, clock).acquire()
    assert token(storage) == "another"


def test_a_disk_without_locks_is_treated_as_an_object_store(disk, clock, monkeypatch):
    def no_locks(*args):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    clock.meanwhile = lambda: owned(disk, clock, host="another")
    with pytest.raises(StorageError, match="on another,"):
        lease(disk, clock).acquire()


class SlowStorage(Storage):
    """One whose first look waits for another process to look too, and whose writes wait until `before` is set."""

    def __init__(self, url, looks: threading.Barrier, before: threading.Event):
        super().__init__(url)
        self.looks, self.before = looks, before

    def exists(self, name):
        found = super().exists(name)
        with suppress(threading.BrokenBarrierError):  # broken for good once one has waited in vain, or been let through
            self.looks.wait(timeout=0.5)
            self.looks.abort()
        return found

    def write(self, name, data):
        self.before.wait(timeout=1)
        super().write(name, data)


def test_on_a_disk_one_of_two_that_start_at_once_wins_even_if_the_other_is_slow_to_write(tmp_path, clock):
    looks, now, later = threading.Barrier(2), threading.Event(), threading.Event()
    now.set()
    leases = [lease(SlowStorage(tmp_path / "run", looks, before), clock) for before in (now, later)]
    won, refused = [], []

    def race(mine):
        try:
            mine.acquire()
            won.append(mine)
            later.set()
        except StorageError as error:
            refused.append(error)

    threads = [threading.Thread(target=race, args=(mine,)) for mine in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (len(won), len(refused)) == (1, 1)
    won[0].release()


def test_the_thread_renews_and_notices_that_the_run_was_taken(storage):
    lost = threading.Event()
    with Lease(storage, renew_s=0.01, on_lost=lost.set, clock=FakeClock()) as mine:
        mine._clock.time += 100
        deadline = threading.Event()
        for _ in range(500):
            if json.loads(storage.read(OWNER))["renewed"] == mine._clock.time:
                break
            deadline.wait(0.01)
        else:
            pytest.fail("the lease was not renewed")
        with mine._guard:
            owned(storage, mine._clock, host="another")
        assert lost.wait(10) and mine.lost


def test_a_storage_that_fails_for_a_while_neither_ends_the_renewals_nor_loses_the_run(disk, clock, monkeypatch, caplog):
    failed, renewed = threading.Event(), threading.Event()
    write = Storage.write

    def flaky(self, name, data):
        if not failed.is_set():
            failed.set()
            raise StorageError("to write", "no network", "wait")
        write(self, name, data)
        renewed.set()

    mine = Lease(disk, renew_s=0.01, clock=clock)
    monkeypatch.setattr(Storage, "write", write)
    with mine:
        monkeypatch.setattr(Storage, "write", flaky)
        assert failed.wait(10) and renewed.wait(10) and not mine.lost
    assert "could not renew" in caplog.text and "no network" in caplog.text


def test_a_storage_that_fails_at_the_release_does_not_hide_how_the_run_ended(disk, clock, monkeypatch, caplog):
    def fail(self, name):
        raise StorageError("to remove", "no network", "wait")

    monkeypatch.setattr(Storage, "remove", fail)
    with pytest.raises(RuntimeError, match="the run"), lease(disk, clock):
        raise RuntimeError("the run")
    assert "could not release" in caplog.text


def test_an_owner_that_cannot_be_read_is_refused_and_named(storage, clock):
    storage.write(OWNER, b"not json")
    with pytest.raises(StorageError, match=rf"{OWNER}; found other content.*remove the file"):
        lease(storage, clock).acquire()
