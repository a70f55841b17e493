"""The errors of a pool of workers, in words."""

from collections.abc import Mapping
from typing import Any

from flame_ray.cluster.failures import cause_of
from flame_ray.cluster.task_queue import WorkItem
from flame_ray.cluster.waiting import room_in_words
from flame_ray.errors import EngineError, PlacementError, WorkLost


def unplaced(name: str, least: int, limit_s: float, serving: int) -> PlacementError:
    return PlacementError(
        f"{least} {name} workers that serve within {limit_s:g} s",
        f"{serving} ({room_in_words()})",
        f"lower {name}.min_workers or what a worker asks for, raise cluster.start_timeout_s, or add nodes",
    )


def behind(name: str, version: int, versions: Mapping[int, int]) -> EngineError:
    return EngineError(
        f"weight version {version} on every {name} worker",
        f"versions {dict(sorted(versions.items()))} by worker",
        "see the log of the worker that is behind",
    )


def keeps_dying(name: str, error: Exception, times: int) -> EngineError:
    return EngineError(
        f"a {name} worker that stays alive",
        f"{times} deaths in a row without a result; the last: {cause_of(error)}",
        "see its log in the Ray dashboard; the usual cause is that it ran out of memory",
    )


def work_lost(name: str, item: WorkItem, error: Exception) -> WorkLost:
    return WorkLost(
        f"a {name} worker that survives {item.method} of {_label(item.payload)}",
        f"{item.attempts} workers were lost while they had it; the last: {cause_of(error)}",
        "see their logs in the Ray dashboard, or leave the item out",
    )


def incomplete(name: str, item: WorkItem, missing: int) -> EngineError:
    return EngineError(f"a result for every item of {name}.{item.method}", f"{missing} missing", "report this bug")


def _label(payload: Any) -> str:
    prompt = getattr(payload, "prompt", payload)
    return f"prompt {prompt.id}" if hasattr(prompt, "id") else f"{payload!r:.80}"
