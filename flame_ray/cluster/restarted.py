"""Actors that Ray itself restarts, such as the verifiers, and how they leave a node that is about to go."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many actors serve, how often one died, and how often one was started again, after a death or on another node."""

    serving: int
    deaths: int
    restarts: int


class RestartedByRay:
    """Actors with `max_restarts` and `max_task_retries` of -1: Ray repeats the calls of one that dies on another node."""

    def __init__(self, actors: Sequence[Any]):
        self._actors = tuple(actors)
        self._moves = self._deaths = 0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._actors)

    def leave(self, nodes: set[str]) -> None:
        """Restart the actors on these nodes elsewhere. Ray places none on a node that drains."""
        for actor in self._actors if nodes else ():
            if (node := node_of(actor)) in nodes:
                log.warning("a worker that Ray restarts moves: its node %s is about to go", node[:8])
                self._moves += 1
                ray.kill(actor, no_restart=False)

    def standing(self) -> Standing:
        """Asks Ray's control store, which may take a moment. The counts never fall."""
        known = [table_of(actor) for actor in self._actors]
        restarts = sum(int(each.get("NumRestarts", 0)) for each in known)
        self._deaths = max(self._deaths, restarts - self._moves)  # Ray counts a move some time after it was asked for
        return Standing(sum(each.get("State") == "ALIVE" for each in known), self._deaths, restarts)


def node_of(actor: Any) -> str:
    """The id of the actor's node, or "" while it is on none. Asks Ray's control store, because the actor may be busy."""
    known = table_of(actor)
    return known["Address"]["NodeID"] if known.get("State") == "ALIVE" else ""


def table_of(actor: Any) -> Mapping[str, Any]:
    """What Ray's control store knows of an actor; nothing before it knows it."""
    return ray._private.state.state.actor_table(actor._actor_id.hex())
