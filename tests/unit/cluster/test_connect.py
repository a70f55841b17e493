"""The environment that Ray reads at its first import, set before it."""

import http.server
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import ray

from flame_ray.cluster import connect
from flame_ray.cluster.connect import check_address, check_answer, cluster_address, connected, prepare_ray
from flame_ray.config import ClusterConfig
from flame_ray.errors import PlacementError

NAMES = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Each test starts without Ray's variables, and what it sets is gone after it."""
    for name in NAMES:
        monkeypatch.setenv(name, "so that it is restored")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("setting", "variable", "address"),
    [
        ("auto", None, "local"),
        ("auto", "", "local"),
        ("auto", "10.0.0.1:6379", "10.0.0.1:6379"),
        ("local", "10.0.0.1:6379", "local"),
        ("ray://head:10001", None, "ray://head:10001"),
    ],
)
def test_auto_joins_the_cluster_of_ray_address_and_every_other_setting_means_itself(setting, variable, address, monkeypatch):
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    assert cluster_address(ClusterConfig(address=setting)) == address


def test_a_ray_that_the_run_starts_demands_a_token_and_reports_no_usage():
    prepare_ray(ClusterConfig())
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_cluster_that_the_run_joins_decides_about_tokens_itself():
    prepare_ray(ClusterConfig(address="ray://head:10001"))
    assert "RAY_AUTH_MODE" not in os.environ


def test_what_the_user_has_set_is_kept(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    prepare_ray(ClusterConfig())
    assert (os.environ["RAY_AUTH_MODE"], os.environ["RAY_USAGE_STATS_ENABLED"]) == ("disabled", "1")


def test_importing_the_package_the_command_line_and_this_module_imports_no_ray():
    code = (
        "import sys, flame_ray, flame_ray.cli, flame_ray.cluster.connect, flame_ray.round, flame_ray.pairs;"
        "print(sorted({'ray', 'torch', 'vllm', 'deepspeed', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_http_address_takes_jobs_and_the_way_to_submit_one_is_told(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    with pytest.raises(PlacementError, match=r"only takes jobs.*ray job submit --address http://127\.0\.0\.1:8265"):
        check_address(ClusterConfig())
    check_address(ClusterConfig(address="local"))


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts a connection and says nothing; on every interface, as Ray takes this node's address for loopback."""
    with socket.create_server(("", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def web() -> Iterator[int]:
    """A port that answers, and not as Ray does."""
    with http.server.ThreadingHTTPServer(("", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_listens_is_refused_at_once(scheme):
    with pytest.raises(PlacementError, match=r"127\.0\.0\.1:1 \(cluster\.address\).*refused"):
        check_answer(f"{scheme}127.0.0.1:1")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("address", ["no-such-host.invalid:6379", "ray://no-such-host.invalid:10001", "10.0.0.1", "a:b"])
def test_a_name_that_is_not_known_and_an_address_without_a_port_are_refused(address):
    with pytest.raises(PlacementError, match=re.escape(address)):
        check_answer(address)


@pytest.mark.timeout(60)
def test_a_port_that_is_not_rays_is_refused(web, silent):
    with pytest.raises(PlacementError, match=r"no Ray there.*HTTP/2"):
        check_answer(f"127.0.0.1:{web}")
    with pytest.raises(PlacementError, match=r"no answer within 0\.2 s"):
        check_answer(f"127.0.0.1:{silent}", timeout_s=0.2)


@pytest.mark.timeout(60)
def test_a_bad_address_ends_the_block_before_it_begins():
    with pytest.raises(PlacementError, match=r"127\.0\.0\.1:1"), connected(ClusterConfig(address="127.0.0.1:1"), "test"):
        pytest.fail("there is no cluster")


@pytest.mark.parametrize(("address", "is_started"), [("local", True), ("10.0.0.1:6379", False)])
def test_the_dashboard_of_a_ray_that_is_started_is_on_loopback_and_a_cluster_that_is_joined_keeps_its_own(
    address, is_started, monkeypatch
):
    asked: dict = {}

    def init(**options):
        asked.update(options)
        return SimpleNamespace(dashboard_url="127.0.0.1:8265")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(connect, "check_answer", lambda address: None)
    with connected(ClusterConfig(address=address), "test") as dashboard:
        assert dashboard == "127.0.0.1:8265"
    assert asked["address"] == address
    assert asked.get("dashboard_host") == ("127.0.0.1" if is_started else None)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Exception("The current node timed out during startup.\nMore of it."), "Exception: The current node timed out"),
        (RuntimeError(""), "RuntimeError: no reason"),
    ],
)
def test_a_ray_that_does_not_start_here_is_one_message_with_what_to_do(error, told, monkeypatch):
    """Ray raises a plain Exception for a node that does not start, as on a machine that is busy with something else."""

    def init(**options):
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(PlacementError) as caught, connected(ClusterConfig(address="local"), "test"):
        pytest.fail("there is no cluster")
    assert told in str(caught.value) and "cluster.address=local" in str(caught.value)
    assert "More of it" not in str(caught.value) and "session_latest/logs" in str(caught.value)


def test_a_cluster_that_cannot_be_joined_is_named_whatever_ray_raises(monkeypatch):
    def init(**options):
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(connect, "check_answer", lambda address: None)
    with (
        pytest.raises(PlacementError, match=r"10\.0\.0\.1:6379.*timed out"),
        connected(ClusterConfig(address="10.0.0.1:6379"), "t"),
    ):
        pytest.fail("there is no cluster")


def test_ray_finds_the_token_that_is_made_before_it_starts(tmp_path):
    """Ray would write it with the umask: it must find ours."""
    code = (
        "import os; from flame_ray.cluster.connect import prepare_ray; from flame_ray.cluster.token import secure_token;"
        "from flame_ray.config import ClusterConfig; prepare_ray(ClusterConfig(address='local')); secure_token();"
        "from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled as ensure;"
        "ensure(create_token_if_missing=False)"
    )
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"HOME": str(tmp_path)}, check=True, timeout=60)
    assert (tmp_path / ".ray/auth_token").stat().st_mode & 0o777 == 0o600
