"""A log is shown once and whole, however often its connection breaks."""

import asyncio

import aiohttp
import pytest

from flame_ray.cluster import job_log
from flame_ray.cluster.job_log import follow
from flame_ray.cluster.job_server import JobServer
from flame_ray.errors import PlacementError
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


def test_a_silent_job_is_reminded_of():
    class Silent(FakeJobClient):
        async def tail_job_logs(self, job_id):
            while len(reminders) < 2:
                await asyncio.sleep(0.01)
            self.jobs[0].status = "STOPPED"
            return
            yield

    job, reminders = FakeJob("mine", "PENDING"), []
    server = JobServer(Silent(job), "http://head")
    follow(server, "mine", lambda text: None, lambda job: reminders.append(job.status), remind_s=0.02)
    assert reminders[:2] == ["PENDING", "PENDING"]


def test_a_head_that_stays_silent_ends_the_following_and_not_the_job(monkeypatch):
    monkeypatch.setattr(job_log, "TRIES", 3)
    job = FakeJob("mine", pieces=["one", *[RuntimeError("closed")] * 4])
    with pytest.raises(PlacementError, match=r"the log of mine from http://head; found no answer after 3 tries: closed"):
        follow(JobServer(FakeJobClient(job), "http://head"), "mine", lambda text: None, lambda job: None, sleep=lambda s: None)
