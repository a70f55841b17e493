"""The handshake and the canary, with workers that lie, lag and break."""

import asyncio
import math

import pytest

from flame_ray.engines.base import Chunks, Continuation, Weights
from flame_ray.errors import WeightSyncError
from flame_ray.weights import Canary, Push, check_canary
from tests.doubles import Remote

SEQUENCE = Continuation((1, 2), (3, 4))
OLD, NEW, OTHER = (-1.0, -2.0), (-1.5, -1.0), (-3.0, -5.0)
SMALL_STEP = (-1.02, -2.02)  # 0.02 from OLD: a round that moved the canary by much less than the tolerance
TOLERANCE = 0.1


class FakeWorker:
    """A sampler whose log-probabilities are its weights and `noise`; `takes` says what it makes of those that it is sent."""

    def __init__(self, takes=lambda sent: sent, reports=lambda version: version, noise: float = 0.0):
        self.weights: tuple[float, ...] = OLD
        self.takes, self.reports, self.noise = takes, reports, noise
        self.calls: list[str] = []

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

    def _canary(self, continuation: Continuation) -> tuple[float, ...]:
        assert continuation == SEQUENCE
        self.calls.append("canary")
        return tuple(weight + self.noise for weight in self.weights)


def sync(*workers: FakeWorker, version: int = 3, weights: tuple[float, ...] = NEW, before=OLD) -> float:
    """A round that trained the learner from `before` (None: that is not known) to `weights`."""
    push = Push(Chunks((weights,)), version, Canary(SEQUENCE, weights, before, TOLERANCE))
    for worker in workers:
        asyncio.run(push.update_worker(worker))
    return push.largest_gap


def test_workers_that_load_the_weights_pass_and_the_gap_is_returned():
    assert sync(FakeWorker(), FakeWorker()) == 0.0


def test_the_gap_is_the_largest_of_the_workers_mean_distances():
    near = FakeWorker(takes=lambda sent: (sent[0] + 0.02, sent[1] - 0.04))
    assert sync(near, FakeWorker()) == pytest.approx(0.03)


def test_a_worker_answers_the_canary_before_and_after_it_loads_the_weights():
    worker = FakeWorker()
    sync(worker)
    assert worker.calls == ["canary", "load", "canary"]
    assert worker.weights == NEW


def test_a_worker_that_reports_another_version_is_refused_with_both_versions_named():
    with pytest.raises(WeightSyncError, match=r"version 3 on every rollout worker; found version 2"):
        sync(FakeWorker(), FakeWorker(reports=lambda version: version - 1))


@pytest.mark.parametrize("weights", [NEW, SMALL_STEP])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("noise", [0.0, 0.0001, -0.0001, 0.02])
def test_a_worker_that_claims_the_version_and_keeps_the_old_weights_is_caught(weights, place, noise):
    """Wherever it stands, however little the round moved, and whatever its engine's noise."""
    workers = [FakeWorker(), FakeWorker()]
    workers[place] = FakeWorker(takes=lambda sent: OLD, noise=noise)
    with pytest.raises(WeightSyncError, match=r"the sampler's by 0\.0000"):
        sync(*workers, weights=weights)


@pytest.mark.parametrize("noise", [0.0001, -0.0001, 0.02, 0.04, 0.09])
@pytest.mark.parametrize("weights", [OLD, (-1.001, -2.001), SMALL_STEP, NEW])
def test_honest_workers_pass_though_their_engines_differ_and_however_far_the_round_moved(noise, weights):
    assert sync(FakeWorker(), FakeWorker(noise=noise), weights=weights) == pytest.approx(abs(noise))


def test_a_worker_that_joins_later_gets_the_weights():
    late = FakeWorker()
    late.weights = OTHER
    assert sync(FakeWorker(), late) == 0.0
    assert late.weights == NEW


def test_if_the_learners_earlier_answer_is_unknown_the_gap_alone_decides():
    assert sync(FakeWorker(), before=None) == 0.0
    with pytest.raises(WeightSyncError, match="a gap of 0"):
        sync(FakeWorker(takes=lambda sent: OLD), before=None)


def test_a_worker_that_moved_to_the_wrong_weights_is_caught():
    with pytest.raises(WeightSyncError) as caught:
        sync(FakeWorker(), FakeWorker(takes=lambda sent: OTHER))
    assert "a gap of 2.7500" in caught.value.found and "the sampler's by 2.5000" in caught.value.found
    assert "learner.canary_tolerance" in str(caught.value)


@pytest.mark.parametrize(("gap", "passes"), [(0.09, True), (0.11, False)])
def test_the_tolerance_is_of_the_mean_distance_a_token(gap, passes):
    off = FakeWorker(takes=lambda sent: (sent[0], sent[1] + 2 * gap))
    if passes:
        assert sync(off) == pytest.approx(gap)
    else:
        with pytest.raises(WeightSyncError, match=r"within 0\.1 nats a token"):
            sync(off)


def test_a_worker_that_moved_a_quarter_as_far_as_the_learner_is_the_bound():
    assert check_canary(gap=0.03, moved=0.011, learner_moved=0.04, tolerance=TOLERANCE) == 0.03
    with pytest.raises(WeightSyncError):
        check_canary(gap=0.03, moved=0.009, learner_moved=0.04, tolerance=TOLERANCE)


@pytest.mark.filterwarnings("ignore:invalid value")  # inf less inf
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_log_probability_that_is_not_finite_is_never_near_enough(broken):
    for bad in ((broken, -1.0), (broken, broken)):
        with pytest.raises(WeightSyncError, match="a gap of inf"):
            sync(FakeWorker(takes=lambda sent, bad=bad: bad))
        with pytest.raises(WeightSyncError, match="a gap of inf"):
            sync(FakeWorker(), weights=bad)


@pytest.mark.parametrize("found", [(), (-1.5,), (-1.5, -1.0, -1.0)])
def test_an_answer_of_another_length_is_refused(found):
    with pytest.raises(WeightSyncError, match="a gap of inf"):
        sync(FakeWorker(takes=lambda sent: found))


def test_distances_of_opposite_sign_do_not_cancel():
    with pytest.raises(WeightSyncError):
        sync(FakeWorker(takes=lambda sent: (sent[0] - 0.5, sent[1] + 0.5)))
