"""Brings the learner's weights to the rollout workers, and checks that each worker really computes with them.

The check is a canary: some sequences, whose log-probabilities must agree between learner and worker, and must have moved as
the learner's did.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from flame_ray.cluster.failures import is_lost_object
from flame_ray.engines.base import Continuation, Weights
from flame_ray.errors import WeightSyncError

CanaryLogps = Sequence[Sequence[float]]  # the log-probability of each token of each sequence
LEAST_SLOPE, LARGEST_SLOPE = 0.9, 1.1
SURE = 3.0  # standard errors by which a slope must miss its bounds, for the run to stop
CLEAR = 4.0  # times the gap that the learner's movement must exceed, for a plain regression over tokens to be good enough
MOVED = 5.0  # standard deviations of noise that the learner's movement must exceed, for a slope to be taken


@runtime_checkable
class Sender(Protocol):
    """Sends the weights to all workers together."""

    def send(self, workers: Sequence[Any]) -> None: ...

    async def __call__(self, worker: Any) -> Weights:
        """What is left to load in this worker; sends the weights, once every worker has come, if that is not done yet."""
        ...


@dataclass(frozen=True, slots=True)
class Canary:
    """Sequences, with the learner's answer after training, and what it answered with earlier versions, as far as known."""

    sequences: tuple[Continuation, ...]
    expected: CanaryLogps
    earlier: Mapping[int, CanaryLogps]
    tolerance: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well a worker agrees with the learner, over the `tokens` of the canary.

    `gap`: mean distance now, in nats a token. `moved`, `learner_moved`: mean distance from before, None if that is unknown.
    `slope`: the worker's movement for each nat of the learner's, with its standard `error`.

    >>> print(Agreement(1825, 0.0391, 0.571, 0.563, 0.998, 0.012))
    moved as the learner did (slope 1.00 +- 0.02 over 1825 tokens), gap 0.0391 nats a token
    """

    tokens: int
    gap: float
    moved: float | None = None
    learner_moved: float | None = None
    slope: float = math.nan
    error: float = math.inf

    def __str__(self) -> str:
        return f"{self._movement()}, gap {self.gap:.4f} nats a token"

    def _movement(self) -> str:
        if self.learner_moved is None:
            return f"movement not compared over {self.tokens} tokens (the learner's log-probabilities of before are not known)"
        if math.isinf(self.error):
            return f"the learner moved too little to compare ({self.learner_moved:.4f} nats a token over {self.tokens} tokens)"
        return f"moved as the learner did (slope {self.slope:.2f} +- {2 * self.error:.2f} over {self.tokens} tokens)"


class Push:
    """One version of the weights. `update_worker` runs for every worker, also for those that join later.

    `asleep`: None if no worker ever sleeps; otherwise the canary's answers that workers gave before they slept. `stored`: the
    same weights on storage, which workers load that join after `release`; None: they load `weights` too.
    """

    def __init__(
        self,
        weights: Weights | Sender,
        version: int,
        canary: Canary,
        asleep: Mapping[Any, CanaryLogps] | None = None,
        stored: Weights | None = None,
    ):
        self.version = version
        self.agreement: Agreement | None = None  # the worst of the workers'
        self.weights = weights
        self._canary, self._asleep, self._stored = canary, asleep, stored

    async def update_worker(self, actor: Any) -> None:
        """Load the weights into one worker and check it. Raises WeightSyncError.

        If those in memory are gone, because the learner's node is, the worker's successor loads the stored ones.
        """
        version_before, before = await actor.ready.remote(), await self._answer_before(actor)
        await self._wake(actor, "weights")
        weights = await self.weights(actor) if isinstance(self.weights, Sender) else self.weights
        try:
            found = await actor.load_weights.remote(weights, self.version)
        except Exception as error:
            if is_lost_object(error):
                self.release()
            raise
        if found != self.version:
            raise WeightSyncError(
                f"weight version {self.version} on every rollout worker", f"version {found}", "see that worker's log"
            )
        await self._wake(actor, "kv_cache")  # before the weights, it would take their room (vllm#15254)
        after = await actor.canary.remote(self._canary.sequences)
        learner_before = self._canary.earlier.get(version_before)
        agreement = check_canary(self._canary.expected, learner_before, after, before, self._canary.tolerance)
        self.agreement = agreement if self.agreement is None else _worse(self.agreement, agreement)

    def release(self) -> None:
        """All workers that serve have the weights: let go of those in memory, which are as large as the model."""
        self.weights = self._stored or self.weights

    async def _answer_before(self, actor: Any) -> CanaryLogps:
        known = (self._asleep or {}).get(actor)
        return await actor.canary.remote(self._canary.sequences) if known is None else known

    async def _wake(self, actor: Any, part: str) -> None:
        if self._asleep is not None:
            await actor.wake.remote(part)


def check_canary(
    expected: CanaryLogps, learner_before: CanaryLogps | None, after: CanaryLogps, before: CanaryLogps, tolerance: float
) -> Agreement:
    """Compare a worker's answers after and before a push with the learner's. Raises WeightSyncError if they do not agree.

    - The answers after may differ by `tolerance` in nats a token on average: two engines differ by some noise.
    - The movements must have a slope of 0.9 to 1.1. Each is of an engine against itself, so most of that noise is not in them.
      What noise may explain passes: a slope within three standard errors, or any slope if the learner hardly moved.
    - A worker that moved less than a quarter as far as the learner stood still, if the learner moved by more than a tenth of
      the tolerance.
    """
    agreement = Agreement(sum(map(len, expected)), _distance(after, expected))
    if learner_before is not None:
        moved, learner_moved = _distance(after, before), _distance(expected, learner_before)
        agreement = replace(agreement, moved=moved, learner_moved=learner_moved)
        if math.isfinite(moved + learner_moved):
            moves = _moves(expected, learner_before), _moves(after, before)
            slope, error = movement_slope(*moves)
            if math.isinf(error) and learner_moved > CLEAR * agreement.gap:
                slope, error = plain_slope(*moves)
            agreement = replace(agreement, slope=slope, error=error)
    if not agreement.gap <= tolerance or _stood_still(agreement, tolerance) or _is_off(agreement):
        raise WeightSyncError(
            f"the sampler's log-probabilities within {tolerance:g} nats a token of the learner's, and moved as far "
            f"(a slope of {LEAST_SLOPE} to {LARGEST_SLOPE})",
            _found(agreement),
            "the sampler does not compute with the weights that it was sent: check the versions of vLLM and of the model, "
            "or raise learner.canary_tolerance",
        )
    return agreement


def movement_slope(learner_S: Sequence[np.ndarray], worker_S: Sequence[np.ndarray]) -> tuple[float, float]:
    """How far the worker moved for each nat of the learner's movement, with the standard error of that.

    An ordinary regression over tokens would find too low a slope, because the learner's movement has noise too. So the movement
    of a token is compared with the learner's at the *other* tokens of its sequence, whose noise is their own (an instrument):

        slope = sum_s w_s / sum_s l_s,  w_s = mean over t of worker_t sum_(u != t) learner_u,  l_s the same of learner_t

    Sequences are taken for independent; tokens need not be. Without any movement l_s is 0 on average, and has a variance of
    about 2 (sum_t learner_t^2)^2 / (T - 1)^2: (nan, inf) if sum_s l_s does not stand out from that.
    """
    longer = [(mine, other) for mine, other in zip(learner_S, worker_S, strict=True) if len(mine) > 1]
    worker = np.array([(mine.sum() * other.sum() - mine @ other) / (len(mine) - 1) for mine, other in longer])
    learner = np.array([(mine.sum() ** 2 - mine @ mine) / (len(mine) - 1) for mine, _ in longer])
    noise = math.sqrt(sum(2 * (mine @ mine / (len(mine) - 1)) ** 2 for mine, _ in longer))
    moved = float(learner.sum())
    if len(longer) < 2 or not moved > MOVED * noise:
        return math.nan, math.inf
    slope = float(worker.sum()) / moved
    return slope, math.sqrt(np.square(worker - slope * learner).sum()) / moved


def plain_slope(learner_S: Sequence[np.ndarray], worker_S: Sequence[np.ndarray]) -> tuple[float, float]:
    """The same by regression over all tokens, for tokens of a sequence that move both ways, which cancel in `movement_slope`.

    The learner's noise lowers it by the share of noise in the variance of its movement: at most 1 / CLEAR^2, or 6 %.

    >>> plain_slope([np.array([1.0, -1.0]), np.array([-2.0, 2.0])], [np.array([1.0, -1.0]), np.array([-2.0, 2.0])])
    (1.0, 0.0)
    """
    longer = [(mine, other) for mine, other in zip(learner_S, worker_S, strict=True) if len(mine) > 1]
    if len(longer) < 2:
        return math.nan, math.inf
    worker = np.array([mine @ other for mine, other in longer])
    learner = np.array([mine @ mine for mine, _ in longer])
    slope = float(worker.sum() / learner.sum())
    return slope, float(math.sqrt(np.square(worker - slope * learner).sum()) / learner.sum())


def _is_off(agreement: Agreement) -> bool:
    slope, margin = agreement.slope, SURE * agreement.error
    return slope + margin < LEAST_SLOPE or slope - margin > LARGEST_SLOPE


def _stood_still(agreement: Agreement, tolerance: float) -> bool:
    if agreement.moved is None or agreement.learner_moved is None:
        return False
    return agreement.learner_moved > tolerance / 10 and agreement.moved < agreement.learner_moved / 4


def _found(agreement: Agreement) -> str:
    gap = f"a gap of {agreement.gap:.4f} over {agreement.tokens} tokens"
    if agreement.moved is None:
        return gap
    return (
        f"{gap}; the round moved the learner's by {agreement.learner_moved:.4f}, the sampler's by {agreement.moved:.4f}, "
        f"with a slope of {agreement.slope:.2f} (standard error {agreement.error:.2f})"
    )


def _worse(one: Agreement, other: Agreement) -> Agreement:
    """The one whose slope is farther from 1, with the larger gap of both."""
    worst = max((one, other), key=lambda each: abs(each.slope - 1) if math.isfinite(each.slope) else -1.0)
    return replace(worst, gap=max(one.gap, other.gap))


def _moves(now: CanaryLogps, before: CanaryLogps) -> list[np.ndarray]:
    return [np.subtract(mine, other) for mine, other in zip(now, before, strict=True)]


def _distance(a: CanaryLogps, b: CanaryLogps) -> float:
    """Mean absolute difference of tokens; infinite if the two cannot be compared, so that no tolerance accepts it."""
    if [len(one) for one in a] != [len(one) for one in b] or not any(map(len, a)):
        return math.inf
    distance = float(np.mean(np.abs(np.concatenate(_moves(a, b)))))
    return distance if math.isfinite(distance) else math.inf
