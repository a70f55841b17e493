"""Weights from GPU to GPU: who is sent to, who loads the folder, and what a transfer that breaks costs."""

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from ray.exceptions import RayActorError, RayTaskError

from flame_ray.cluster.failures import is_death
from flame_ray.controller.p2p_weights import P2PWeights
from flame_ray.engines.base import ModelFolder, Received
from flame_ray.errors import EngineDied, EngineError, LearnerDied

FOLDER = ModelFolder("/checkpoints/round-0003/merged")
LATE = EngineError("the learner's GPUs to send", "nothing after 300 s", "look")


@dataclass
class FakeLearner:
    """A learner and its group in one; `error` is raised by the next transfer."""

    error: Exception | None = None
    calls: list[tuple] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    @property
    def group(self) -> "FakeLearner":
        return self

    def send(self, worker: Any, ranks: int, backend: str) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        threading.Event().wait(0.01)
        self.calls.append(("send", worker, ranks, backend))
        self.at_once -= 1
        if self.error:
            raise self.error

    def end_push(self) -> None:
        self.calls.append(("end_push",))

    def stop(self) -> None:
        self.calls.append(("stop",))


def sending_from(learner: FakeLearner) -> P2PWeights:
    return P2PWeights(learner, "nccl", FOLDER, ranks_of=lambda worker: 2)  # type: ignore[arg-type]


def test_each_worker_is_sent_to_once_with_its_own_number_of_gpus():
    learner = FakeLearner()
    sending = sending_from(learner)
    assert [sending(worker) for worker in ("a", "b", "a")] == [Received()] * 3
    assert learner.calls == [("send", "a", 2, "nccl"), ("send", "b", 2, "nccl")]


def test_workers_that_come_at_the_same_time_are_sent_to_one_after_another():
    """Every rank must be asked for the same transfers in the same order."""
    learner = FakeLearner()
    sending = sending_from(learner)
    threads = [threading.Thread(target=sending, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert learner.most_at_once == 1 and len(learner.calls) == 4


def test_a_worker_that_joins_once_the_learner_is_at_work_again_loads_the_folder():
    learner = FakeLearner()
    sending = sending_from(learner)
    sending("a")
    sending.close()
    sending.close()
    assert sending("late") == FOLDER
    assert learner.calls == [("send", "a", 2, "nccl"), ("end_push",)]


def death_in_a_rank() -> RayTaskError:
    return RayTaskError("send", "trace", RayActorError())


@pytest.mark.parametrize("error", [LearnerDied("a send", "a dead rank", "look"), LATE, death_in_a_rank()])
def test_a_transfer_that_breaks_gives_up_both_sides_and_the_others_load_the_folder(error, caplog):
    learner = FakeLearner(error)
    sending = sending_from(learner)
    with pytest.raises(EngineDied, match="a transfer that broke") as caught:
        sending("a")
    assert is_death(caught.value)  # so that the pool replaces the worker
    assert learner.calls[1:] == [("stop",)]  # so that the learner's next call starts it again
    assert sending("b") == FOLDER
    sending.close()
    assert ("end_push",) not in learner.calls
    assert "are started again" in caplog.text


def test_what_vllm_refuses_is_no_death_and_ends_the_run():
    learner = FakeLearner(RayTaskError("send", "IPC handle not found for GPU UUID", ValueError()))
    with pytest.raises(RayTaskError, match="GPU UUID"):
        sending_from(learner)("a")
    assert ("stop",) not in learner.calls


def test_a_worker_that_dies_before_it_is_sent_to_costs_the_learner_nothing():
    learner = FakeLearner()

    def gone(worker):
        raise RayActorError()

    with pytest.raises(RayActorError):
        P2PWeights(learner, "nccl", FOLDER, ranks_of=gone)("a")  # type: ignore[arg-type]
    assert learner.calls == []
