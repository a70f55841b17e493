"""Whole nodes of a test cluster go, with notice and without: their workers go on where the labels allow it."""

import tempfile
import time

import pytest
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DrainNodeReason

from tests.integration.chaos.harness import ChaosRun, assert_same_run

STORE = 400 * 2**20
FOR_ROLLOUTS = {"num_cpus": 1, "object_store_memory": STORE, "labels": {"holds": "rollouts"}}
NOTICE_S = 120
GENERATES = "ray::RolloutActor.generate"
pytestmark = pytest.mark.long


@pytest.fixture
def cluster(monkeypatch):
    """Its shutdown ends the processes that it started, and no others."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # all nodes compute on the same cores
    with tempfile.TemporaryDirectory(prefix="fr", dir="/tmp", ignore_cleanup_errors=True) as folder:  # short, for sockets
        head = {"num_cpus": 2, "object_store_memory": 2 * STORE, "include_dashboard": False, "temp_dir": folder}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        yield cluster
        cluster.shutdown()


def test_a_node_that_is_told_to_go_and_one_that_dies_take_no_work_with_them(chaos, calm, cluster):
    """Both samplers stand still in the middle of their work: what they hold can only be done elsewhere."""
    drained = cluster.add_node(**FOR_ROLLOUTS)
    chaos.settings = {"cluster.address": cluster.address, "rollout.node_labels": "{holds: rollouts}"}
    chaos.start()
    sampler = chaos.catch(GENERATES, raylet(drained), when=lambda: has_sampled(chaos, 1))
    doomed = cluster.add_node(**FOR_ROLLOUTS)
    tell_to_go(cluster, drained)
    sampler.wait(NOTICE_S / 2)
    assert chaos.reported(f"rollout-0 is lost and is replaced: its node {drained.node_id[:8]} is about to go") == 1

    sampler = chaos.catch(GENERATES, raylet(doomed), when=lambda: has_sampled(chaos, 2))
    cluster.remove_node(doomed, allow_graceful=False)
    sampler.kill()  # it stands still, and would outlive its node
    cluster.add_node(**FOR_ROLLOUTS)
    chaos.wait_for(lambda: chaos.reported("rollout-0 is lost and is replaced") == 2, "a report that the sampler is lost")
    assert chaos.finish() == 0, chaos.printed
    assert_same_run(chaos, calm)


def tell_to_go(cluster: Cluster, node) -> None:
    """What a cloud's spot notice becomes in Ray."""
    deadline_ms = int((time.time() + NOTICE_S) * 1000)
    accepted, why = GcsClient(address=cluster.address).drain_node(
        node.node_id, DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION, "a spot notice", deadline_ms
    )
    assert accepted, why


def raylet(node) -> int:
    return node.all_processes["raylet"][0].process.pid


def has_sampled(chaos: ChaosRun, round: int) -> bool:
    """While the samples of a round are being made, whether some of them are stored already."""
    return f"sample {round}" in chaos.under_way() and any(chaos.folder.glob(f"rounds/{round:04d}/sampled/*.json.gz"))
