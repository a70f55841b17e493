"""Learner -> rollout workers: chunks of weights, a version handshake, and a canary.

In: the learner's merged weights in the object store. Out: every rollout worker holds them, or `WeightSyncError`. The
canary is what makes it sure: one sequence's log-probabilities must agree between learner and sampler, and lie nearer
to the learner's new values than to those before the round. Knows nothing of vLLM or DeepSpeed.
"""

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
    before = rollouts.canary(canary)[0]
    versions = rollouts.load_weights([learner.export()], version)
    if any(found != version for found in versions):
        raise WeightSyncError(
            f"weight version {version} on every rollout worker",
            f"versions {versions}",
            "see the log of the worker that is behind",
        )
    expected = learner.canary(canary.prompt_token_ids, canary.token_ids)
    return max(check_canary(expected, before, found, tolerance) for found in rollouts.canary(canary))


def check_canary(expected: Sequence[float], before: Sequence[float], found: Sequence[float], tolerance: float) -> float:
    """Mean distance of `found` [T] from the learner's `expected` [T]; `before` [T] is the sampler's, prior to the push.

    A worker that went on from stale weights answers as `before`; it is caught even when the round moved the canary by
    less than the tolerance, as long as it moved it by more than the noise between the two engines.
    """
    gap, stale = _distance(expected, found), _distance(expected, before)
    unchanged = _distance(found, before) == 0.0 and stale > 0.0
    if gap > tolerance or (unchanged and stale > tolerance / 4):
        raise WeightSyncError(
            f"the sampler's canary within {tolerance:g} nats a token of the learner's",
            f"a gap of {gap:.4f} (it was {stale:.4f} before the push{', and nothing changed' if unchanged else ''})",
            "the sampler does not compute with the weights it was sent; check versions of vLLM and of the model, or learner.canary_tolerance",
        )
    return gap


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    return float(np.mean(np.abs(np.subtract(a, b))))
