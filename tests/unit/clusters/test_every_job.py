"""Every role of every job has nodes that are meant for it, on every cluster of clusters/ and by every command."""

from functools import cache

import pytest

from flame_ray.cluster.capacity import roles, sft_roles
from flame_ray.config import Config
from flame_ray.config.load import load_config
from tests.unit.clusters.launches import CLUSTERS, Plan, cluster, hosts, plan
from tests.unit.clusters.test_launcher import ALL_HOSTS, HOSTS
from tests.unit.test_jobs import JOBS, lines, names

ROLE = "flame-ray/role"
WITH_GPUS = {"learner", "rollout"}  # types of node
ON_PREMISES = hosts("head", {kind: {"resources": has, "labels": {ROLE: kind}} for kind, has in {"head": {}, **HOSTS}.items()})
SLURM = {"one node": (8, 1), "two nodes": (4, 2), "no GPU": (0, 1)}  # GPUs of each, and how many
HERE = ("train-checker", "train-judge")  # they train in the command's own process, and place nothing
PLACED = [path for path in JOBS if lines(path)[0].split()[2] not in HERE]
FACTS = ("factuality", "verifier")

loaded = cache(load_config)
of_each_job = pytest.mark.parametrize("path", **names(PLACED))


def together(command: str, config: Config) -> list[tuple[str, ...]]:
    """The roles that a command has placed at the same time, one group after another."""
    if command == "sft":
        return [(name,) for name in sft_roles(config)]
    return {
        "run": [tuple(roles(config))],
        "evaluate": [("rollout", "judge", *FACTS)],
        "agreement": [FACTS],
        "self-instruct": [("rollout",)],
    }[command]


def plans(path, nodes, running=()) -> list[Plan]:
    config, command = loaded(path), lines(path)[0].split()[2]
    return [plan(config, nodes, running, only) for only in together(command, config)]


def asks_gpu(path) -> dict[str, bool]:
    return {name: section.gpus > 0 for name, section in roles(loaded(path)).items()}


@of_each_job
@pytest.mark.parametrize("name", CLUSTERS)
@pytest.mark.parametrize("running", [(), ("learner",)], ids=["no node yet", "an idle learner's node"])
def test_each_role_finds_nodes_and_one_without_a_gpu_takes_none_that_has_some(name, path, running):
    gpu = asks_gpu(path)
    for found in plans(path, cluster(name), running):
        assert found.homes and not found.unplaceable
        for role, homes in found.homes.items():
            assert set(homes) <= (WITH_GPUS if gpu[role] else {"cpu"}), role


@of_each_job
def test_each_role_finds_hosts_on_premises_and_leaves_the_learners_host_to_those_that_may_have_it(path):
    gpu = asks_gpu(path)
    for found in plans(path, ON_PREMISES, ALL_HOSTS):
        assert found.homes and not found.unplaceable and not found.starts
        assert all("learner" not in homes for role, homes in found.homes.items() if not gpu[role])


@of_each_job
@pytest.mark.parametrize("nodes", SLURM)
def test_each_role_finds_room_on_the_nodes_of_slurm_which_have_no_labels(path, nodes):
    gpus, count = SLURM[nodes]
    if any(asks_gpu(path).values()) and not gpus:
        pytest.skip("asks for GPUs")
    kind = {"resources": {"CPU": 64, "GPU": gpus} if gpus else {"CPU": 64}}
    for found in plans(path, hosts("node", {"node": kind}), ("node",) * (count - 1)):
        assert found.homes and not found.unplaceable and not found.starts
