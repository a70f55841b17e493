"""What is said of the workers of a run while it goes on."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from flame_ray.controller.watch import watch
from flame_ray.controller.workers import Workers
from flame_ray.rewards.factuality.actor import FactualityActor
from flame_ray.rewards.judge.actor import JudgeActor


def pool(name: str, serving: int = 1, **figures: int) -> Any:
    return SimpleNamespace(**{"name": name, "actors": [name] * serving, "queued": 0, "deaths": 0, "moves": 0} | figures)


def test_each_role_is_told_of_once_in_a_while_with_what_waits_for_it_and_whom_it_lost():
    judge, factuality = pool("judge"), pool("factuality", queued=4)
    rollouts = SimpleNamespace(pool=pool("rollout", serving=2, deaths=1, moves=1))
    learner = SimpleNamespace(ranks=2, deaths=0, restarts=1)
    workers: Any = Workers(rollouts, judge, {JudgeActor: judge, FactualityActor: factuality}, learner)  # type: ignore[arg-type]
    told: list[tuple] = []

    def show(*role: Any) -> None:
        told.append(role)
        if len(told) == 8:
            raise StopWatching

    class StopWatching(Exception):
        pass

    with suppress(StopWatching):
        asyncio.run(watch(workers, show, pause_s=0))
    assert told[:4] == [("rollout", 2, 0, 1, 2), ("judge", 1, 0, 0, 0), ("factuality", 1, 4, 0, 0), ("learner", 2, 0, 0, 1)]
    assert told[4:] == told[:4]
