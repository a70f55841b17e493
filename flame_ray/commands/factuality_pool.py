"""Factuality workers without a run: what `flame-ray score` and `flame-ray agreement` share.

In: settings, and items of work. Out: results in the items' order, with a bound on how many are under way. Knows nothing of
files, or of what becomes of the results.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from flame_ray.cluster.capacity import check_capacity
from flame_ray.cluster.connect import connected
from flame_ray.cluster.event_loop import Background
from flame_ray.cluster.interrupt import interruptible, result_of
from flame_ray.cluster.pool import WorkerPool
from flame_ray.cluster.streams import bounded_map
from flame_ray.config import Config
from flame_ray.controller.workers import FACTUALITY_BATCH, start_factuality
from flame_ray.errors import WorkLost
from flame_ray.report.progress import Screen
from flame_ray.rewards.factuality.reward import Task
from flame_ray.types import Audit, Claim, Missing, Verdict, VerdictLabel

log = logging.getLogger(__name__)
AHEAD = 4 * FACTUALITY_BATCH  # items under way for each worker, so that it never waits for its next batch
EVERY_S = 30.0  # between two lines of progress where there is no terminal
Item = TypeVar("Item")
Result = TypeVar("Result")


class FactualityWorkers:
    """A pool that audits responses and checks claims, each result in its turn."""

    def __init__(self, pool: WorkerPool, window: int):
        self._pool, self._window = pool, window

    def audits(self, items: Iterable[tuple[Item, Task]]) -> Iterator[tuple[Item, Audit]]:
        """What each task is worth; one that brought down one worker after another is missing."""
        submitted = bounded_map(lambda each: self._pool.submit("audit", each[1]), items, self._window, ordered=True)
        for (item, task), future in submitted:
            yield item, _result(future, Audit(Missing(task.response.id, "worker lost")))

    def verdicts(self, claims: Iterable[Claim]) -> Iterator[Verdict]:
        """One a claim; a claim that brought down one worker after another is an error."""
        submitted = bounded_map(lambda claim: self._pool.submit("check", claim), claims, self._window, ordered=True)
        for claim, future in submitted:
            yield _result(future, Verdict(claim.fact, VerdictLabel.ERROR, 0.0, None))

    def described(self) -> tuple[float, str]:
        """The checker's threshold and identity."""
        return result_of(self._pool.submit("described", "its checker"))


@contextmanager
def checking(config: Config, go_on: str, screen: Screen, corpus: bool = True) -> Iterator[FactualityWorkers]:
    """A Ray with factuality workers for the length of the block; `go_on` is what to do after an interruption.

    `corpus` false: they begin without one, and read it only when something asks for passages.
    """
    with connected(config.cluster, f"factuality-{os.getpid()}"), interruptible(go_on):
        check_capacity(config, only=("factuality", "verifier"))
        background, bar = Background(), screen.begin("start actors")
        try:
            pool = start_factuality(config, background, corpus)
            bar.end("ready")
            yield FactualityWorkers(pool, AHEAD * config.factuality.workers)
        finally:
            bar.close()
            background.close()


def _result(future: Future, lost: Any) -> Any:
    try:
        return future.result()
    except WorkLost as error:
        log.warning("%s", error)
        return lost


class Pace:
    """How far along: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, screen: Screen, label: str, unit: str, total: int, every_s: float = EVERY_S):
        self._screen, self._unit, self._total, self._every_s = screen, unit, total, every_s
        self._bar = screen.begin(label)
        self._said = time.monotonic()

    def __enter__(self) -> "Pace":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def counted(self, results: Iterable[Item]) -> Iterator[Item]:
        """The same results, each of which is one step."""
        for done, result in enumerate(results, start=1):
            self.at(done)
            yield result

    def at(self, done: int) -> None:
        self._bar.advance(done, self._total)
        if not self._screen.console.is_terminal and time.monotonic() - self._said >= self._every_s:
            self._said = time.monotonic()
            words = f"{self._bar.label}: {done} of {self._total} {self._unit} after {self._bar.seconds:.0f} s"
            self._screen.console.print(words, highlight=False, markup=False, soft_wrap=True)
