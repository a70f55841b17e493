"""Which actor is on which GPU, in every shape of a run, on a real Ray with GPUs that are only numbers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.controller.workers import ActorClasses, RunPools, Scope, start_workers
from flame_ray.engines.models import ModelRef
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.rewards.factuality.actor import FactualityActor
from tests.integration.gate import PATIENCE_S, wait_for
from tests.integration.learner.test_leaving import drain
from tests.integration.seats import Seat, Sitter

STORE = 80 * 2**20
SITTERS = ActorClasses(*[Sitter] * 5)
EIGHT, FOUR = {"gpus": "eight"}, {"gpus": "four"}


@pytest.fixture(scope="module")
def cluster(no_ray):
    """One node with eight GPUs, and two with four."""
    head = {"num_cpus": 16, "num_gpus": 8, "labels": EIGHT, "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=8, num_gpus=4, labels=FOUR, object_store_memory=STORE)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def job(labels: dict[str, str], **sections: dict) -> Config:
    """Every role on nodes with these labels, unless its section says otherwise."""
    roles = {name: {"cpus": 0.5, "node_labels": labels} for name in ("rollout", "judge", "learner")}
    tree = roles | {"factuality": {"cpus": 0.5}, "cluster": {"start_timeout_s": int(PATIENCE_S)}}
    return parse_config({name: tree.get(name, {}) | sections.get(name, {}) for name in tree | sections}, "here")


def shared(labels: dict[str, str], gpus: int, **learner: object) -> Config:
    """A job that shares so many GPUs."""
    return job(
        labels,
        rollout={"workers": gpus, "gpus": 1, "gpu_memory": 0.6},
        judge={"workers": gpus, "gpus": 1, "gpu_memory": 0.3},
        learner={"workers": gpus, "gpus": 1, "batch_pairs": 8, "micro_batch_pairs": 1, **learner},
        pipeline={"colocated": True},
    )


@contextmanager
def started(config: Config, folder: Path) -> Iterator[RunPools]:
    model = ModelRef("model")
    with Scope(config, SITTERS) as scope:
        yield start_workers(scope, model, model, Checkpoints(folder))


def seats(actors: Sequence) -> list[Seat]:
    return ray.get([actor.seat.remote() for actor in actors], timeout=PATIENCE_S)


def gpus_of(actors: Sequence) -> list[frozenset[tuple[str, str]]]:
    return [seat.gpus for seat in seats(actors)]


@pytest.mark.parametrize(
    ("labels", "gpus", "placement"),
    [(EIGHT, 1, "pack"), (EIGHT, 2, "pack"), (FOUR, 2, "spread")],
    ids=["one", "two on a node", "two on two nodes"],
)
def test_each_shared_gpu_has_one_sampler_one_judge_and_one_rank(cluster, tmp_path, labels, gpus, placement):
    with started(shared(labels, gpus, placement=placement), tmp_path) as workers:
        ranks = seats(workers.learner.group.actors)
        assert [len(each.gpus) for each in ranks] == [1] * gpus
        assert len(frozenset.union(*(each.gpus for each in ranks))) == gpus
        assert len({each.node for each in ranks}) == (gpus if placement == "spread" else 1)
        pools = workers.rollouts.pool, workers.judge
        assert all(gpus_of(pool.actors) == gpus_of(workers.learner.group.actors) for pool in pools)


def test_those_who_replace_a_worker_start_on_its_gpu(cluster, tmp_path):
    with started(shared(EIGHT, 2), tmp_path) as workers:
        pool, ranks = workers.rollouts.pool, workers.learner.group
        before, lost = gpus_of(ranks.actors), set(pool.actors)
        pool.leave(set(ranks.nodes))
        wait_for(lambda: len(set(pool.actors) - lost) == 2)
        workers.learner.restart()
        assert gpus_of(pool.actors) == gpus_of(workers.learner.group.actors) == before


@pytest.mark.long
def test_when_a_node_goes_those_on_its_gpu_move_together(cluster, tmp_path):
    one = {"gpus": "one"}
    nodes = [cluster.add_node(num_cpus=2, num_gpus=1, labels=one, object_store_memory=STORE) for _ in range(2)]
    with started(shared(one, 1), tmp_path) as workers:
        pools = workers.rollouts.pool, workers.judge
        (left,) = workers.learner.group.nodes
        drain(left)
        wait_for(lambda: not any(pool.actors for pool in pools))
        cluster.remove_node(next(node for node in nodes if node.node_id == left), allow_graceful=False)
        wait_for(lambda: all(pool.actors for pool in pools))
        workers.learner.restart()
        (gpu,) = gpus_of(workers.learner.group.actors)
        assert all(gpus_of(pool.actors) == [gpu] for pool in pools)
        assert left not in {node for node, _ in gpu}


def test_eight_gpus_of_a_node_are_each_given_to_one_actor_and_shown_to_no_other(cluster, model, tmp_path):
    two, four = {"workers": 2, "gpus": 1}, {"workers": 4, "gpus": 1, "batch_pairs": 8, "micro_batch_pairs": 1}
    asks = {"cpus": 0.5, "node_labels": EIGHT, "checker": "llm", "checker_model": str(model)}
    config = job(EIGHT, rollout=two, judge=two, learner=four, factuality=asks, verifier={"node_labels": EIGHT})
    with started(config, tmp_path) as workers:
        actors = (*workers.rollouts.pool.actors, *workers.judge.actors, *workers.learner.group.actors)
        given = gpus_of(actors)
        others = seats([*workers.rewards[FactualityActor].actors, ray.get_actor("verifier-0")])
    assert [len(gpus) for gpus in given] == [1] * 8
    assert len(frozenset.union(*given)) == 8
    assert [seat.devices for seat in others] == ["", ""]


def test_an_engine_over_four_gpus_has_all_of_them_on_one_node(cluster, tmp_path):
    rollout = {"workers": 2, "gpus": 4, "tensor_parallel": 4, "node_labels": FOUR}
    with started(job(EIGHT, rollout=rollout, judge={"gpus": 1}, learner={"gpus": 1}), tmp_path) as workers:
        samplers = seats(workers.rollouts.pool.actors)
        others = seats([*workers.judge.actors, *workers.learner.group.actors])
    assert [len(seat.gpus) for seat in samplers] == [4, 4]
    assert samplers[0].node != samplers[1].node
    assert all(not a.gpus & b.gpus for a, b in combinations([*samplers, *others], 2))
