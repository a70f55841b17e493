"""Actors that Ray itself restarts, such as the verifiers, and how they leave a node that is about to go."""

import logging
from collections.abc import Sequence
from typing import Any

import ray

log = logging.getLogger(__name__)


class RestartedByRay:
    """Actors with `max_restarts` and `max_task_retries` of -1: Ray repeats the calls of one that dies on another node."""

    def __init__(self, actors: Sequence[Any]):
        self._actors = tuple(actors)

    def leave(self, nodes: set[str]) -> None:
        """Restart the actors on these nodes elsewhere. Ray places none on a node that drains."""
        for actor in self._actors if nodes else ():
            if (node := node_of(actor)) in nodes:
                log.warning("a worker that Ray restarts moves: its node %s is about to go", node[:8])
                ray.kill(actor, no_restart=False)


def node_of(actor: Any) -> str:
    """The id of the actor's node, or "" while it is on none. Asks Ray's control store, because the actor may be busy."""
    known = ray._private.state.state.actor_table(actor._actor_id.hex())
    return known["Address"]["NodeID"] if known.get("State") == "ALIVE" else ""
