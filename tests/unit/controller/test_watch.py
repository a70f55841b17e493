"""What is said of the workers of a run while it goes on."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from flame_ray.cluster import restarted
from flame_ray.cluster.restarted import RestartedByRay, Standing
from flame_ray.controller.watch import Watched, all_of, watch
from flame_ray.controller.workers import RunPools
from flame_ray.rewards.factuality.actor import FactualityActor
from flame_ray.rewards.judge.actor import JudgeActor


def pool(name: str, serving: int = 1, **figures: int) -> Any:
    return SimpleNamespace(**{"name": name, "actors": [name] * serving, "queued": 0, "deaths": 0, "moves": 0} | figures)


class StopWatching(Exception):
    pass


def test_each_role_is_told_of_once_in_a_while_with_what_waits_for_it_and_whom_it_lost():
    judge, factuality = pool("judge"), pool("factuality", queued=4)
    rollouts = SimpleNamespace(pool=pool("rollout", serving=2, deaths=1, moves=1))
    learner = SimpleNamespace(ranks=2, deaths=0, restarts=1)
    workers: Any = RunPools(rollouts, judge, {JudgeActor: judge, FactualityActor: factuality}, learner)  # type: ignore[arg-type]
    verifiers: Any = SimpleNamespace(standing=lambda: Standing(serving=1, deaths=2, restarts=3))
    told: list[tuple] = []

    def show(*role: Any) -> None:
        told.append(role)
        if len(told) == 10:
            raise StopWatching

    with suppress(StopWatching):
        asyncio.run(watch(all_of(workers, verifiers), show, pause_s=0))
    roles = [("rollout", 2, 0, 1, 2), ("judge", 1, 0, 0, 0), ("factuality", 1, 4, 0, 0), ("learner", 2, 0, 0, 1)]
    assert told[:5] == [*roles, ("verifier", 1, 0, 2, 3)]
    assert told[5:10] == told[:5]
    assert told[10:] == [(role, 0, 0, deaths, replaced) for role, _, _, deaths, replaced in told[:5]]


def test_of_a_scope_with_one_pool_and_no_verifier_that_pool_alone_is_told_of():
    told: list[tuple] = []

    def show(*role: Any) -> None:
        told.append(role)
        raise StopWatching

    with suppress(StopWatching):
        asyncio.run(watch(Watched((pool("judge", serving=2),), verifiers=RestartedByRay(())), show, pause_s=0))
    assert {role for role, *_ in told} == {"judge"} and told[0] == ("judge", 2, 0, 0, 0)


def test_what_ray_restarts_is_counted_as_a_move_or_a_death_and_no_count_falls(monkeypatch):
    """Ray counts the restart of a move only some time after it."""
    tables = {"a": {"State": "ALIVE", "NumRestarts": 1, "Address": {"NodeID": "n"}}, "b": {"State": "RESTARTING"}}
    monkeypatch.setattr(restarted, "table_of", tables.__getitem__)
    monkeypatch.setattr(restarted.ray, "kill", lambda actor, no_restart: None)
    verifiers = RestartedByRay(("a", "b"))
    assert verifiers.standing() == Standing(serving=1, deaths=1, restarts=1)
    verifiers.leave({"n"})
    assert verifiers.standing() == Standing(serving=1, deaths=1, restarts=1)
    tables["a"] |= {"NumRestarts": 2}
    assert verifiers.standing() == Standing(serving=1, deaths=1, restarts=2)
    tables["b"] = {"State": "ALIVE", "NumRestarts": 1}
    assert verifiers.standing() == Standing(serving=2, deaths=2, restarts=3)
