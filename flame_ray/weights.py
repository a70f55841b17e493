"""Learner -> rollout workers: chunks of weights, a version handshake, and a canary.

In: the learner's merged weights in the object store. Out: every rollout worker holds them, or `WeightSyncError`. The
canary is what makes it sure: one sequence's log-probabilities must agree between learner and sampler, and lie nearer
to the learner's new values than to those before the round. Knows nothing of vLLM or DeepSpeed.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from flame_ray.engines.base import Continuation
from flame_ray.errors import WeightSyncError


class Learner(Protocol):
    def export(self) -> Any: ...
    def canary(self, prompt_ids: Sequence[int], response_ids: Sequence[int]) -> Sequence[float]: ...


class Rollouts(Protocol):
    def load_weights(self, chunks: list[Any], version: int) -> list[int]: ...
    def canary(self, continuation: Continuation) -> list[Sequence[float]]: ...


def sync_weights(learner: Learner, rollouts: Rollouts, version: int, canary: Continuation, tolerance: float) -> float:
    """Send the learner's weights to every rollout worker as `version`; return the largest canary gap, in nats a token.

    Raises WeightSyncError if a worker reports another version or fails the canary.
    """
    before = rollouts.canary(canary)
    versions = rollouts.load_weights([learner.export()], version)
    if any(found != version for found in versions):
        raise WeightSyncError(
            f"weight version {version} on every rollout worker",
            f"versions {versions}",
            "see the log of the worker that is behind",
        )
    expected = learner.canary(canary.prompt_token_ids, canary.token_ids)
    after = rollouts.canary(canary)
    return max(check_canary(expected, old, new, tolerance) for old, new in zip(before, after, strict=True))


def check_canary(expected: Sequence[float], before: Sequence[float], found: Sequence[float], tolerance: float) -> float:
    """Mean distance of `found` [T] from the learner's `expected` [T]; `before` [T] is the same worker's, prior to the push.

    A worker that went on from stale weights still answers as `before`. It is caught even when the round moved the canary
    by less than the tolerance, as long as it moved it by more than the noise between two engines (a quarter of that).
    """
    gap, stale, moved = _distance(expected, found), _distance(expected, before), _distance(found, before)
    is_stale = stale > tolerance / 4 and moved < gap
    if not gap <= tolerance or is_stale:
        raise WeightSyncError(
            f"the sampler's canary within {tolerance:g} nats a token of the learner's, and off the old weights",
            f"a gap of {gap:.4f}, after {stale:.4f} before the push; the sampler's own answer moved by {moved:.4f}",
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
