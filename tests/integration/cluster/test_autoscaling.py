"""Jobs on a cluster that scales from nothing: a head without CPUs, node types with labels, and Ray's autoscaler v2."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.autoscaling import NodeType, autoscaling_head
from tests.integration.chaos.harness import SESSION_S, assert_same_run
from tests.integration.head import Head, wait_until
from tests.integration.runs import REFERENCE, REPOSITORY, words_of
from tests.integration.submitted import SubmittedRun

ROLE = "flame-ray/role"
TYPES = (
    NodeType("sampler", cpus=2, labels={ROLE: "rollout"}, most=2),
    NodeType("trainer", cpus=2, gpus=2, labels={ROLE: "learner"}),
)
LABELS = {
    "rollout": {ROLE: "rollout"},
    "factuality": {ROLE: "rollout"},
    "judge": {ROLE: "learner"},
    "learner": {ROLE: "learner"},
}
PLACED = {f"{role}.node_labels": json.dumps(labels) for role, labels in LABELS.items()}
LIMIT_S = 40  # one reminder comes before it
HANGS_S = 600  # four drivers load their packages at the same time, perhaps on a busy machine
# An actor for each role, with the options that its real one gets, says on what node it is.
WHERE = """
import json, sys
import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from flame_ray.cluster.capacity import reserve, roles
from flame_ray.config.load import load_config
from flame_ray.controller.workers import actor_options

class Actor:
    def labels(self):
        return ray.get_runtime_context().get_node_labels()

config = load_config("jobs/quickstart.yaml", tuple(sys.argv[1:]))
ray.init()
asked = {name: actor_options(name, role) for name, role in roles(config).items()}
asked["learner"].pop("label_selector")
room = reserve(config.learner, {"CPU": config.learner.cpus}, 300)
asked["learner"]["scheduling_strategy"] = PlacementGroupSchedulingStrategy(room, 0)
actors = {name: ray.remote(Actor).options(**options).remote() for name, options in asked.items()}
print("FOUND", json.dumps({name: ray.get(actor.labels.remote(), timeout=300) for name, actor in actors.items()}))
"""


@dataclass(frozen=True)
class Jobs:
    """Jobs that were submitted, and the folder that they may write to."""

    head: Head
    folder: Path

    def end(self, job: str) -> tuple[dict[str, Any], str]:
        """The job's details in the API once it has ended, and what it printed."""
        return self.head.wait_for_end(job, HANGS_S), self.head.log(job)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Head]:
    with autoscaling_head(tmp_path_factory.mktemp("c"), *TYPES, idle_s=10) as head:
        yield head


@pytest.fixture(scope="module")
def code(tmp_path_factory) -> Path:
    """A user's copy of the repository: what a submitted job needs of it."""
    copy = tmp_path_factory.mktemp("code")
    for folder in ("flame_ray", "jobs"):
        shutil.copytree(REPOSITORY / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "where.py").write_text(WHERE)
    return copy


