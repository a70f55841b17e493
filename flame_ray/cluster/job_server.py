"""The job server of a cluster's head: what was submitted to it, a job's log, and what its nodes have. By Ray's own client."""

import logging
import os
import re
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from flame_ray.cluster.connect import ANSWER_S, check_answer
from flame_ray.cluster.streams import start_thread
from flame_ray.errors import ConfigError, PlacementError, StorageError
from flame_ray.shown import without_secrets

VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")  # in Ray's own order
EXAMPLE = "http://10.0.0.1:8265"
STOP_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"  # Ray kills a job that has not ended so many seconds after its SIGTERM; 3 by default
ENDS = ("SUCCEEDED", "FAILED", "STOPPED")
GROUP = "ray.io/node-group"  # the label of a node that a cluster launcher or KubeRay has started
MOST_NODES = 10_000
CONNECT_S, LIMIT_S = 30.0, 120.0  # for the first answer, and for each later one; a package may take longer to arrive
Answer = TypeVar("Answer")


class JobClient(Protocol):
    """The part of Ray's JobSubmissionClient that is used here."""

    def submit_job(
        self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, Any], metadata: dict[str, str]
    ) -> str: ...

    def list_jobs(self) -> Sequence[Any]: ...

    def get_job_logs(self, job_id: str) -> str: ...

    def tail_job_logs(self, job_id: str) -> Any: ...

    def stop_job(self, job_id: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Submission:
    """One submitted job. `exit_code`: None while it runs, and after a stop. `started`: a Unix time in ms."""

    id: str
    status: str
    exit_code: int | None
    started: int
    message: str
    metadata: Mapping[str, str]

    @property
    def has_ended(self) -> bool:
        return self.status in ENDS


@dataclass(frozen=True, slots=True)
class Order:
    """What is submitted. `environment`: variables of the job and its actors; who has Ray's token can read them."""

    submission: str
    entrypoint: str
    working_dir: str
    environment: Mapping[str, str] = field(repr=False)
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Nodes:
    """What each node of a cluster has, by Ray's names. `may_grow`: a launcher started them, or none has a CPU yet."""

    resources: tuple[Mapping[str, float], ...]
    may_grow: bool


class JobServer:
    """Raises PlacementError, with the address, when the job server refuses, or does not answer within `limit_s`."""

    def __init__(self, client: JobClient, address: str, limit_s: float = LIMIT_S):
        self.client, self.address, self._limit_s = client, address, limit_s

    def submit(self, order: Order) -> None:
        with asking(self.address):
            self.client.submit_job(
                entrypoint=order.entrypoint,
                submission_id=order.submission,
                runtime_env={"working_dir": order.working_dir, "env_vars": dict(order.environment)},
                metadata=dict(order.metadata),
            )

    def submissions(self, run: str, recorded: Collection[str] = (), folder: str | None = None) -> list[Submission]:
        """The jobs that were a run, the newest last. `recorded`: their ids by the run's own record. `folder`: the run's, whose
        id a run under another root may have too; None where it is not known.

        A job whose metadata names its run was that one alone: the job `a-2` is run `a` resumed, or a run of that id.
        """
        found = (each for each in self._jobs() if _was(each, run, recorded, folder))
        return sorted(found, key=lambda each: each.started)

    def ids(self) -> set[str]:
        """Of all jobs that the server knows: it takes none of them again."""
        return {each.id for each in self._jobs()}

    def look(self, submission: str) -> Submission:
        """Raises StorageError for a job that the head does not know any more."""
        found = next((each for each in self._jobs() if each.id == submission), None)
        if found is None:
            fix = "resume the run as a new job: flame-ray submit JOB --resume RUN"
            gone = "none: a head that was started again has forgotten its jobs, which ended with it"
            raise StorageError(f"the job {submission} at {self.address}", gone, fix)
        return found

    def log(self, submission: str) -> str:
        return self._answer(self.client.get_job_logs, submission)

    def stop(self, submission: str) -> None:
        """Asks for the end of a job; Ray then sends SIGTERM to its processes."""
        self._answer(self.client.stop_job, submission)

    @property
    def ray_version(self) -> str:
        """The head's, which Ray's client asks for when it connects, and has no public call for."""
        return getattr(self.client, "_server_ray_version", None) or "unknown"

    def nodes(self) -> Nodes:
        from ray.util.state import list_nodes

        ask = partial(list_nodes, address=self.address, detail=True, limit=MOST_NODES, raise_on_missing_output=False)
        found = self._answer(ask)
        return nodes_of([(each.resources_total or {}, each.labels or {}) for each in found if each.state == "ALIVE"])

    def _jobs(self) -> list[Submission]:
        return [_submission(each) for each in self._answer(self.client.list_jobs) if each.submission_id]

    def _answer(self, ask: Callable[..., Answer], *words: str) -> Answer:
        with asking(self.address):
            return within(self._limit_s, ask, *words)


def within(limit_s: float, ask: Callable[..., Answer], *words: Any) -> Answer:
    """The answer. Ray's client itself waits for ever, as where a tunnel is up and nobody at its end."""
    asked = start_thread(ask, *words)
    if asked not in wait([asked], limit_s).done:
        raise TimeoutError(f"no answer within {limit_s:g} s")
    return asked.result()


def nodes_of(found: Sequence[tuple[Mapping[str, float], Mapping[str, str]]]) -> Nodes:
    """Of the resources and labels of each node."""
    resources = tuple(each for each, _ in found)
    return Nodes(resources, any(GROUP in labels for _, labels in found) or not any(each.get("CPU") for each in resources))


def address_given(option: str | None) -> str | None:
    """The address of a job server, by the option or by Ray's own variables."""
    return option or next((os.environ[name] for name in VARIABLES if os.environ.get(name)), None)


def connect(option: str | None) -> JobServer:
    """Raises ConfigError without an address, and PlacementError where no job server answers."""
    if (address := address_given(option)) is None:
        fix = f"give the address of the dashboard of the cluster's head, such as --address {EXAMPLE}"
        raise ConfigError("the address of a cluster", f"no --address, and no {' or '.join(VARIABLES)}", fix)
    _check_form(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    _check_open(address)
    os.environ["RAY_API_SERVER_ADDRESS"] = address  # Ray takes it, or RAY_ADDRESS, in place of the address that it is given
    with asking(address):
        from ray.job_submission import JobSubmissionClient

        for noisy in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        client = within(CONNECT_S, JobSubmissionClient, address)
    return JobServer(client, address)


def _check_form(address: str) -> None:
    """Raises ConfigError for what can be no address of Ray's: neither a URL with a host, nor a host with a port, nor `auto`."""
    if not re.fullmatch(r"[A-Za-z][\w+.-]*://[^\s/?#]\S*|[^\s/]*[^\s:/]:\d+/?|auto", address):
        fix = f"correct --address, {' or '.join(VARIABLES)}: it is that of the dashboard, such as {EXAMPLE}"
        raise ConfigError("the address of a cluster, a URL or a host with a port", repr(address), fix)


def _check_open(address: str) -> None:
    """Ray itself has no limit for an answer. Raises PlacementError unless something listens at the address."""
    url = urlsplit(address)
    try:
        if url.scheme in ("http", "https"):
            port = url.port or (443 if url.scheme == "https" else 80)
            socket.create_connection((url.hostname or "", port), timeout=ANSWER_S).close()
        elif not url.scheme or "://" not in address:
            check_answer(address)
    except (OSError, ValueError, PlacementError) as error:
        raise _unanswered(address, error.found if isinstance(error, PlacementError) else str(error)) from error


@contextmanager
def asking(address: str) -> Iterator[None]:
    """Raises PlacementError for every way in which Ray's client says that it got no answer."""
    from ray.exceptions import AuthenticationError, RayError
    from ray.util.state.exception import RayStateApiException

    try:
        yield
    except AuthenticationError as error:
        found = "no token, or another one" if "denied" not in str(error) else "another token"
        fix = "export RAY_AUTH_MODE=token, and put the cluster's token into ~/.ray/auth_token (mode 0600)"
        raise PlacementError(f"a token that the head at {address} accepts", found, fix) from error
    except (OSError, RuntimeError, ValueError, KeyError, RayError, RayStateApiException) as error:  # requests raises OSErrors
        raise _unanswered(address, _first_line(error)) from error


def _unanswered(address: str, found: str) -> PlacementError:
    fix = f"start it, or correct --address: it is that of the dashboard, such as {EXAMPLE}"
    return PlacementError(f"the job server of a Ray cluster at {address}", found, fix)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"


def _submission(job: Any) -> Submission:
    """Of Ray's JobDetails."""
    return Submission(
        id=job.submission_id,
        status=str(getattr(job.status, "value", job.status)),
        exit_code=job.driver_exit_code,
        started=job.start_time or 0,
        message=(job.message or "").strip().partition("\n")[0],
        metadata=job.metadata or {},
    )


def _was(job: Submission, run: str, recorded: Collection[str], folder: str | None) -> bool:
    """Whether a job was a run. One that `ray job submit` sent has no such metadata."""
    if "run_id" not in job.metadata:
        return job.id == run or job.id in recorded
    told = job.metadata.get("run_folder")
    is_here = job.id in recorded or None in (folder, told) or same_place(str(folder), str(told))
    return job.metadata["run_id"] == run and is_here


def same_place(folder: str, other: str) -> bool:
    """Whether two paths or URLs lead to one folder, seen from here. Passwords do not count, as metadata has none.

    >>> same_place("/runs/../runs/mine/", "file:///runs/mine"), same_place("s3://a/mine", "s3://b/mine")
    (True, False)
    """
    return _place(folder) == _place(other)


def _place(folder: str) -> str:
    plain = without_secrets(folder).removeprefix("file://").rstrip("/")
    return plain if "://" in plain else os.path.realpath(os.path.expanduser(plain))


def newest(run: str, server: JobServer, recorded: Collection[str] = (), folder: str | None = None) -> Submission:
    """The last job that was a run. Raises StorageError if the head knows none."""
    if found := server.submissions(run, recorded, folder):
        return found[-1]
    fix = "correct the run's id or --address; a head that was started again has forgotten its jobs"
    raise StorageError(f"a submitted job of run {run}", f"none at {server.address}", fix)
