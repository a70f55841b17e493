"""Learner -> rollout workers: chunks of weights, a version handshake, and a canary.

In: the learner's merged weights in the object store. Out: every rollout worker holds them, or `WeightSyncError`. The
canary is what makes it sure: one sequence's log-probabilities must agree between learner and sampler, and must have
moved as the learner's did. Knows nothing of vLLM or DeepSpeed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from flame_ray.engines.base import Continuation
from flame_ray.errors import WeightSyncError


class Learner(Protocol):
    def export(self) -> Any: ...
    def canary(self, prompt_ids: Sequence[int], response_ids: Sequence[int]) -> Sequence[float]: ...


class Rollouts(Protocol):
    def load_weights(self, chunks: list[Any], version: int) -> list[int]: ...
    def canary(self, continuation: Continuation) -> Sequence[Sequence[float]]: ...


@dataclass(frozen=True, slots=True)
class Canary:
    """A sequence, and how likely learner and samplers find its tokens before a round trains; `before` is [workers][T]."""

    sequence: Continuation
    learner_before: Sequence[float]
    before: Sequence[Sequence[float]]


def take_canary(learner: Learner, rollouts: Rollouts, sequence: Continuation) -> Canary:
    """Ask both sides before training, so that a sampler which keeps these answers afterwards is known to be stale."""
    return Canary(sequence, learner.canary(sequence.prompt_token_ids, sequence.token_ids), rollouts.canary(sequence))


def sync_weights(learner: Learner, rollouts: Rollouts, version: int, canary: Canary, tolerance: float) -> float:
    """Send the learner's weights to every rollout worker as `version`; return the largest canary gap, in nats a token.

    Raises WeightSyncError if a worker reports another version or fails the canary.
    """
    versions = rollouts.load_weights([learner.export()], version)
    if any(found != version for found in versions):
        raise WeightSyncError(
            f"weight version {version} on every rollout worker",
            f"versions {versions}",
            "see the log of the worker that is behind",
        )
    expected = learner.canary(canary.sequence.prompt_token_ids, canary.sequence.token_ids)
    learner_moved = _distance(expected, canary.learner_before)
    after = rollouts.canary(canary.sequence)
    return max(
        check_canary(_distance(expected, new), _distance(old, new), learner_moved, tolerance)
        for old, new in zip(canary.before, after, strict=True)
    )


def check_canary(gap: float, moved: float, learner_moved: float, tolerance: float) -> float:
    """Refuse a worker that is `gap` nats a token from the learner, or that stood still while the learner moved.

    The second catches stale weights after a round too gentle for the tolerance: the learner's answer moved by more than
    a tenth of it, the worker's by less than a quarter of that. Noise between two engines does not enter, since each is
    compared with itself. Returns the gap.
    """
    is_stale = learner_moved > tolerance / 10 and moved < learner_moved / 4
    if not gap <= tolerance or is_stale:
        raise WeightSyncError(
            f"the sampler's canary within {tolerance:g} nats a token of the learner's, and moved as it did",
            f"a gap of {gap:.4f}; the round moved the learner's answer by {learner_moved:.4f}, the sampler's by {moved:.4f}",
            "it does not compute with the weights it was sent: check the versions of vLLM and of the model, "
            "or raise learner.canary_tolerance",
        )
    return gap


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Mean absolute difference; infinite when the two cannot be compared, so that it passes no bound."""
    if len(a) != len(b) or not a:
        return math.inf
    distance = float(np.mean(np.abs(np.subtract(a, b))))
    return distance if math.isfinite(distance) else math.inf
