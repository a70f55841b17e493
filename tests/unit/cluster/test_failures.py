"""Which failures mean that a worker is gone."""

import pickle

import pytest
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    GetTimeoutError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    OwnerDiedError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from flame_ray.cluster.failures import Drained, cause_of, is_death, is_departure, is_lost_object
from flame_ray.errors import EngineDied, EngineError, LearnerDied, ModelError


def test_a_worker_whose_node_goes_with_notice_is_told_from_one_that_dies():
    left = Drained("its node is about to go"), RayActorError(preempted=True)
    died = ActorDiedError(), NodeDiedError("its node is gone"), TimeoutError(), KeyError("a bug")
    assert [is_departure(error) for error in (*left, *died)] == [True, True, False, False, False, False]


def of_an_actor(cause: Exception) -> RayTaskError:
    """As Ray wraps what an actor's method raises."""
    return RayTaskError("score", "the actor's trace", cause)


def test_an_object_that_is_lost_is_told_from_a_worker_that_is():
    lost = ObjectLostError("00", None, ""), OwnerDiedError("00", None, ""), GetTimeoutError("not within 300 s")
    died = ActorDiedError(), NodeDiedError("its node is gone"), TimeoutError(), of_an_actor(KeyError("a bug"))
    assert all(is_lost_object(error) and is_lost_object(of_an_actor(error)) for error in lost)
    assert not any(is_lost_object(error) for error in died)


@pytest.mark.parametrize(
    "error",
    [
        ActorDiedError(),
        ActorUnavailableError("for a while", b"0" * 16),
        NodeDiedError("its node is gone"),
        OutOfMemoryError("ended by Ray's memory monitor"),
        ObjectLostError("00", None, ""),
        OwnerDiedError("00", None, ""),
        WorkerCrashedError(),
        TimeoutError(),
        Drained("its node is about to go"),
        EngineDied("an engine that lives", "a dead one", "see its log"),
        of_an_actor(EngineDied("an engine that lives", "a dead one", "see its log")),
    ],
    ids=lambda error: type(getattr(error, "cause", error) or error).__name__,
)
def test_a_worker_that_is_gone_or_silent_or_has_lost_its_engine_is_dead(error):
    assert is_death(error)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a bug"),
        of_an_actor(KeyError("a bug")),
        of_an_actor(ModelError("a model", "none", "give one")),
        EngineError("vLLM 0.32", "another", "install it"),
        LearnerDied("a unit", "a dead rank", "see its log"),
    ],
    ids=lambda error: type(getattr(error, "cause", error) or error).__name__,
)
def test_a_worker_that_answers_with_an_error_is_alive(error):
    assert not is_death(error)


def test_what_an_actor_raised_is_told_as_itself_with_rays_trace_behind_it():
    cause = ModelError("a model", "none", "give one")
    wrapped = of_an_actor(cause)
    assert cause_of(wrapped) is cause
    assert cause.__cause__ is wrapped


def test_any_other_error_is_told_as_it_is():
    for error in (ActorDiedError(), KeyError("a bug")):
        assert cause_of(error) is error


def test_a_dead_engine_is_still_one_after_its_way_through_ray():
    assert is_death(of_an_actor(pickle.loads(pickle.dumps(EngineDied("an engine", "a dead one", "see its log")))))
