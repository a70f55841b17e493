"""Brings the learner's weights to the rollout workers, and checks that each worker really computes with them.

The check is a canary: one sequence, whose log-probabilities must agree between learner and worker, and must have moved as
the learner's did.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from flame_ray.engines.base import Continuation, Weights
from flame_ray.errors import WeightSyncError

Logps = Sequence[float]


class Sender(Protocol):
    """Sends the weights to a worker, and returns what is left to load there. `close` ends it."""

    def __call__(self, worker: Any) -> Weights: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Canary:
    """A sequence, with the learner's log-probabilities of its tokens [T] after training, and before it if they are known."""

    sequence: Continuation
    expected: Logps
    learner_before: Logps | None
    tolerance: float


class Push:
    """One version of the weights. `update_worker` runs for every worker, also for those that join later.

    `asleep`: None if no worker ever sleeps; otherwise the canary's log-probabilities that workers gave before they slept.
    """

    def __init__(self, weights: Weights | Sender, version: int, canary: Canary, asleep: Mapping[Any, Logps] | None = None):
        self.version = version
        self.largest_gap = 0.0
        self.weights = weights
        self._canary, self._asleep = canary, asleep

    async def update_worker(self, actor: Any) -> None:
        """Load the weights into one worker and check it. Raises WeightSyncError."""
        sequence, tolerance = self._canary.sequence, self._canary.tolerance
        before = await self._answer_before(actor)
        await self._wake(actor, "weights")
        weights = await asyncio.to_thread(self.weights, actor) if callable(self.weights) else self.weights
        found = await actor.load_weights.remote(weights, self.version)
        if found != self.version:
            raise WeightSyncError(
                f"weight version {self.version} on every rollout worker", f"version {found}", "see that worker's log"
            )
        await self._wake(actor, "kv_cache")  # before the weights, it would take their room (vllm#15254)
        after = await actor.canary.remote(sequence)
        gap = check_canary(_distance(self._canary.expected, after), _distance(before, after), self._learner_moved(), tolerance)
        self.largest_gap = max(self.largest_gap, gap)

    def close(self) -> None:
        """Stop sending: workers that join from now on load the weights from storage."""
        if callable(self.weights):
            self.weights.close()

    async def _answer_before(self, actor: Any) -> Logps:
        known = (self._asleep or {}).get(actor)
        return await actor.canary.remote(self._canary.sequence) if known is None else known

    async def _wake(self, actor: Any, part: str) -> None:
        if self._asleep is not None:
            await actor.wake.remote(part)

    def _learner_moved(self) -> float:
        before = self._canary.learner_before
        return 0.0 if before is None else _distance(self._canary.expected, before)


def check_canary(gap: float, moved: float, learner_moved: float, tolerance: float) -> float:
    """Return the gap, or raise WeightSyncError if it is above the tolerance or the worker stood still. In nats a token.

    A worker stood still if it moved less than a quarter as far as the learner, and the learner moved by more than a tenth of
    the tolerance. This catches stale weights after a round that changed little. Both movements are of an engine against
    itself, so the noise between two engines does not matter.
    """
    is_stale = learner_moved > tolerance / 10 and moved < learner_moved / 4
    if not gap <= tolerance or is_stale:
        raise WeightSyncError(
            f"the sampler's log-probabilities within {tolerance:g} nats a token of the learner's, and moved as far",
            f"a gap of {gap:.4f}; the round moved the learner's by {learner_moved:.4f}, the sampler's by {moved:.4f}",
            "the sampler does not compute with the weights that it was sent: check the versions of vLLM and of the model, "
            "or raise learner.canary_tolerance",
        )
    return gap


def _distance(a: Logps, b: Logps) -> float:
    """Mean absolute difference; infinite if the two cannot be compared, so that no tolerance accepts it."""
    if len(a) != len(b) or not a:
        return math.inf
    distance = float(np.mean(np.abs(np.subtract(a, b))))
    return distance if math.isfinite(distance) else math.inf
