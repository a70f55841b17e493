"""A whole node of a test cluster dies: its workers go on elsewhere, on a node with the labels that they ask for."""

import pytest
from ray.cluster_utils import Cluster

from tests.integration.chaos.harness import assert_same_run

STORE = 200 * 2**20
pytestmark = pytest.mark.long


@pytest.fixture
def cluster():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 2 * STORE})
    yield cluster
    cluster.shutdown()


def test_a_node_that_dies_takes_no_work_with_it(chaos, calm, cluster):
    for_rollouts = {"num_cpus": 1, "object_store_memory": STORE, "labels": {"holds": "rollouts"}}
    doomed = cluster.add_node(**for_rollouts)
    chaos.settings = {"cluster.address": cluster.address, "rollout.node_labels": "{holds: rollouts}"}
    chaos.start()
    chaos.wait_for_file("rounds/0001/sampled/*.json.gz")
    cluster.remove_node(doomed, allow_graceful=False)
    cluster.add_node(**for_rollouts)
    assert chaos.finish() == 0, chaos.printed
    assert "rollout-0 is gone and is replaced" in chaos.printed
    assert_same_run(chaos, calm)
