"""Learner -> rollout workers: weights, a version handshake, and a canary.

In: the learner's weights, by whichever way (`Weights`, or a `Sending`). Out: a `Push`, which takes one worker to them or raises
`WeightSyncError`. The canary is what makes it sure: one sequence's log-probabilities must agree between learner and
sampler, and must have moved as the learner's did. Knows nothing of vLLM or DeepSpeed.
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


class Sending(Protocol):
    """Takes a worker to the weights, and says what is left to load there; until `close`, which whoever pushes calls."""

    def __call__(self, worker: Any) -> Weights: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Canary:
    """A sequence, and how likely the learner finds its tokens [T] after training, and before it if that is known."""

    sequence: Continuation
    expected: Logps
    learner_before: Logps | None
    tolerance: float


class Push:
    """One version of the weights on its way; `update_worker` is run for every worker, also for one that joins later.

    `asleep`: workers may be asleep, and the canary's answers of those that were asked before; None: nobody sleeps.
    """

    def __init__(self, weights: Weights | Sending, version: int, canary: Canary, asleep: Mapping[Any, Logps] | None = None):
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
                f"weight version {self.version} on every rollout worker", f"version {found}", "see the log of that worker"
            )
        await self._wake(actor, "kv_cache")  # after the weights, or there would be no room for them (vllm#15254)
        after = await actor.canary.remote(sequence)
        gap = check_canary(_distance(self._canary.expected, after), _distance(before, after), self._learner_moved(), tolerance)
        self.largest_gap = max(self.largest_gap, gap)

    def close(self) -> None:
        """Workers that join from now on are not sent to any more: they load what is stored."""
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


def _distance(a: Logps, b: Logps) -> float:
    """Mean absolute difference; infinite when the two cannot be compared, so that it passes no bound."""
    if len(a) != len(b) or not a:
        return math.inf
    distance = float(np.mean(np.abs(np.subtract(a, b))))
    return distance if math.isfinite(distance) else math.inf
