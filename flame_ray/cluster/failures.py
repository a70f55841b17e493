"""Which failures mean that a worker is gone, and which are its answer.

In: what Ray raised. Out: whether another worker should do the work, and the error that a person should see.
"""

from concurrent.futures import TimeoutError as Late

from ray.exceptions import (
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
    """A worker's node is about to go: the worker is given up before it is lost."""


GONE_IN_RAY = (RayActorError, NodeDiedError, OutOfMemoryError, ObjectLostError, OwnerDiedError, WorkerCrashedError)
GONE = (Drained, *GONE_IN_RAY, TimeoutError, Late, EngineDied)


def is_death(error: BaseException) -> bool:
    """The actor died or lost its node, its engine died inside it, or it has not answered in time."""
    return isinstance(error, GONE) or (isinstance(error, RayTaskError) and isinstance(error.cause, GONE))


def cause_of(error: BaseException) -> BaseException:
    """An actor's own exception as itself; it keeps Ray's as its cause, and so the actor's trace."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
        error.cause.__cause__ = error
        return error.cause
    return error