@pytest.fixture(scope="module")
def jobs(cluster, code, model, tmp_path_factory) -> Jobs:
    """Jobs that ask for nodes at the same time: what one of them lacks must not stop another."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "responses.jsonl").write_text('{"prompt": "Which countries border Peru?", "response": "Peru borders Chile."}\n')
    large = {f"{role}.cpus": "64" for role in ("rollout", "judge", "learner")}  # the other role needs no engine, and has room
    unlabelled = {"factuality.node_labels": json.dumps({ROLE: "nobody"})}
    limit = {"cluster.start_timeout_s": str(LIMIT_S)}
    words = {
        "too-large": run_words(folder, large | limit),
        "score": score_words(folder, "scores.jsonl"),
        "unlabelled": [*score_words(folder, "never.jsonl"), *words_of(unlabelled | limit)],
        "where": ["where.py", *(f"{key}={value}" for key, value in PLACED.items())],
    }
    for job, each in words.items():
        cluster.submit(job, code, each)
    return Jobs(cluster, folder)


def run_words(folder: Path, settings: dict[str, str]) -> list[str]:
    never = {"run.root": str(folder / "runs"), "run.id": "never"}
    return ["-m", "flame_ray", "run", "jobs/quickstart.yaml", *words_of(REFERENCE | never | settings)]


def score_words(folder: Path, out: str) -> list[str]:
    return f"-m flame_ray score --responses {folder}/responses.jsonl --out {folder}/{out}".split()


def test_a_job_for_which_the_cluster_scales_from_nothing_is_not_refused(jobs):
    details, printed = jobs.end("score")
    assert details["status"] == "SUCCEEDED", printed
    assert len((jobs.folder / "scores.jsonl").read_text().splitlines()) == 1


def test_roles_land_on_the_node_types_that_their_labels_name(jobs):
    details, printed = jobs.end("where")
    assert details["status"] == "SUCCEEDED", printed
    (found,) = [json.loads(line.removeprefix("FOUND ")) for line in printed.splitlines() if line.startswith("FOUND")]
    assert {role: {ROLE: labels[ROLE]} for role, labels in found.items()} == LABELS


@pytest.mark.parametrize("job", ["too-large", "unlabelled"])
def test_a_job_that_no_node_type_fits_fails_with_the_code_of_placement_within_its_limit(jobs, job):
    details, printed = jobs.end(job)
    assert (details["status"], details["driver_exit_code"]) == ("FAILED", 5), printed
    assert error_of(printed).startswith("expected ") and "To fix: " in error_of(printed)
    assert "no node can be added now for" in error_of(printed)
    assert re.search(r"waiting for .*: \d\d of \d\d s; autoscaler: coming: .*; no node can be added now for", printed), printed
    assert not (jobs.folder / "runs").exists(), "a run that never began must leave no folder"


@pytest.mark.long
def test_a_run_whose_samplers_fit_no_node_fails_although_its_other_workers_have_started(cluster, code, model, tmp_path):
    unlabelled = {"rollout.node_labels": json.dumps({ROLE: "nobody"}), "cluster.start_timeout_s": "120"}
    run = SubmittedRun(tmp_path, "half", PLACED | unlabelled, head=cluster, working_dir=code)
    run.start()
    assert run.finish() == "FAILED" and cluster.job(run.submission)["driver_exit_code"] == 5, run.printed
    assert "rollout" in error_of(run.printed)
    assert not run.folder.exists(), "a run that never began must leave no folder"


@pytest.mark.long
@pytest.mark.timeout(1200)  # with the undisturbed run that it must equal
def test_a_job_is_stopped_its_code_edited_and_resumed_and_ends_as_if_nothing_had_happened(cluster, code, tiny_run, tmp_path):
    run = SubmittedRun(tmp_path, "edited", PLACED, {"RAY_JOB_STOP_WAIT_TIME_S": "60"}, head=cluster, working_dir=code)
    run.start()
    run.wait_for_file("rounds/0001/pairs.json.gz")
    assert places_of_actors(cluster) == LABELS
    run.stop()
    assert run.finish() == "STOPPED" and "--resume edited" in run.printed, run.printed

    wait_until(lambda: len(alive(cluster)) == 1, SESSION_S, lambda: f"nodes are left: {alive(cluster)}")
    with (code / "flame_ray" / "commands" / "run.py").open("a") as file:
        file.write('\nprint("the edited code runs")\n')
    run.start(resume=True)
    assert run.finish() == "SUCCEEDED", run.printed
    assert "the edited code runs" in run.printed
    assert_same_run(run, tiny_run)


def error_of(printed: str) -> str:
    """The message of the command. Ray may print its own lines after it."""
    messages = [line.removeprefix("flame-ray: ") for line in printed.splitlines() if line.startswith("flame-ray: ")]
    assert messages, printed
    return messages[-1]


def places_of_actors(cluster: Head) -> dict[str, dict[str, str]]:
    """On nodes of what label the actors of each role are."""
    labels = {node["node_id"]: node["labels"][ROLE] for node in alive(cluster) if ROLE in node["labels"]}
    actors = [actor for actor in cluster.listed("actors") if actor["state"] == "ALIVE" and actor["node_id"] in labels]
    return {actor["name"].rpartition("-")[0]: {ROLE: labels[actor["node_id"]]} for actor in actors}


def alive(cluster: Head) -> list[dict[str, Any]]:
    return [node for node in cluster.listed("nodes") if node["state"] == "ALIVE"]
