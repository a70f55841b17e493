"""A log is shown once and whole, however often its connection breaks."""

import asyncio

import aiohttp
import pytest

from flame_ray.cluster import job_log
from flame_ray.cluster.job_log import SILENCES, follow
from flame_ray.cluster.job_server import JobServer
from flame_ray.errors import PlacementError, StorageError
from tests.doubles import FakeJob, FakeJobClient


def test_what_was_shown_before_a_connection_broke_is_not_shown_again():
    job = FakeJob("mine", pieces=["one ", "two ", RuntimeError("closed"), "three ", aiohttp.ClientError("cut"), "four"])
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        job.status = "SUCCEEDED" if text.endswith("four") else "RUNNING"

    ended = follow(JobServer(FakeJobClient(job), "http://head"), "mine", show, lambda job: None, sleep=lambda s: None)
    assert "".join(shown) == "one two three four" and ended.status == "SUCCEEDED"


def test_a_stream_that_ends_before_the_job_is_followed_again():
    job, pauses = FakeJob("mine", pieces=["one"]), []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        job.pieces.append(" more")
        job.status = "FAILED"

    shown: list[str] = []
    ended = follow(JobServer(FakeJobClient(job), "http://head"), "mine", shown.append, lambda job: None, sleep=sleep)
    assert shown == ["one", " more"] and len(pauses) == 1 and ended.status == "FAILED"


class Dead(FakeJobClient):
    """Its first `dead` connections say nothing and do not end, as where a network has forgotten them."""

    dead = connections = 0

    async def tail_job_logs(self, job_id):
        self.connections += 1
        if self.connections <= self.dead:
            await asyncio.Event().wait()
        async for piece in super().tail_job_logs(job_id):
            yield piece


def test_a_silent_job_is_reminded_of_and_its_log_is_asked_for_again():
    client, reminders, shown = Dead(FakeJob("mine", "PENDING", pieces=["the whole log"])), [], []
    client.dead = 2

    def remind(job) -> None:
        reminders.append(job.status)
        client.jobs[0].status = "SUCCEEDED" if len(reminders) == 2 * SILENCES else "PENDING"

    ended = follow(JobServer(client, "http://head"), "mine", shown.append, remind, sleep=lambda s: None, remind_s=0.02)
    assert reminders == 2 * SILENCES * ["PENDING"] and ended.status == "SUCCEEDED"
    assert shown == ["the whole log"] and client.connections == 3


def test_a_pipe_that_nobody_reads_any_more_ends_the_following_at_once():
    def show(text: str) -> None:
        raise BrokenPipeError

    job = FakeJob("mine", pieces=["one"])
    with pytest.raises(BrokenPipeError):
        follow(JobServer(FakeJobClient(job), "http://head"), "mine", show, lambda job: None, sleep=fail)


def test_a_job_that_the_head_has_forgotten_is_not_waited_for():
    client = FakeJobClient(FakeJob("mine", pieces=["one"]))

    def show(text: str) -> None:
        client.jobs.clear()

    with pytest.raises(StorageError, match="a head that was started again has forgotten its jobs"):
        follow(JobServer(client, "http://head"), "mine", show, lambda job: None, sleep=fail)


def fail(seconds: float) -> None:
    raise AssertionError("it tries again")


def test_a_head_that_stays_silent_ends_the_following_and_not_the_job(monkeypatch):
    monkeypatch.setattr(job_log, "TRIES", 3)
    job = FakeJob("mine", pieces=["one", *[RuntimeError("closed")] * 4])
    with pytest.raises(PlacementError, match=r"the log of mine .*; found no answer after 3 tries: RuntimeError: closed"):
        follow(JobServer(FakeJobClient(job), "http://head"), "mine", lambda text: None, lambda job: None, sleep=lambda s: None)
