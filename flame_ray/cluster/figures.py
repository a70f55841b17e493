"""Figures that Ray shows at its Prometheus endpoint, tagged with the run.

Their names follow Prometheus: the unit comes last, and `_total` ends the name of what only grows.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Figure:
    """One of them. Prometheus knows it as `ray_<name>`.

    >>> Figure("flame_steps_total", "Optimizer steps").is_counter, Figure("flame_loss", "The loss of the last step").is_counter
    (True, False)
    """

    name: str
    help: str
    tags: tuple[str, ...] = ()  # beside the run

    @property
    def is_counter(self) -> bool:
        return self.name.endswith("_total")


HITS = Figure("flame_cache_hits_total", "Answers that a cache had", ("cache",))
MISSES = Figure("flame_cache_misses_total", "Answers that a cache did not have", ("cache",))


class RayMetric(Protocol):
    """A figure as Ray has it: `set` for a gauge, `inc` for a counter."""

    def set(self, value: float, tags: dict[str, str]) -> None: ...

    def inc(self, value: float, tags: dict[str, str]) -> None: ...


def ray_metric(figure: Figure, run: str) -> Any:
    """The figure in this process, which must be in a Ray for anybody to see it."""
    from ray.util.metrics import Counter, Gauge

    made = (Counter if figure.is_counter else Gauge)(figure.name, figure.help, ("run", *figure.tags))
    made.set_default_tags({"run": run})
    return made


def namespace(run: str, process: int) -> str:
    """Of a run's actors, which so know their run. `process`: of its driver, since another may have left some.

    >>> run_of(namespace("mine-1", 4321))
    'mine-1'
    """
    return f"{run}-{process}"


def run_of(namespace: str) -> str:
    return namespace.rpartition("-")[0]


def count_lookups(cache: str, hits: int, misses: int) -> None:
    """Count what was asked of a cache, in a driver or an actor; outside of Ray nobody would see it."""
    import ray

    if not ray.is_initialized():
        return
    run = run_of(ray.get_runtime_context().namespace)
    for figure, count in ((HITS, hits), (MISSES, misses)):
        if count:
            _once(figure, run).inc(count, {"cache": cache})


@cache
def _once(figure: Figure, run: str) -> RayMetric:
    return ray_metric(figure, run)
