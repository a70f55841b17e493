"""Weights from GPU to GPU: who is waited for, who is sent to, who loads the folder, and what a transfer that breaks costs."""

import asyncio
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
PATIENCE_S = 30.0


@dataclass
class FakeLearner:
    """A learner and its group in one; `error` is raised by the next transfer."""

    error: Exception | None = None
    calls: list[tuple] = field(default_factory=list)

    @property
    def group(self) -> "FakeLearner":
        return self

    def send(self, ranks: dict[Any, int], backend: str) -> None:
        self.calls.append(("send", ranks, backend))
        if self.error:
            raise self.error

    def stop(self) -> None:
        self.calls.append(("stop",))


@dataclass
class Pool:
    serving: list[str]

    def sending(self, learner: FakeLearner, dead: tuple[str, ...] = ()) -> P2PWeights:
        def ranks_of(worker: str) -> int:
            if worker in dead:
                raise RayActorError()
            return 2

        return P2PWeights(learner, "nccl", FOLDER, lambda: self.serving, ranks_of)  # type: ignore[arg-type]


def asked(sending: P2PWeights, *workers: str) -> list[Any]:
    """What the workers have to load, or the error that ends them, if they come at the same time."""

    async def scenario() -> list[Any]:
        answers = asyncio.gather(*(sending(worker) for worker in workers), return_exceptions=True)
        return await asyncio.wait_for(answers, PATIENCE_S)

    return asyncio.run(scenario())


def test_all_workers_are_sent_to_together_each_with_its_own_number_of_gpus():
    learner = FakeLearner()
    sending = Pool(["a", "b", "c"]).sending(learner)
    assert asked(sending, "b", "a", "c") == [Received()] * 3
    assert learner.calls == [("send", {"b": 2, "a": 2, "c": 2}, "nccl")]
    assert asked(sending, "a") == [Received()]


def test_more_workers_than_there_are_threads_wait_for_each_other():
    names = [f"worker {number}" for number in range(100)]
    learner = FakeLearner()
    assert asked(Pool(names).sending(learner), *names) == [Received()] * 100
    assert len(learner.calls) == 1


def test_a_worker_that_dies_before_it_comes_is_waited_for_no_longer():
    pool, learner = Pool(["a", "b"]), FakeLearner()
    sending = pool.sending(learner)

    async def scenario() -> list[Any]:
        first = asyncio.create_task(sending("a"))
        await asyncio.sleep(0)
        pool.serving = ["a"]
        return [await asyncio.wait_for(first, PATIENCE_S), await sending("successor of b")]

    assert asyncio.run(scenario()) == [Received(), FOLDER]
    assert learner.calls == [("send", {"a": 2}, "nccl")]


def test_a_worker_that_goes_while_it_waits_is_not_sent_to():
    learner = FakeLearner()
    pool = Pool(["a", "b"])
    sending = pool.sending(learner)

    async def scenario() -> Any:
        gone = asyncio.create_task(sending("a"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        pool.serving = ["b"]
        return await asyncio.wait_for(sending("b"), PATIENCE_S)

    assert asyncio.run(scenario()) == Received()
    assert learner.calls == [("send", {"b": 2}, "nccl")]


def test_a_worker_that_has_died_by_the_time_of_the_transfer_costs_the_others_nothing():
    learner = FakeLearner()
    assert asked(Pool(["a", "b"]).sending(learner, dead=("a",)), "a", "b") == [FOLDER, Received()]
    assert learner.calls == [("send", {"b": 2}, "nccl")]


def test_a_worker_that_joins_once_the_others_have_the_weights_loads_the_folder():
    learner = FakeLearner()
    sending = Pool(["a"]).sending(learner)
    assert asked(sending, "a") == [Received()]
    assert asked(sending, "late") == [FOLDER]
    assert len(learner.calls) == 1


def test_where_the_transfer_was_made_before_the_workers_ask_nothing_more_is_sent():
    """Colocated workers are sent to before the learner leaves the GPUs."""
    learner = FakeLearner()
    sending = Pool(["a", "b"]).sending(learner)
    sending.send(["a", "b"])
    assert asked(sending, "a", "late") == [Received(), FOLDER]
    assert len(learner.calls) == 1


def death_in_a_rank() -> RayTaskError:
    return RayTaskError("send", "trace", RayActorError())


@pytest.mark.parametrize("error", [LearnerDied("a send", "a dead rank", "look"), LATE, death_in_a_rank()])
def test_a_transfer_that_breaks_gives_up_both_sides_and_the_successors_load_the_folder(error, caplog):
    learner = FakeLearner(error)
    sending = Pool(["a", "b"]).sending(learner)
    found = asked(sending, "a", "b")
    assert all(isinstance(each, EngineDied) and is_death(each) for each in found)  # so that the pool replaces them
    assert learner.calls[1:] == [("stop",)]  # so that the learner's next call starts it again
    assert asked(sending, "successor of a") == [FOLDER]
    assert "are started again" in caplog.text


def test_what_vllm_refuses_is_no_death_and_ends_the_run():
    learner = FakeLearner(RayTaskError("send", "IPC handle not found for GPU UUID", ValueError()))
    (error,) = asked(Pool(["a"]).sending(learner), "a")
    assert isinstance(error, RayTaskError) and "GPU UUID" in str(error)
    assert ("stop",) not in learner.calls
