"""Whether the nodes of the learner and of the samplers see the folder that the driver writes."""

import os
from dataclasses import dataclass, field
from typing import Any

import pytest

from flame_ray.controller.shared_folder import check_every_node, check_shared, find_unseen
from flame_ray.errors import StorageError
from flame_ray.storage.filesystem import Storage


class Elsewhere:
    """An actor; `leave` takes it to another file system, as a node has one."""

    def __init__(self):
        import flame_ray.controller.shared_folder  # noqa: F401  while it can be found

    def leave(self, folder: str) -> None:
        os.chroot(folder)


@dataclass
class Group:
    actors: list[Any]


@dataclass
class Pools:
    """As much of `RunPools` as the check reads."""

    ranks: list[Any]
    samplers: list[Any] = field(default_factory=list)

    @property
    def learner(self):
        return type("Learner", (), {"group": Group(self.ranks)})

    @property
    def rollouts(self):
        return type("Rollouts", (), {"pool": Group(self.samplers)})


@pytest.fixture(scope="module")
def actors(local_ray, tmp_path_factory) -> list[Any]:
    """One that sees this machine's files, and one that does not."""
    if os.geteuid() != 0:
        pytest.skip("another file system needs root")
    made = [local_ray.remote(Elsewhere).options(num_cpus=0).remote() for _ in range(2)]
    local_ray.get(made[1].leave.remote(str(tmp_path_factory.mktemp("node"))))
    return made


@pytest.fixture
def two_nodes(local_ray, monkeypatch):
    """The cluster has one node more than this machine can start."""
    nodes = local_ray.nodes()
    monkeypatch.setattr(local_ray, "nodes", lambda: [*nodes, *nodes])


@pytest.mark.timeout(120)
def test_a_node_that_sees_the_folder_is_not_named_and_nothing_stays_there(actors, tmp_path):
    assert find_unseen(Storage(tmp_path / "runs/mine"), actors[0], [actors[0]]) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("ranks", "samplers"), [([1], []), ([0, 1], []), ([0], [1])])
def test_a_node_of_the_learner_or_of_samplers_that_does_not_see_it_is_named(actors, two_nodes, tmp_path, ranks, samplers):
    pools = Pools([actors[index] for index in ranks], [actors[index] for index in samplers])
    with pytest.raises(StorageError, match=r"node [\d.]+: No such file or directory at .*run\.root"):
        check_shared(Storage(tmp_path / "mine"), pools.learner, pools.rollouts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
def test_a_url_and_one_node_are_not_asked(actors, two_nodes, tmp_path, monkeypatch):
    check_shared(Storage("memory://bucket/mine"), Pools(actors[1:]).learner)
    monkeypatch.undo()
    check_shared(Storage(tmp_path / "mine"), Pools(actors[1:]).learner)


@pytest.mark.timeout(120)
def test_every_node_that_is_up_is_asked_and_a_folder_that_all_see_is_left_as_it_was(local_ray, two_nodes, tmp_path):
    check_every_node(tmp_path / "store", "--store")
    assert list(tmp_path.iterdir()) == []
