"""The handshake and the canary, with workers that lie, lag and break."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from flame_ray.engines.base import Continuation
from flame_ray.errors import WeightSyncError
from flame_ray.weights import check_canary, sync_weights

CANARY = Continuation((1, 2), (3, 4))
OLD, NEW, OTHER = (-1.0, -2.0), (-1.5, -1.0), (-3.0, -5.0)
TOLERANCE = 0.1


@dataclass
class FakeLearner:
    """Holds NEW; exports a token in place of tensors, and notes on what it was asked for its canary."""

    weights: tuple[float, ...] = NEW
    asked: list[tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)

    def export(self) -> Any:
        return self.weights

    def canary(self, prompt_ids: Sequence[int], response_ids: Sequence[int]) -> Sequence[float]:
        self.asked.append((tuple(prompt_ids), tuple(response_ids)))
        return self.weights


class FakeWorker:
    """A sampler whose log-probabilities are its weights; `takes` says what it makes of those that it is sent."""

    def __init__(self, takes=lambda sent: sent, reports=lambda version: version):
        self.weights: tuple[float, ...] = OLD
        self.takes, self.reports = takes, reports

    def load_weights(self, chunks: list[Any], version: int) -> int:
        (sent,) = chunks
        self.weights = self.takes(sent)
        return self.reports(version)


class FakeRollouts:
    def __init__(self, *workers: FakeWorker):
        self.workers = workers
        self.calls: list[str] = []

    def load_weights(self, chunks: list[Any], version: int) -> list[int]:
        self.calls.append("load")
        return [worker.load_weights(chunks, version) for worker in self.workers]

    def canary(self, continuation: Continuation) -> list[Sequence[float]]:
        assert continuation == CANARY
        self.calls.append("canary")
        return [worker.weights for worker in self.workers]


def sync(*workers: FakeWorker, version: int = 3) -> float:
    return sync_weights(FakeLearner(), FakeRollouts(*workers), version, CANARY, TOLERANCE)


def test_workers_that_take_the_weights_pass_and_the_gap_is_told():
    assert sync(FakeWorker(), FakeWorker()) == 0.0


def test_the_gap_is_the_largest_of_the_workers_mean_distances():
    near = FakeWorker(takes=lambda sent: (sent[0] + 0.02, sent[1] - 0.04))
    assert sync(FakeWorker(), near) == pytest.approx(0.03)


def test_the_canary_is_asked_before_and_after_the_push_and_of_the_learner():
    learner, rollouts = FakeLearner(), FakeRollouts(FakeWorker())
    sync_weights(learner, rollouts, 3, CANARY, TOLERANCE)
    assert rollouts.calls == ["canary", "load", "canary"]
    assert learner.asked == [((1, 2), (3, 4))]


def test_a_worker_that_reports_another_version_is_refused_with_all_versions_named():
    with pytest.raises(WeightSyncError, match=r"version 3 on every rollout worker; found versions \[3, 2\]"):
        sync(FakeWorker(), FakeWorker(reports=lambda version: version - 1))


@pytest.mark.parametrize("place", [0, 1])
def test_a_worker_that_claims_the_version_and_keeps_the_old_weights_is_caught_wherever_it_stands(place):
    workers = [FakeWorker(), FakeWorker()]
    workers[place] = FakeWorker(takes=lambda sent: OLD)
    with pytest.raises(WeightSyncError, match="nothing changed"):
        sync(*workers)


def test_a_worker_that_moved_to_the_wrong_weights_is_caught():
    with pytest.raises(WeightSyncError) as caught:
        sync(FakeWorker(), FakeWorker(takes=lambda sent: OTHER))
    assert "a gap of 2.7500" in str(caught.value)
    assert "nothing changed" not in str(caught.value)
    assert "learner.canary_tolerance" in str(caught.value)


def test_stale_weights_are_caught_when_the_round_moved_the_canary_by_less_than_the_tolerance():
    expected = [-1.05, -2.05]  # 0.05 from OLD: below the tolerance, above a quarter of it
    with pytest.raises(WeightSyncError, match="nothing changed"):
        check_canary(expected, before=OLD, found=OLD, tolerance=TOLERANCE)
    assert check_canary(expected, before=OLD, found=expected, tolerance=TOLERANCE) == 0.0


def test_a_round_that_moved_nothing_passes():
    assert check_canary(OLD, before=OLD, found=OLD, tolerance=TOLERANCE) == 0.0


@pytest.mark.parametrize(("gap", "passes"), [(0.09, True), (0.11, False)])
def test_the_tolerance_is_of_the_mean_distance_a_token(gap, passes):
    found = (NEW[0], NEW[1] + 2 * gap)
    if passes:
        assert check_canary(NEW, OLD, found, TOLERANCE) == pytest.approx(gap)
    else:
        with pytest.raises(WeightSyncError, match=r"within 0\.1 nats a token"):
            check_canary(NEW, OLD, found, TOLERANCE)


def test_distances_of_opposite_sign_do_not_cancel():
    with pytest.raises(WeightSyncError):
        check_canary((-1.0, -1.0), OLD, (-2.0, 0.0), TOLERANCE)
