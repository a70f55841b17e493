"""Actors of one kind as one object: work goes to whoever is free, results come back in order, every wait ends.

In: actor handles. Out: results, or the actor's own FlameError, or an EngineError that names the actor that died.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from flame_ray.errors import EngineError, FlameError

Item = TypeVar("Item")


def batched(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Consecutive slices of at most `size` items."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def get(refs: Any, timeout_s: float, what: str) -> Any:
    """`ray.get` that always ends, and that raises a FlameError of the actor as itself."""
    try:
        return ray.get(refs, timeout=timeout_s)
    except GetTimeoutError as error:
        raise EngineError(
            f"{what} within {timeout_s:g} s", "no answer", "look at the actor's log in the Ray dashboard"
        ) from error
    except RayTaskError as error:
        if isinstance(error.cause, FlameError):
            raise error.cause from error
        raise
    except RayActorError as error:
        raise EngineError(
            f"{what}", f"an actor that died: {error}", "look at its log in the Ray dashboard; out of memory is the usual cause"
        ) from error


class ActorPool:
    """Actors named `name-0`, `name-1`, ...; `timeout_s` bounds each call on one of them."""

    def __init__(self, name: str, actors: Sequence[Any], timeout_s: float = 1800.0):
        self.name = name
        self.actors = list(actors)
        self._timeout_s = timeout_s

    def broadcast(self, method: str, *args: Any) -> list[Any]:
        """Call every actor with the same arguments; results in the actors' order."""
        refs = [getattr(actor, method).remote(*args) for actor in self.actors]
        return get(refs, self._timeout_s, f"{self.name}.{method}")

    def map(self, method: str, calls: Sequence[tuple], on_done: Callable[[int], None] = lambda index: None) -> list[Any]:
        """Call `method` once for each tuple of arguments, one call at a time an actor; results in the calls' order."""
        waiting, free = deque(enumerate(calls)), deque(self.actors)
        running: dict[Any, tuple[int, Any]] = {}
        results: list[Any] = [None] * len(calls)
        while waiting or running:
            while waiting and free:
                index, args = waiting.popleft()
                actor = free.popleft()
                running[getattr(actor, method).remote(*args)] = (index, actor)
            done, _ = ray.wait(list(running), num_returns=1, timeout=self._timeout_s)
            if not done:
                raise EngineError(
                    f"{self.name}.{method} within {self._timeout_s:g} s",
                    "no answer",
                    "look at the actor's log in the Ray dashboard",
                )
            index, actor = running.pop(done[0])
            results[index] = get(done[0], self._timeout_s, f"{self.name}.{method}")
            free.append(actor)
            on_done(index)
        return results
