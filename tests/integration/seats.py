"""Doubles of a run's actors that say where Ray put them and which GPUs they see. Imported in each actor, so it stays small."""

import os
from dataclasses import dataclass

import ray


@dataclass(frozen=True)
class Seat:
    """`devices`: what CUDA may see in the actor; None: every GPU of the node."""

    node: str
    devices: str | None

    @property
    def gpus(self) -> frozenset[tuple[str, str]]:
        """Each GPU as its node's id and its number there."""
        return frozenset((self.node, device) for device in (self.devices or "").split(",") if device)


class Sitter:
    """Answers the calls by which every role's actors are started, and does nothing else."""

    def __init__(self, *given: object):
        pass

    def seat(self) -> Seat:
        return Seat(ray.get_runtime_context().get_node_id(), os.environ.get("CUDA_VISIBLE_DEVICES"))

    def ready(self) -> int:
        return 0

    def about(self) -> None:
        """A verifier is asked for its model."""

    def find_model(self) -> None:
        """A rank of the learner is told to find its model, to connect, and to leave its GPU."""

    def address(self) -> str:
        return "127.0.0.1:1"

    def connect(self, *given: object) -> None:
        pass

    def offload(self) -> None:
        pass
