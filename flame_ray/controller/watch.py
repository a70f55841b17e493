"""Says every few seconds how the workers of a run stand: who serves, what waits for them, and how many were replaced."""

import asyncio
from collections.abc import Callable

from flame_ray.controller.workers import Workers

PAUSE_S = 5.0
Show = Callable[[str, int, int, int, int], None]  # (role, serving, queued, deaths, replacements)


async def watch(workers: Workers, show: Show, pause_s: float = PAUSE_S) -> None:
    """Goes on until it is cancelled."""
    while True:
        tell(workers, show)
        await asyncio.sleep(pause_s)


def tell(workers: Workers, show: Show) -> None:
    pools = {pool.name: pool for pool in (workers.rollouts.pool, workers.judge, *workers.rewards.values())}
    for name, pool in pools.items():
        show(name, len(pool.actors), pool.queued, pool.deaths, pool.deaths + pool.moves)
    learner = workers.learner
    show("learner", learner.ranks, 0, learner.deaths, learner.restarts)
