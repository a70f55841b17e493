"""Where the doctor looks: at a cluster that does not answer, and then at this machine."""

import pytest

from flame_ray.config import Config
from flame_ray.doctor.checks import Level
from flame_ray.doctor.probe import _within, find_site
from tests.unit.doctor.samples import job


def test_a_cluster_that_does_not_answer_is_a_problem_and_this_machine_is_described():
    site, check = find_site(job(cluster={"address": "127.0.0.1:1"}))
    assert (site.name, check.level) == ("this machine", Level.PROBLEM)
    assert "127.0.0.1:1" in check.expected and "refused" in check.found


def test_a_job_server_cannot_be_asked_and_the_way_to_ask_is_told(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    _, check = find_site(Config())
    assert check.level is Level.WARNING and "ray job submit" in check.fix


def test_a_wait_ends_and_an_error_comes_through():
    def fail():
        raise ConnectionError("no")

    with pytest.raises(TimeoutError):
        _within(0.05, lambda: __import__("time").sleep(5))
    with pytest.raises(ConnectionError, match="no"):
        _within(5, fail)
    assert _within(5, lambda: 7) == 7
