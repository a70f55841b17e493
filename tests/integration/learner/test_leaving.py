"""A learner that is told to leave: its nodes are about to go, or its process is, and nothing is placed yet."""

import signal
import threading
import time

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DrainNodeReason
from ray.util.placement_group import placement_group_table

from flame_ray.cluster.capacity import draining_nodes
from flame_ray.cluster.interrupt import interruptible, signals_recorded
from flame_ray.config import LearnerConfig
from flame_ray.engines.models import reference
from flame_ray.errors import Interrupted
from flame_ray.learner import actor
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.learner.durable import DurableLearner
from flame_ray.learner.group import LearnerGroup, Timeouts
from tests.integration.gate import PATIENCE_S, wait_for

STORE = 80 * 2**20
NOTICE_MS = 600_000  # a node that Ray would end only long after the test
SETTINGS = {"workers": 1, "zero_stage": 1}


@pytest.fixture(scope="module")
def cluster(no_ray):
    """Several nodes, one of which can be told to go."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": STORE})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def drain(node_id: str) -> None:
    gcs = ray._private.worker.global_worker.gcs_client
    accepted, why = gcs.drain_node(
        node_id, DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION, "spot", int(time.time() * 1000) + NOTICE_MS
    )
    assert accepted, why


@pytest.fixture
def signalled_when():
    """Sends SIGTERM to this process as soon as a condition holds, inside a block that takes note of it."""

    def signal_when(condition) -> None:
        wait_for(condition)
        signal.raise_signal(signal.SIGTERM)

    with interruptible("start it again"), signals_recorded():
        yield lambda condition: threading.Thread(target=signal_when, args=(condition,)).start()


@pytest.mark.long
def test_a_learner_on_a_node_that_drains_ends_its_round_elsewhere_bit_by_bit(start, make_examples, weights, cluster, tmp_path):
    examples = make_examples(9)
    calm = start(**SETTINGS)
    report, expected = calm.train(examples, round=1), weights(calm)
    calm.stop()

    doomed = cluster.add_node(num_cpus=1, resources={"learner": 2}, object_store_memory=STORE, labels={"pool": "learner"})

    def place(state, life):
        return start(resume_from=state, name=f"moves-{life}", node_labels={"pool": "learner"}, **SETTINGS)

    learner = DurableLearner(place, Checkpoints(tmp_path))
    assert learner.group.nodes == {doomed.node_id}

    def step(done, total):
        if done == total - 2:
            cluster.add_node(num_cpus=1, object_store_memory=STORE, labels={"pool": "learner"})
            drain(doomed.node_id)
            learner.leave(draining_nodes())

    assert learner.train(examples, 1, step) == report
    assert learner.restarts == 1
    assert doomed.node_id not in learner.group.nodes
    found = weights(learner.group)
    assert all(value.equal(expected[name]) for name, value in found.items())


def test_a_learner_that_waits_for_room_hears_that_its_process_is_to_stop(local_ray, model_path, signalled_when):
    config = LearnerConfig(workers=2, cpus=100, batch_pairs=2, micro_batch_pairs=1)
    known = set(placement_group_table())
    signalled_when(lambda: set(placement_group_table()) - known)
    with pytest.raises(Interrupted):
        LearnerGroup.start(reference(model_path), config, seed=0, timeouts=Timeouts(start=PATIENCE_S))


def test_a_learner_whose_ranks_are_connecting_hears_it_too_and_leaves_no_rank(local_ray, model_path, signalled_when, gate):
    class Held(actor.LearnerActor):
        def address(self):
            gate()

    config = LearnerConfig(batch_pairs=2, micro_batch_pairs=1, cpus=0.1)
    signalled_when(gate.is_reached)
    with pytest.raises(Interrupted):
        waits = Timeouts(start=PATIENCE_S)
        LearnerGroup.start(reference(model_path), config, seed=0, options={"name": "held"}, timeouts=waits, actor=Held)
    with pytest.raises(ValueError, match="held-0"):
        ray.get_actor("held-0")
