"""A job on a head node of the test's own: what the job API shows of a run that loses a sampler and a checker."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.integration.chaos.harness import assert_same_round
from tests.integration.head import Head, free_ports, started_head
from tests.integration.submitted import SubmittedRun

PLANTED = "hf_" + "Q" * 34  # of nobody; the run needs nothing of the hub
GAUGES = ("ray_flame_round", "ray_flame_stage", "ray_flame_factual_precision_ratio")


@dataclass
class WatchedRun(SubmittedRun):
    """What the head showed of it while it ran."""

    seen_actors: set[str] = field(default_factory=set)
    seen_gauges: str = ""

    def actors(self) -> set[str]:
        return {actor["name"] for actor in self.head.listed("actors")}

    def gauges(self) -> str | None:
        """What Prometheus would scrape, once it has all of the run's gauges."""
        text = self.head.get(self.head.metrics) or ""
        return text if all(name in text for name in GAUGES) else None


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Iterator[Head]:
    options = ("--num-cpus=2", "--object-store-memory=1000000000")
    with started_head(tmp_path_factory.mktemp("h"), *options, gcs=free_ports(1)[0]) as made:
        yield made


@pytest.fixture(scope="module")
def submitted(head, model, tmp_path_factory) -> WatchedRun:
    """The README's command on that head, for one round, with one sampler, whose samples are those of two, and one rank.

    A sampler and a checker are killed while they work. Whole runs that lose workers: chaos/test_workers.py.
    """
    # Verdicts on disk would leave no work to be hit.
    settings = {"run.rounds": "1", "run.save_merged": "false", "learner.workers": "1", "factuality.cache": "false"}
    run = WatchedRun(tmp_path_factory.mktemp("submitted"), "submitted", settings, {"HF_TOKEN": PLANTED}, head=head)
    run.start()
    run.kill("ray::RolloutActor.generate", when=lambda: "sample 1" in run.under_way())
    run.kill("ray::FactualityActor.score", when=lambda: "score 1" in run.under_way())
    run.seen_actors = run.wait_for(run.actors, "actors in the dashboard", pause_s=0.5)
    run.seen_gauges = run.wait_for(run.gauges, "gauges of the run", pause_s=0.5)
    run.status = run.finish()
    return run


def test_a_submitted_job_ends_well_and_leaves_its_folder(submitted):
    assert submitted.status == "SUCCEEDED", submitted.printed
    assert submitted.summary["status"] == "complete" and len(submitted.summary["rounds"]) == 2


def test_a_round_that_loses_a_sampler_and_a_checker_trains_what_an_undisturbed_one_does(submitted, tiny_run):
    assert len(submitted.faults) == 2
    assert_same_round(submitted, tiny_run, 1)


def test_a_person_can_tell_the_actors_in_the_dashboard(submitted):
    assert {"rollout-0", "factuality-0", "judge-0", "learner-0"} <= submitted.seen_actors


def test_the_gauges_are_in_rays_prometheus_endpoint(submitted):
    assert 'run="submitted"' in submitted.seen_gauges


def test_the_token_that_a_job_carries_is_in_no_log_of_it_and_in_no_file_of_the_run(submitted):
    assert PLANTED not in submitted.printed
    files = [path for path in submitted.folder.rglob("*") if path.is_file() and path.suffix != ".safetensors"]
    assert len(files) > 10 and [path.name for path in files if PLANTED.encode() in path.read_bytes()] == []


def test_the_head_refuses_a_caller_without_the_token(head):
    with pytest.raises(OSError, match="401"):
        urllib.request.urlopen(f"{head.dashboard}/api/jobs/", timeout=10)


JOIN = """
from flame_ray.cluster.connect import connected
from flame_ray.config import ClusterConfig
from flame_ray.errors import PlacementError
try:
    with connected(ClusterConfig(), "a-driver"):
        print("joined")
except PlacementError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("token", "told"), [("0123456789abcdef" * 4, "joined"), ("fedcba9876543210" * 4, "expected a Ray cluster")]
)
def test_a_driver_joins_the_head_with_its_token_and_is_refused_with_another(head, tmp_path, token, told):
    (tmp_path / "token").write_text(token)
    environment = head.environment | {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"), "RAY_ADDRESS": f"127.0.0.1:{head.gcs}"}
    done = subprocess.run([sys.executable, "-c", JOIN], env=environment, capture_output=True, text=True, timeout=100)
    assert done.stdout.startswith(told), done.stdout + done.stderr
