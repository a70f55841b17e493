"""Says every few seconds how the workers of a run stand: who serves, what waits for them, and how many were replaced."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ray.exceptions import RayError

from flame_ray.cluster.event_loop import on_thread
from flame_ray.cluster.pool import WorkerPool
from flame_ray.cluster.restarted import RestartedByRay
from flame_ray.controller.workers import RunPools
from flame_ray.learner.durable import DurableLearner

log = logging.getLogger(__name__)
PAUSE_S = 5.0
Show = Callable[[str, int, int, int, int], None]  # (role, serving, queued, deaths, replacements)


@dataclass(frozen=True)
class Watched:
    """The workers of one scope."""

    pools: Sequence[WorkerPool] = ()
    learner: DurableLearner | None = None
    verifiers: RestartedByRay | None = None


def all_of(workers: RunPools, verifiers: RestartedByRay | None) -> Watched:
    """Every worker of a run. A pool that serves two rewards is there once."""
    pools = {pool.name: pool for pool in (workers.rollouts.pool, workers.judge, *workers.rewards.values())}
    return Watched(tuple(pools.values()), workers.learner, verifiers)


async def watch(watched: Watched, show: Show, pause_s: float = PAUSE_S) -> None:
    """Goes on until it is cancelled, at the end of the workers; then it says that none serves."""
    counts: dict[str, tuple[int, int]] = {}

    def tell(role: str, serving: int, queued: int, deaths: int, replacements: int) -> None:
        counts[role] = deaths, replacements
        show(role, serving, queued, deaths, replacements)

    try:
        while True:
            tell_once(watched, tell)
            if watched.verifiers:
                await _tell_verifiers(watched.verifiers, tell)
            await asyncio.sleep(pause_s)
    finally:
        for role, ended in counts.items():
            show(role, 0, 0, *ended)


def tell_once(watched: Watched, tell: Show) -> None:
    """Say how the pools and the learner stand. Verifiers are asked of Ray, which takes a while."""
    for pool in watched.pools:
        tell(pool.name, len(pool.actors), pool.queued, pool.deaths, pool.deaths + pool.moves)
    if learner := watched.learner:
        tell("learner", learner.ranks, 0, learner.deaths, learner.restarts)


async def _tell_verifiers(verifiers: RestartedByRay, tell: Show) -> None:
    try:
        found = await on_thread(verifiers.standing)
    except RayError as error:
        log.warning("Ray does not say how the verifiers stand: %s", error)
    else:
        tell("verifier", found.serving, 0, found.deaths, found.restarts)
