"""The handshake and the canary, with workers that lie, lag, round and break."""

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest
from ray.exceptions import ActorDiedError, ObjectLostError

from flame_ray.engines.base import Chunks, Continuation, StoredModel, Weights
from flame_ray.errors import WeightSyncError
from flame_ray.weights import Agreement, Canary, Push, check_canary, movement_slope
from tests.doubles import Remote

SEQUENCES = tuple(Continuation((1, 2), tuple(range(k, k + 40))) for k in range(24))
TOLERANCE = 0.1
ENGINE_NOISE = 0.02  # sd a token between two engines in bfloat16, or between one's answers under two versions


def drawn(seed: int, scale: float = 1.0) -> list[np.ndarray]:
    """Numbers for each token of the canary."""
    numbers = np.random.default_rng(seed)
    return [scale * numbers.standard_normal(40) for _ in SEQUENCES]


def plus(one, other, times: float = 1.0) -> list[np.ndarray]:
    return [a + times * b for a, b in zip(one, other, strict=True)]


OLD = [-2.0 + values for values in drawn(0)]


def step(size: float) -> list[np.ndarray]:
    """As DPO moves a policy: chosen and rejected sides apart, each token by its own amount."""
    return [size * (1 if k % 2 else -1) * (0.5 + 0.5 * values**2) for k, values in enumerate(drawn(1))]


NEW = plus(OLD, step(0.5))


class FakeWorker:
    """A sampler whose log-probabilities are its weights and its engine's noise, which differs from version to version.

    `takes`: what it makes of the weights that it is sent. `offset`: what its engine always adds.
    """

    def __init__(self, takes=lambda sent: sent, reports=lambda version: version, noise: float = 0.0, offset: float = 0.0):
        self.version, self.weights = 2, OLD
        self.takes, self.reports, self.noise, self.offset = takes, reports, noise, offset
        self.calls: list[str] = []

    @property
    def ready(self) -> Remote:
        return Remote(lambda: self.version)

    @property
    def load_weights(self) -> Remote:
        return Remote(self._load_weights)

    @property
    def canary(self) -> Remote:
        return Remote(self._canary)

    def _load_weights(self, weights: Weights, version: int) -> int:
        self.calls.append("load")
        (sent,) = weights.references
        self.weights = self.takes(sent)
        return self.reports(version)

    def _canary(self, continuations):
        assert continuations == SEQUENCES
        self.calls.append("canary")
        noise = drawn(200 + len(self.calls), self.noise)
        return [tuple(row) for row in plus([row + self.offset for row in self.weights], noise)]


def sync(*workers: FakeWorker, weights=NEW, earlier=None, tolerance: float = TOLERANCE) -> Agreement:
    """A round that trained the learner from version 2 to `weights`."""
    earlier = {2: OLD} if earlier is None else earlier
    push = Push(Chunks((weights,)), 3, Canary(SEQUENCES, weights, earlier, tolerance))
    for worker in workers:
        asyncio.run(push.update_worker(worker))
    assert push.agreement is not None
    return push.agreement


def test_workers_that_load_the_weights_pass_with_a_slope_of_one_and_no_gap():
    found = sync(FakeWorker(), FakeWorker())
    assert (found.tokens, found.gap, found.slope) == (24 * 40, 0.0, pytest.approx(1.0))
    assert str(found) == "moved as the learner did (slope 1.00 +- 0.00 over 960 tokens), gap 0.0000 nats a token"


@pytest.mark.parametrize("stored", [StoredModel(Path("merged")), None])
def test_once_all_have_the_weights_the_push_lets_go_of_them_if_they_are_stored(stored):
    push = Push(sent := Chunks((NEW,)), 3, Canary(SEQUENCES, NEW, {}, TOLERANCE), stored=stored)
    assert push.weights is sent
    push.release()
    assert push.weights is (stored or sent)


class Orphan(FakeWorker):
    """A sampler that finds the learner's chunks gone, as they lay on a node that died."""

    def __init__(self, error: Exception):
        super().__init__()
        self._error = error

    def _load_weights(self, weights: Weights, version: int) -> int:
        if isinstance(weights, Chunks):
            raise self._error
        self.weights = NEW
        return version


