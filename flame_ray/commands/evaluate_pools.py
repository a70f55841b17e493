"""The workers of `flame-ray evaluate`, each kind started when something first asks for it, and kept until the end."""

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TypeVar

from flame_ray.cluster.capacity import check_capacity
from flame_ray.cluster.connect import connected
from flame_ray.cluster.pool import WorkerPool
from flame_ray.commands.evaluated_model import EvaluatedModel
from flame_ray.commands.factuality_pool import IN_FLIGHT, FactualityWorkers
from flame_ray.config import Config
from flame_ray.controller.workers import Scope, start_factuality, start_judge, start_samplers
from flame_ray.engines.models import KnownModel
from flame_ray.report.progress import CONNECT, Screen

Started = TypeVar("Started")


class Pools:
    """A context. Without a call of one of its methods it starts nothing, not even Ray."""

    def __init__(self, config: Config, model: EvaluatedModel, judge: KnownModel, screen: Screen):
        self._config, self._model, self._judge_model, self._screen = config, model, judge, screen
        self._stack = ExitStack()
        self._connected = False
        self._samplers: WorkerPool | None = None
        self._judge: WorkerPool | None = None
        self._factuality: dict[str, FactualityWorkers] = {}

    def __enter__(self) -> "Pools":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def samplers(self) -> WorkerPool:
        """They serve the model that is evaluated."""
        if self._samplers is None:
            model = self._model
            self._samplers = self._start(
                "samplers", ("rollout",), lambda scope: start_samplers(scope, model.base.ref, model.stored)
            )
        return self._samplers

    def judge(self) -> WorkerPool:
        """They serve `judge.model`, or the policy if none is named."""
        if self._judge is None:
            self._judge = self._start("judge", ("judge",), lambda scope: start_judge(scope, self._judge_model.ref))
        return self._judge

    def factuality(self, corpus: str) -> FactualityWorkers:
        """They check facts on this corpus."""
        if corpus not in self._factuality:
            config = self._config.replaced("factuality", corpus=corpus)
            pool = self._start("fact checkers", ("factuality", "verifier"), start_factuality, config)
            self._factuality[corpus] = FactualityWorkers(pool, IN_FLIGHT * config.factuality.workers)
        return self._factuality[corpus]

    def _start(
        self, what: str, roles: tuple[str, ...], start: Callable[[Scope], Started], config: Config | None = None
    ) -> Started:
        config = config or self._config
        if not self._connected:
            ray_here = connected(config.cluster, f"evaluate-{os.getpid()}")
            self._stack.enter_context(self._screen.entering(CONNECT, ray_here))
            self._connected = True
        check_capacity(config, only=roles)
        scope = self._stack.enter_context(Scope(config))
        with closing(self._screen.begin(f"start {what}")) as bar:
            started = start(scope)
            bar.end("ready")
        return started
