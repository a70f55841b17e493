"""What a node is told of its end by AWS and by Google Cloud, from a stand-in of their metadata services."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from flame_ray.cluster.notices import GCP_NOTICE_S, Aws, Gcp, MetadataError, Notice, Service, watch
from tests.unit.cluster.metadata import (
    ACTION,
    HANGS,
    MAINTENANCE,
    PREEMPTED,
    REBALANCE,
    TOKEN,
    MetadataService,
    metadata_service,
)

NOW = datetime(2026, 11, 30, 8, 20, tzinfo=UTC)
TERMINATE = {"action": "terminate", "time": "2026-11-30T08:22:00Z"}
SILENCE_S = 0.2


@pytest.fixture
def service() -> Iterator[MetadataService]:
    with metadata_service() as made:
        yield made


@pytest.fixture
def aws(service) -> Aws:
    return Aws(Service(service.url), lambda: NOW)


@pytest.fixture
def gcp(service) -> Gcp:
    service.says(PREEMPTED, "FALSE")
    service.says(MAINTENANCE, "NONE")
    return Gcp(Service(service.url))


def test_aws_says_nothing_as_long_as_nothing_happens(aws, service):
    assert aws.notice() is aws.notice() is None
    assert service.asked == [TOKEN, *[ACTION, REBALANCE] * 2], "one token is enough"


def test_aws_says_when_it_ends_a_spot_instance(aws, service):
    service.says(ACTION, TERMINATE)
    assert aws.notice() == Notice("AWS will terminate this spot instance", 120.0)


def test_a_time_that_is_over_leaves_no_seconds(aws, service):
    service.says(ACTION, TERMINATE | {"time": "2026-11-30T08:19:00Z"})
    assert aws.notice().within_s == 0


def test_aws_says_that_a_spot_instance_is_at_risk_before_it_knows_when(aws, service):
    service.says(REBALANCE, {"noticeTime": "2026-11-30T08:19:00Z"})
    assert aws.notice() == Notice("AWS says that this spot instance is at risk", None)
    service.says(ACTION, TERMINATE)
    assert aws.notice().within_s == 120


def test_a_token_that_has_expired_is_renewed(aws, service):
    aws.notice()
    service.expire_token()
    service.says(ACTION, TERMINATE)
    assert aws.notice().within_s == 120
    assert service.asked[-3:] == [ACTION, TOKEN, ACTION]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_aws_without_a_token_is_no_notice_and_no_silence(aws, service, status):
    """Instance metadata may be switched off."""
    service.says(TOKEN, "", status)
    with pytest.raises(MetadataError, match=f"token answers with the status {status}"):
        aws.notice()


@pytest.mark.parametrize("status", [403, 500])
def test_a_question_of_aws_that_fails_while_there_is_no_other_notice_is_an_error(aws, service, status):
    service.says(ACTION, "", status)
    with pytest.raises(MetadataError, match=f"instance-action answers with the status {status}"):
        aws.notice()


def test_a_question_that_fails_does_not_hide_the_answer_to_another(aws, service):
    service.says(ACTION, "", 500)
    service.says(REBALANCE, {"noticeTime": "2026-11-30T08:19:00Z"})
    assert aws.notice().reason == "AWS says that this spot instance is at risk"


@pytest.mark.parametrize("text", ["<html>", "[]", '{"action": "stop"}', '{"action": "stop", "time": "soon"}'])
def test_an_answer_of_aws_that_cannot_be_read_is_an_error(aws, service, text):
    service.says(ACTION, text)
    with pytest.raises(MetadataError):
        aws.notice()


def test_google_cloud_says_nothing_as_long_as_nothing_happens(gcp):
    assert gcp.notice() is None


def test_google_cloud_says_that_it_takes_a_spot_instance_back(gcp, service):
    service.says(PREEMPTED, "TRUE\n")
    assert gcp.notice() == Notice("Google Cloud takes this spot instance back", GCP_NOTICE_S)


@pytest.mark.parametrize(
    ("event", "goes"), [("NONE", False), ("MIGRATE_ON_HOST_MAINTENANCE", False), ("TERMINATE_ON_HOST_MAINTENANCE", True)]
)
def test_maintenance_ends_only_a_machine_that_cannot_be_moved(gcp, service, event, goes):
    service.says(MAINTENANCE, event)
    assert (gcp.notice() is not None) is goes


@pytest.mark.parametrize("status", [404, 500])
def test_a_google_cloud_that_answers_otherwise_is_an_error(gcp, service, status):
    service.says(PREEMPTED, "", status)
    with pytest.raises(MetadataError, match=f"preempted answers with the status {status}"):
        gcp.notice()


@pytest.mark.parametrize(("make", "path"), [(Aws, TOKEN), (Gcp, PREEMPTED)])
def test_a_service_that_never_answers_is_given_up(service, make, path):
    service.says(path, "", HANGS)
    service.says(MAINTENANCE, "", HANGS)
    with pytest.raises(MetadataError, match="did not answer"):
        make(Service(service.url, SILENCE_S)).notice()


def test_a_service_that_is_not_there_is_an_error():
    with metadata_service() as gone:
        url = gone.url
    with pytest.raises(MetadataError, match="did not answer"):
        Gcp(Service(url)).notice()


def test_the_service_is_asked_directly_whatever_proxy_is_set(gcp, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert Gcp(gcp._service).notice() is None and Gcp(Service(gcp._service._url)).notice() is None


class Script:
    """A cloud that says one thing after another: None, a notice, or an error."""

    def __init__(self, *lines: Notice | MetadataError | None):
        self.lines = list(lines)

    def notice(self) -> Notice | None:
        line = self.lines.pop(0)
        if isinstance(line, MetadataError):
            raise line
        return line


GOES = Notice("it goes", 30)


def test_a_watch_ends_with_the_notice_that_the_node_has_acted_on():
    slept: list[float] = []
    assert watch(Script(None, None, GOES), lambda notice: True, slept.append) == GOES
    assert len(slept) == 2


def test_a_notice_is_told_again_until_the_node_has_acted_on_it():
    told: list[Notice] = []

    def leave(notice: Notice) -> bool:
        told.append(notice)
        return len(told) == 2

    watch(Script(GOES, GOES), leave, lambda seconds: None)
    assert told == [GOES, GOES]


def test_a_watch_outlives_a_service_that_fails_and_says_so_once(caplog):
    failure = MetadataError("the service did not answer")
    with caplog.at_level(logging.INFO):
        watch(Script(failure, failure, None, failure, GOES), lambda notice: True, lambda seconds: None)
    said = [record.getMessage() for record in caplog.records]
    again = "the metadata service answers again"
    assert [each == again for each in said] == [False, True, False, True]
