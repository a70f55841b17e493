"""Tells the failures that mean a lost worker from the errors that are a worker's answer."""

from ray.exceptions import (
    GetTimeoutError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    OwnerDiedError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from flame_ray.errors import EngineDied


class Drained(Exception):
    """The worker's node is about to go, so the worker is replaced before it is lost."""


LOST = (
    Drained,
    RayActorError,
    NodeDiedError,
    OutOfMemoryError,
    ObjectLostError,
    OwnerDiedError,
    WorkerCrashedError,
    TimeoutError,
    EngineDied,
)


def is_death(error: BaseException) -> bool:
    """Whether the actor died, lost its node or its engine, or did not answer in time. Another worker should do its work."""
    return isinstance(error, LOST) or (isinstance(error, RayTaskError) and isinstance(error.cause, LOST))


def is_lost_object(error: BaseException) -> bool:
    """Whether something in the object store went with its node, or did not come in time: the actor that read it is sound."""
    lost = (ObjectLostError, GetTimeoutError)
    return isinstance(error, lost) or (isinstance(error, RayTaskError) and isinstance(error.cause, lost))


def is_departure(error: BaseException) -> bool:
    """Whether a worker was lost only because its node went, with notice (Ray calls that preempted)."""
    return isinstance(error, Drained) or (isinstance(error, RayActorError) and error.preempted)


def cause_of(error: BaseException) -> BaseException:
    """The exception that the actor itself raised. Its `__cause__` is Ray's exception, which holds the actor's trace."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
        error.cause.__cause__ = error
        return error.cause
    return error
