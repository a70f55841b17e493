"""What an actor is called, and what it asks for; starting them is tested on a real Ray, in tests/integration."""

import asyncio
import os
import threading

import pytest
from ray.exceptions import RayError

from flame_ray.cluster.capacity import Request, requests
from flame_ray.config import Config, Workers
from flame_ray.config.load import parse_config
from flame_ray.controller import workers
from flame_ray.controller.workers import (
    Scope,
    _engine_options,
    _label,
    _shares_cores,
    actor_options,
    on_its_cores,
    start_workers,
)
from flame_ray.engines.models import ModelRef
from flame_ray.errors import ModelError
from flame_ray.learner.checkpoints import Checkpoints


def test_an_actor_asks_for_what_its_settings_say():
    options = actor_options("rollout-0", Workers(cpus=2, gpus=0.5, threads=3))
    assert (options["name"], options["num_cpus"], options["num_gpus"]) == ("rollout-0", 2, 0.5)
    assert options["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == "3"


def test_an_actor_that_asks_for_no_gpu_sees_none():
    seen = [
        actor_options("judge-0", Workers(gpus=gpus))["runtime_env"]["env_vars"].get("CUDA_VISIBLE_DEVICES") for gpus in (0, 1)
    ]
    assert seen == ["", None]


@pytest.mark.parametrize(("settings", "threads"), [({"cpus": 4}, "4"), ({"cpus": 2.5}, "2"), ({"cpus": 4, "threads": 3}, "3")])
def test_an_actor_computes_with_as_many_threads_as_it_has_cpus(settings, threads):
    role = Workers(**settings)
    assert actor_options("rollout-0", role)["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == threads
    assert on_its_cores(Started, role) is Started


class Started:
    def __init__(self, name: str):
        self.name, self.threads = name, os.environ["OMP_NUM_THREADS"]


def test_an_actor_with_a_part_of_a_cpu_counts_the_cores_of_its_own_node(monkeypatch):
    """The driver may be on a head of two cores, and the samplers on nodes of 64."""
    role = Workers(cpus=0.25)
    monkeypatch.setattr(os, "cpu_count", lambda: 1000)  # the driver's
    assert "OMP_NUM_THREADS" not in actor_options("rollout-0", role)["runtime_env"]["env_vars"]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # by Ray
    started = on_its_cores(Started, role)("rollout-0")
    assert (started.name, started.threads) == ("rollout-0", str(len(os.sched_getaffinity(0))))


@pytest.mark.parametrize(("workers", "shares_cores", "policy"), [(1, False, None), (2, False, "PASSIVE"), (1, True, "PASSIVE")])
def test_threads_that_wait_give_the_cores_to_the_others_where_there_are_any(workers, shares_cores, policy):
    options = actor_options("judge-0", Workers(workers=workers), shares_cores)
    assert options["runtime_env"]["env_vars"].get("OMP_WAIT_POLICY") == policy


@pytest.mark.parametrize(
    ("name", "stream", "shared"),
    [("rollout", False, False), ("rollout", True, True), ("factuality", False, True), ("judge", False, True)],
)
def test_the_rewards_score_at_the_same_time_and_the_sampler_beside_them_if_it_streams(name, stream, shared):
    assert _shares_cores(name, Config.model_validate({"pipeline": {"stream": stream}})) is shared


def test_each_actor_of_a_place_has_a_name_of_its_own():
    assert [_label("rollout-3", life) for life in range(3)] == ["rollout-3", "rollout-3.1", "rollout-3.2"]


@pytest.mark.parametrize(
    ("sections", "receives", "rank"),
    [
        ({"weights": {"backend": "lora"}, "learner": {"lora": {"r": 8}}}, True, 8),
        ({"weights": {"backend": "lora"}, "learner": {"lora": {"r": 8}}}, False, None),
        ({"learner": {"lora": {"r": 8}}}, True, None),
    ],
    ids=["a sampler that is sent adapters", "a judge", "a sampler that is sent whole weights"],
)
def test_only_a_sampler_that_is_sent_adapters_makes_room_for_one(sections, receives, rank):
    config = parse_config(sections, "here")
    options = _engine_options(config, ModelRef("model"), config.rollout, receives_weights=receives)
    assert (options.adapter_rank, options.receives_weights) == (rank, receives)


def test_a_verifier_reads_questions_of_its_own_length():
    config = parse_config({"model": {"max_length": 512}, "verifier": {"max_length": 3000, "gpu_memory": 0.3}}, "here")
    options = _engine_options(config, ModelRef("model"), config.verifier, receives_weights=False)
    assert (options.max_length, options.gpu_memory, options.receives_weights) == (3000, 0.3, False)


def test_a_start_that_fails_leaves_no_thread_behind(tmp_path):
    before = set(threading.enumerate())
    config = parse_config({"factuality": {"checker": "llm", "checker_model": "./nowhere"}}, "here")
    with pytest.raises(ModelError, match=r"factuality\.checker_model"), Scope(config) as scope:
        start_workers(scope, ModelRef("model"), ModelRef("model"), Checkpoints(tmp_path / "checkpoints"))
    assert set(threading.enumerate()) <= before


class Left(Exception):
    """Ends the watch for nodes that go."""


class Leaver:
    def leave(self, nodes: set[str]) -> None:
        raise Left(nodes)


def test_a_ray_that_once_does_not_say_which_nodes_go_is_asked_again(monkeypatch):
    answers = [RayError("no answer"), {"a node"}]

    def draining() -> set[str]:
        answer = answers.pop(0)
        if isinstance(answer, RayError):
            raise answer
        return answer

    monkeypatch.setattr(workers, "draining_nodes", draining)
    monkeypatch.setattr(workers, "DRAIN_POLL_S", 0.0)
    with pytest.raises(Left, match="a node"):
        asyncio.run(workers._leave_draining_nodes((Leaver(),)))  # type: ignore[arg-type]


def test_what_an_actor_asks_for_is_what_the_requests_of_its_job_say():
    labels = {"flame-ray/role": "!learner"}
    config = parse_config({"rollout": {"workers": 2, "cpus": 2, "gpus": 0.5, "node_labels": labels}}, "here")
    options = actor_options("rollout-0", config.rollout)
    first, second = requests(config, only=("rollout",))
    assert first == second == Request("rollout", ({"CPU": 2, "GPU": 0.5},), labels)
    assert (options["num_cpus"], options["num_gpus"], options["label_selector"]) == (2, 0.5, labels)
