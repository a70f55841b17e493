"""Nodes of a real Ray that are told to go, by hand or by a cloud's notice: their workers move, and nothing is lost."""

import socket
import time

import pytest
import ray
from ray.cluster_utils import Cluster

from flame_ray.cluster.capacity import draining_nodes
from flame_ray.cluster.event_loop import EventLoop
from flame_ray.cluster.notices import GCP_NOTICE_S, Notice
from flame_ray.cluster.pool import Limits, WorkerPool
from flame_ray.cluster.restarted import RestartedByRay, node_of
from flame_ray.commands.leave_node import NodeToLeave, leave_node, watch_node
from flame_ray.errors import PlacementError
from tests.integration.gate import PATIENCE_S, Gate, wait_for
from tests.unit.cluster.metadata import PREEMPTED, metadata_service

pytestmark = pytest.mark.long  # Ray gives up a node that takes 30 s to start, as one may beside the tests with engines
STORE = 80 * 2**20
GOES = Notice("a test says so", 600.0)


class Worker:
    """Says on which node it does an item; a gate holds it up."""

    def ready(self) -> None:
        pass

    def where(self, items):
        for position, gate in enumerate(items):
            yield position, self.held_at(gate)

    def held_at(self, gate: Gate | None) -> str:
        if gate:
            gate()
        return ray.get_runtime_context().get_node_id()


@pytest.fixture(scope="module")
def cluster(no_ray):
    """A head that has no room for a worker."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def add_node(cluster):
    """Adds nodes with room for one worker each, which end with the test."""
    added = []

    def add() -> str:
        added.append(cluster.add_node(num_cpus=1, object_store_memory=STORE))
        return added[-1].node_id

    yield add
    for node in added:
        cluster.remove_node(node, allow_graceful=True)
        wait_for(lambda node=node: not alive(node.node_id))


@pytest.fixture
def pool(cluster):
    event_loop = EventLoop()
    made = WorkerPool("test", lambda slot, life: ray.remote(num_cpus=1)(Worker).remote(), Limits(1, 1, 8), event_loop)
    yield made
    made.close()
    event_loop.close()


def draining(node: str) -> bool:
    return node in draining_nodes()


def alive(node: str) -> bool:
    return any(each["NodeID"] == node and each["Alive"] for each in ray.nodes())


def test_a_worker_hands_back_what_it_has_when_its_node_drains_and_another_node_does_it(pool, add_node, gate):
    doomed = add_node()
    pool.wait_ready()
    held, later = pool.submit("where", gate), pool.submit("where", None)
    gate.wait_until_reached()
    left = add_node()
    assert leave_node(GOES, NodeToLeave(doomed, ray.get_runtime_context().gcs_address)) == doomed
    wait_for(lambda: draining(doomed))
    pool.leave(draining_nodes())
    gate.open()
    assert [held.result(PATIENCE_S), later.result(PATIENCE_S)] == [left, left]
    assert (pool.moves, pool.deaths) == (1, 0)


def test_no_worker_starts_on_a_node_that_drains(pool, add_node):
    doomed = add_node()
    pool.wait_ready()
    leave_node(GOES, NodeToLeave(doomed, ray.get_runtime_context().gcs_address))
    wait_for(lambda: draining(doomed))
    pool.leave(draining_nodes())
    wait_for(lambda: pool.moves)
    asked = pool.submit("where", None)
    left = add_node()
    assert asked.result(PATIENCE_S) == left


def test_an_actor_that_ray_restarts_moves_with_the_call_that_it_is_in(cluster, add_node, gate):
    doomed = add_node()
    actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(Worker).remote()
    try:
        answer = actor.held_at.remote(gate)
        gate.wait_until_reached()
        left = add_node()
        leave_node(GOES, NodeToLeave(doomed, ray.get_runtime_context().gcs_address))
        actors = RestartedByRay([actor])
        actors.leave({left})
        assert node_of(actor) == doomed, "another node is about to go"
        actors.leave({doomed})
        wait_for(lambda: node_of(actor) != doomed)
        gate.open()
        assert ray.get(answer, timeout=PATIENCE_S) == left
        assert node_of(actor) == left
    finally:
        ray.kill(actor)


def test_a_notice_of_the_cloud_drains_the_node_that_it_is_for(add_node):
    other, doomed = add_node(), add_node()
    with metadata_service() as cloud:
        cloud.says(PREEMPTED, "TRUE")
        before_ms = time.time() * 1000
        watch_node("gcp", NodeToLeave(doomed, ray.get_runtime_context().gcs_address), cloud.url)
    wait_for(lambda: draining(doomed) or not alive(doomed))  # Ray ends an idle node that drains
    assert alive(other) and not draining(other)
    deadlines_ms = ray._private.state.state.get_draining_nodes().get(doomed, before_ms + GCP_NOTICE_S * 1000)
    assert deadlines_ms >= before_ms + GCP_NOTICE_S * 1000


def test_a_node_is_found_by_the_machine_that_it_is_on(add_node):
    """The head, which is on the same machine, is no candidate; nor is the machine known when two nodes are on it."""
    address = ray.get_runtime_context().gcs_address
    node = add_node()
    assert leave_node(GOES, NodeToLeave(address=address)) == node
    wait_for(lambda: not alive(node))
    add_node(), add_node()
    with pytest.raises(PlacementError, match=rf"one worker node of Ray on this machine \({socket.gethostname()}"):
        leave_node(GOES, NodeToLeave(address=address))
