"""What a job server is asked, where it is, and what is said when it does not answer."""

import socket
import threading

import pytest
import requests
from ray.exceptions import AuthenticationError

from flame_ray.cluster import job_server
from flame_ray.cluster.job_server import (
    VARIABLES,
    JobServer,
    Order,
    address_given,
    asking,
    connect,
    newest,
    nodes_of,
    within,
)
from flame_ray.errors import ConfigError, PlacementError, StorageError
from tests.doubles import FakeJob, FakeJobClient

AT = "http://head:8265"


@pytest.fixture(autouse=True)
def no_address(monkeypatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")


def test_the_option_counts_before_the_variables_and_these_in_rays_order(monkeypatch):
    assert address_given(None) is None
    monkeypatch.setenv("RAY_ADDRESS", "b")
    assert address_given(None) == "b"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "a")
    assert address_given(None) == "a" and address_given("c") == "c"


def test_without_an_address_the_message_says_how_to_give_one():
    with pytest.raises(ConfigError, match=r"no --address, and no RAY_API_SERVER_ADDRESS or RAY_ADDRESS.*--address http://"):
        connect(None)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "https://127.0.0.1:1", "127.0.0.1:1", "http://127.0.0.1:99999"])
def test_an_address_where_nothing_listens_is_refused_with_what_it_should_be(address):
    with pytest.raises(PlacementError, match=f"the job server of a Ray cluster at {address}.*such as http://10"):
        connect(address)


def test_an_answer_that_never_comes_ends_the_wait_and_an_error_comes_through():
    def fail():
        raise ConnectionError("no")

    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        within(0.05, threading.Event().wait)
    with pytest.raises(ConnectionError, match="no"):
        within(5, fail)
    assert within(5, lambda: 7) == 7


def test_a_head_that_takes_a_call_and_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(job_server, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PlacementError, match=f"at {address}; found TimeoutError: no answer within"):
            connect(address)


@pytest.mark.parametrize("call", ["submissions", "look", "log", "stop"])
def test_a_head_that_falls_silent_later_is_given_up_too(call):
    class Silent(FakeJobClient):
        def list_jobs(self):
            threading.Event().wait()

        get_job_logs = stop_job = lambda self, job_id: threading.Event().wait()

    with pytest.raises(PlacementError, match="no answer within"):
        getattr(JobServer(Silent(), AT, limit_s=0.05), call)("mine")


def test_a_job_that_a_new_head_does_not_know_is_told_apart_from_a_head_that_is_away():
    with pytest.raises(StorageError, match=f"the job mine at {AT}; found none: a head that was started again.*--resume"):
        JobServer(FakeJobClient(FakeJob("other")), AT).look("mine")


@pytest.mark.parametrize(
    "address", ["notaurl", "a/b/c", "http://", "://head:8265", "10.0.0.1", "http://my head:8265", "head:port"]
)
def test_what_can_be_no_address_is_refused_as_that_and_not_as_a_cluster_that_is_away(address):
    with pytest.raises(ConfigError, match=r"the address of a cluster, a URL or a host with a port; found .*correct --address"):
        connect(address)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AuthenticationError("Authentication required"), "a token that the head at .*RAY_AUTH_MODE=token"),
        (requests.exceptions.ReadTimeout("slow"), "the job server of a Ray cluster.*ReadTimeout: slow"),
        (RuntimeError("Request failed with status code 500: a\nb"), r"status code 500: a\. To fix"),
        (KeyError("ray_version"), "KeyError"),
    ],
)
def test_each_way_in_which_rays_client_fails_is_one_message(error, said):
    with pytest.raises(PlacementError, match=said), asking(AT):
        raise error


def test_an_order_is_sent_with_its_folder_its_variables_and_its_metadata():
    client = FakeJobClient()
    JobServer(client, AT).submit(Order("mine", "python -m flame_ray", "/here", {"A": "1"}, {"run_id": "mine"}))
    assert client.sent == [
        {
            "submission_id": "mine",
            "entrypoint": "python -m flame_ray",
            "runtime_env": {"working_dir": "/here", "env_vars": {"A": "1"}},
            "metadata": {"run_id": "mine"},
        }
    ]


def test_the_jobs_of_a_run_are_found_by_their_metadata_their_id_or_the_runs_record_the_newest_last():
    jobs = [
        FakeJob("mine-2", start_time=3, metadata={"run_id": "mine"}),
        FakeJob("mine", start_time=2),
        FakeJob("raysubmit_1", start_time=1),
        FakeJob("mine-not", metadata={"run_id": "mine-not"}),
        FakeJob(None, start_time=4, metadata={"run_id": "mine"}),
    ]
    server = JobServer(FakeJobClient(*jobs), AT)
    assert [each.id for each in server.submissions("mine", ["raysubmit_1"])] == ["raysubmit_1", "mine", "mine-2"]
    assert newest("mine", server).id == "mine-2"
    with pytest.raises(StorageError, match=f"a submitted job of run other; found none at {AT}"):
        newest("other", server)


def test_a_job_of_another_run_is_not_taken_for_the_run_that_its_id_looks_like():
    server = JobServer(FakeJobClient(FakeJob("mine-2", metadata={"run_id": "mine"})), AT)
    assert not server.submissions("mine-2") and not server.submissions("other", ["mine-2"])
    assert server.ids() == {"mine-2"}


def test_a_run_of_the_same_id_under_another_root_is_another_run():
    here, there = ({"run_id": "mine", "run_folder": f"{root}/mine"} for root in ("/here", "s3://me:***@b"))
    jobs = [
        FakeJob("a", metadata=here),
        FakeJob("b", metadata=there),
        FakeJob("c", metadata={"run_id": "mine"}),
        FakeJob("mine"),
    ]
    server = JobServer(FakeJobClient(*jobs), AT)

    def found(folder, recorded=()):
        return [each.id for each in server.submissions("mine", recorded, folder)]

    assert found(None) == ["a", "b", "c", "mine"]
    assert found("/here/../here/mine/") == found("file:///here/mine") == ["a", "c", "mine"]
    assert found("s3://me:hunter2@b/mine") == ["b", "c", "mine"]
    assert found("/seen/elsewhere/mine", ["b"]) == ["b", "c", "mine"]
    assert newest("mine", server, folder="/here/mine").id in found("/here/mine")


def test_nodes_may_come_if_a_launcher_started_some_or_if_none_has_a_cpu():
    assert not nodes_of([({"CPU": 2.0}, {}), ({"CPU": 2.0}, {"a": "b"})]).may_grow
    assert nodes_of([({"CPU": 2.0}, {"ray.io/node-group": "head"})]).may_grow
    assert nodes_of([({"memory": 2.0}, {})]).may_grow