@pytest.mark.parametrize(
    ("error", "stored", "loads"),
    [
        (ObjectLostError("00", None, ""), StoredModel(Path("merged")), True),
        (ObjectLostError("00", None, ""), None, False),
        (ActorDiedError(), StoredModel(Path("merged")), False),
    ],
    ids=["the chunks are lost", "and are not stored", "the worker is lost"],
)
def test_after_chunks_are_lost_with_the_learners_node_the_next_worker_loads_the_stored_weights(error, stored, loads):
    push = Push(Chunks((NEW,)), 3, Canary(SEQUENCES, NEW, {2: OLD}, TOLERANCE), stored=stored)
    with pytest.raises(type(error)):
        asyncio.run(push.update_worker(Orphan(error)))
    successor = Orphan(error)
    if loads:
        asyncio.run(push.update_worker(successor))
    assert (push.weights is stored, successor.weights is NEW) == (loads, loads)


def test_the_worst_of_the_workers_is_told():
    near = FakeWorker(takes=lambda sent: plus(sent, step(-0.02)))
    far = FakeWorker(offset=0.05)
    for order in ((near, far), (far, near)):
        found = sync(FakeWorker(), *order)
        assert (found.slope, found.gap) == (pytest.approx(0.96), pytest.approx(0.05))
        for worker in order:
            worker.weights = OLD


def test_a_worker_answers_the_canary_before_and_after_it_loads_the_weights():
    worker = FakeWorker()
    sync(worker)
    assert worker.calls == ["canary", "load", "canary"]
    assert worker.weights is NEW


def test_a_worker_that_reports_another_version_is_refused_with_both_versions_named():
    with pytest.raises(WeightSyncError, match=r"version 3 on every rollout worker; found version 2"):
        sync(FakeWorker(), FakeWorker(reports=lambda version: version - 1))


# The movement


@pytest.mark.parametrize("size", [0.5, 0.05, 0.02])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(("noise", "offset"), [(0.0, 0.0), (0.0, 0.02), (0.001, -0.02)])
def test_a_worker_that_claims_the_version_and_keeps_the_old_weights_is_caught(size, place, noise, offset):
    """Wherever it stands, however little the round moved, and whatever its engine's noise."""
    workers = [FakeWorker(), FakeWorker()]
    workers[place] = FakeWorker(takes=lambda sent: OLD, noise=noise, offset=offset)
    with pytest.raises(WeightSyncError, match=r"the sampler's by 0\.00"):
        sync(*workers, weights=plus(OLD, step(size)))


