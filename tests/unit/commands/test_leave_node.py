"""Which node a machine is, and what happens to a notice that Ray does not take; draining is tested on a real Ray."""

import pytest

from flame_ray.cli import app
from flame_ray.cluster.notices import Notice
from flame_ray.commands import leave_node as module
from flame_ray.commands.leave_node import NodeToLeave, RayNode, own_node, watch_node
from flame_ray.errors import ConfigError, PlacementError
from tests.unit.cluster.metadata import PREEMPTED, metadata_service

NODES = (RayNode("a", "10.0.0.1", "one"), RayNode("b", "10.0.0.2", "two"))


@pytest.mark.parametrize(
    ("address", "host", "node"), [("10.0.0.2", "other", "b"), ("10.9.9.9", "one", "a"), ("10.0.0.1", "two", "a")]
)
def test_a_node_is_known_by_its_address_and_else_by_its_hosts_name(address, host, node):
    assert own_node(NODES, address, host) == node


@pytest.mark.parametrize("nodes", [(), NODES, (*NODES, RayNode("c", "10.0.0.3", "three"), RayNode("d", "10.0.0.3", "three"))])
def test_a_machine_without_a_node_or_with_several_must_name_one(nodes):
    with pytest.raises(PlacementError, match="--node-id"):
        own_node(nodes, "10.0.0.3", "three")


def test_a_cloud_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(ConfigError, match="one of aws, gcp; found 'azure'"):
        watch_node("azure", NodeToLeave())


def test_a_notice_of_the_cloud_drains_the_node_although_ray_first_refuses(monkeypatch):
    told: list[tuple[Notice, NodeToLeave]] = []

    def leave(notice: Notice, node: NodeToLeave) -> str:
        told.append((notice, node))
        if len(told) == 1:
            raise PlacementError("an answer", "none", "wait")
        return "a"

    monkeypatch.setattr(module, "leave_node", leave)
    monkeypatch.setattr("flame_ray.cluster.notices.POLL_S", 0.01)
    with metadata_service() as service:
        service.says(PREEMPTED, "TRUE")
        watch_node("gcp", NodeToLeave("a"), service.url)
    assert [node for _, node in told] == [NodeToLeave("a")] * 2


def test_the_command_drains_the_node_that_it_names_within_the_seconds_that_it_gives(monkeypatch, capsys):
    told: list[tuple[Notice, NodeToLeave]] = []
    monkeypatch.setattr(module, "leave_node", lambda *given: told.append(given) or "a1b2")
    words = ["leave-node", "--within", "60", "--reason", "a test", "--node-id", "a1b2", "--address", "10.0.0.1:6379"]
    app(words, standalone_mode=False)
    assert told == [(Notice("a test", 60.0), NodeToLeave("a1b2", "10.0.0.1:6379"))]
    assert capsys.readouterr().out == "node a1b2 drains\n"
