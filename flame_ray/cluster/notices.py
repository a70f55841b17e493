"""Asks a cloud's metadata service whether this machine is about to be taken away.

AWS gives a spot instance two minutes, and may say earlier that it is at risk (a rebalance recommendation). Google Cloud gives a
spot or preemptible instance 30 seconds; one that cannot be moved to another host learns of maintenance before that.
"""

import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

log = logging.getLogger(__name__)
AWS_URL, GCP_URL = "http://169.254.169.254", "http://metadata.google.internal"
TIMEOUT_S = 2.0
POLL_S = 5.0  # what AWS recommends
MOST_BYTES = 4096
TOKEN_S = 21_600  # the longest that AWS allows
GCP_NOTICE_S = 30.0
MUST_STOP = "TERMINATE_ON_HOST_MAINTENANCE"  # MIGRATE_ON_HOST_MAINTENANCE moves the machine as it runs


class MetadataError(Exception):
    """The service did not answer, or with something else than it should. The next question may be answered."""


@dataclass(frozen=True, slots=True)
class Notice:
    """That the machine goes: why, and in how many seconds; None if nobody has said when."""

    reason: str
    within_s: float | None = None


class Cloud(Protocol):
    def notice(self) -> Notice | None:
        """What the cloud says now. Raises MetadataError."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str


class Service:
    """A metadata service, at an address that only this machine has. It is asked directly, whatever proxy is set."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S):
        self._url, self._timeout_s = url, timeout_s
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        request = urllib.request.Request(self._url + path, headers=dict(headers), method=method)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return Answer(answer.status, answer.read(MOST_BYTES).decode(errors="replace").strip())
        except urllib.error.HTTPError as error:
            return Answer(error.code, "")
        except (OSError, http.client.HTTPException) as error:
            raise MetadataError(f"{self._url} did not answer: {error}") from error


class Aws:
    """Instance metadata of version 2, which asks for a token in each question."""

    def __init__(self, service: Service | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._service, self._now, self._token = service or Service(AWS_URL), now, ""

    def notice(self) -> Notice | None:
        return _first((self._interruption, self._rebalance))

    def _interruption(self) -> Notice | None:
        """As in {"action": "terminate", "time": "2026-11-30T08:22:00Z"}."""
        if (found := self._found("/latest/meta-data/spot/instance-action")) is None:
            return None
        try:
            at = datetime.fromisoformat(found["time"])
            return Notice(f"AWS will {found['action']} this spot instance", max(0.0, (at - self._now()).total_seconds()))
        except (KeyError, TypeError, ValueError) as error:
            raise MetadataError(f"an instance-action that cannot be read: {found!r:.200}") from error

    def _rebalance(self) -> Notice | None:
        if self._found("/latest/meta-data/events/recommendations/rebalance") is None:
            return None
        return Notice("AWS says that this spot instance is at risk")

    def _found(self, path: str) -> Any:
        """What is there, or None. A token that is refused is renewed once."""
        answer = self._ask(path)
        if answer.status == 401:
            self._token = ""
            answer = self._ask(path)
        if answer.status == 404:
            return None
        try:
            return json.loads(_text(path, answer))
        except ValueError as error:
            raise MetadataError(f"{path} answers what is no JSON: {answer.text!r:.200}") from error

    def _ask(self, path: str) -> Answer:
        if not self._token:
            asked = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_S)}
            self._token = _text("/latest/api/token", self._service.ask("/latest/api/token", asked, "PUT"))
        return self._service.ask(path, {"X-aws-ec2-metadata-token": self._token})


class Gcp:
    def __init__(self, service: Service | None = None):
        self._service = service or Service(GCP_URL)

    def notice(self) -> Notice | None:
        return _first((self._preemption, self._maintenance))

    def _preemption(self) -> Notice | None:
        gone = self._said("preempted") == "TRUE"
        return Notice("Google Cloud takes this spot instance back", GCP_NOTICE_S) if gone else None

    def _maintenance(self) -> Notice | None:
        """Google Cloud does not say here when it begins."""
        return (
            Notice("Google Cloud will stop this host for maintenance") if self._said("maintenance-event") == MUST_STOP else None
        )

    def _said(self, name: str) -> str:
        path = f"/computeMetadata/v1/instance/{name}"
        return _text(path, self._service.ask(path, {"Metadata-Flavor": "Google"}))


CLOUDS: Mapping[str, Callable[[Service | None], Cloud]] = {"aws": Aws, "gcp": Gcp}


def watch(cloud: Cloud, leave: Callable[[Notice], bool], sleep: Callable[[float], None] = time.sleep) -> Notice:
    """Ask until there is a notice, and then call `leave` until it returns True. A service that fails is asked again."""
    answers = True
    while True:
        try:
            notice = cloud.notice()
            if not answers:
                log.info("the metadata service answers again")
            answers = True
        except MetadataError as error:
            notice = None
            if answers:
                log.warning("asking again every %g s: %s", POLL_S, error)
            answers = False
        if notice and leave(notice):
            return notice
        sleep(POLL_S)


def _first(sources: Iterable[Callable[[], Notice | None]]) -> Notice | None:
    """The first notice. One source that fails does not hide what another one says."""
    failure: MetadataError | None = None
    for source in sources:
        try:
            if notice := source():
                return notice
        except MetadataError as error:
            failure = failure or error
    if failure:
        raise failure
    return None


def _text(path: str, answer: Answer) -> str:
    if answer.status != 200:
        raise MetadataError(f"{path} answers with the status {answer.status}")
    return answer.text