@pytest.mark.parametrize("size", [0.0, 0.001, 0.01, 0.05, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_honest_workers_pass_with_the_noise_of_bfloat16_on_both_sides_however_far_the_round_moved(size, seed):
    learner_before, learner_after = (
        plus(values, drawn(90 + seed + k, ENGINE_NOISE)) for k, values in ((0, OLD), (50, plus(OLD, step(size))))
    )
    worker = FakeWorker(takes=lambda sent: plus(OLD, step(size)), noise=ENGINE_NOISE, offset=0.03)
    found = sync(worker, weights=learner_after, earlier={2: learner_before})
    if size >= 0.05:
        assert found.slope == pytest.approx(1.0, abs=3 * found.error) and found.error < 0.1
    if size <= 0.001:
        assert "the learner moved too little to compare (0.0" in str(found)


@pytest.mark.parametrize("share", [0.3, 0.6, 1.4, 2.0])
def test_a_worker_that_moved_less_or_more_than_the_learner_is_caught_within_the_tolerance(share):
    """Rounding to the nearest bfloat16 number keeps a third of the movement at a tenth of the quickstart's rate.

    A gap of .035 nats is a third of the tolerance.
    """
    worker = FakeWorker(takes=lambda sent: plus(OLD, step(0.05 * share)), noise=ENGINE_NOISE)
    with pytest.raises(WeightSyncError, match="with a slope of") as caught:
        sync(worker, weights=plus(OLD, step(0.05)))
    assert "a slope of 0.9 to 1.1" in caught.value.expected
    assert float(caught.value.found.rpartition("slope of ")[2].split()[0]) == pytest.approx(share, abs=0.1)


def test_noise_in_the_learners_own_movement_does_not_lower_the_slope():
    """A regression over tokens gives less than .8 here."""
    learner = plus(step(0.05), drawn(7, 0.035))
    slope, error = movement_slope(learner, step(0.05))
    assert slope == pytest.approx(1.0, abs=0.05) and error < 0.05
    everything, other = np.concatenate(learner), np.concatenate(step(0.05))
    assert everything @ other / (everything @ everything) < 0.8


def test_a_learner_that_only_shows_noise_has_not_moved():
    for seed in range(20):
        assert movement_slope(drawn(seed, 0.03), drawn(seed + 100, 0.03)) == (pytest.approx(math.nan, nan_ok=True), math.inf)
    assert movement_slope([np.ones(40)], [np.ones(40)])[1] == math.inf  # one sequence shows no error
    assert movement_slope([np.ones(1)] * 9, [np.ones(1)] * 9)[1] == math.inf  # a token of its own has no other


def test_a_worker_that_starts_only_now_is_compared_with_what_the_learner_said_of_the_initial_model():
    late = FakeWorker()
    late.version, late.weights = 0, plus(OLD, step(-0.3))
    found = sync(FakeWorker(), late, earlier={0: plus(OLD, step(-0.3)), 2: OLD})
    assert (late.weights, found.slope) == (NEW, pytest.approx(1.0))


def test_if_the_learners_earlier_answer_is_unknown_the_gap_alone_decides_and_the_line_says_so():
    found = sync(FakeWorker(), earlier={1: OLD})
    assert str(found).startswith("movement not compared over 960 tokens")
    with pytest.raises(WeightSyncError, match="a gap of 0"):
        sync(FakeWorker(takes=lambda sent: OLD), earlier={1: OLD})


# The gap


def test_a_worker_that_moved_to_the_wrong_weights_is_caught():
    with pytest.raises(WeightSyncError) as caught:
        sync(FakeWorker(), FakeWorker(takes=lambda sent: plus(OLD, step(-0.5))))
    assert "with a slope of -1.00" in caught.value.found and "a gap of 0.9" in caught.value.found
    assert "learner.canary_tolerance" in str(caught.value)


@pytest.mark.parametrize(("gap", "passes"), [(0.09, True), (0.11, False)])
def test_the_tolerance_is_of_the_mean_distance_a_token(gap, passes):
    if passes:
        assert sync(FakeWorker(offset=gap)).gap == pytest.approx(gap)
    else:
        with pytest.raises(WeightSyncError, match=r"within 0\.1 nats a token"):
            sync(FakeWorker(offset=gap))


@pytest.mark.filterwarnings("ignore:invalid value")  # inf less inf
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_log_probability_that_is_not_finite_is_never_near_enough(broken):
    bad = [row.copy() for row in NEW]
    bad[3][5] = broken
    with pytest.raises(WeightSyncError, match="a gap of inf"):
        sync(FakeWorker(takes=lambda sent: bad))
    with pytest.raises(WeightSyncError, match="a gap of inf"):
        sync(FakeWorker(), weights=bad)


@pytest.mark.parametrize("found", [(), NEW[:-1], [*NEW[:-1], NEW[-1][:-1]]], ids=["none", "one less", "one shorter"])
def test_answers_of_another_length_are_refused(found):
    with pytest.raises(WeightSyncError, match="a gap of inf"):
        check_canary(NEW, OLD, found, OLD, TOLERANCE)


def test_distances_of_opposite_sign_do_not_cancel():
    with pytest.raises(WeightSyncError):
        sync(FakeWorker(takes=lambda sent: [row + np.tile([0.5, -0.5], 20) for row in sent]))


def test_tokens_that_move_both_ways_are_compared_token_by_token():
    moves = drawn(2, scale=0.3)
    now, noise = plus(OLD, moves), drawn(3, ENGINE_NOISE)
    honest = check_canary(now, OLD, plus(now, noise), plus(OLD, drawn(4, ENGINE_NOISE)), TOLERANCE)
    assert math.isinf(movement_slope(moves, moves)[1])
    assert honest.slope == pytest.approx(1, abs=0.05) and honest.error < 0.05
    with pytest.raises(WeightSyncError, match=r"with a slope of 0\.8"):
        check_canary(now, OLD, plus(OLD, moves, 0.8), OLD, TOLERANCE)
