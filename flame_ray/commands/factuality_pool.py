"""Factuality workers without a run, for `flame-ray score`, `agreement` and `evaluate`."""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from flame_ray.cluster.interrupt import result_of
from flame_ray.cluster.pool import WorkerPool
from flame_ray.cluster.streams import bounded_map
from flame_ray.commands.pools import started
from flame_ray.config import Config
from flame_ray.controller.workers import FACTUALITY_BATCH, start_factuality
from flame_ray.engines.models import check_checker_model
from flame_ray.errors import WorkLost
from flame_ray.report.progress import Screen
from flame_ray.rewards.factuality.reward import FactTask, Task
from flame_ray.types import FactScore, Missing, Verdict, VerdictLabel

log = logging.getLogger(__name__)
IN_FLIGHT = 4 * FACTUALITY_BATCH  # items submitted for each worker, so that it never waits for its next batch
Item = TypeVar("Item")


class FactualityWorkers:
    """A pool that scores responses and checks facts; results come in the order of the items."""

    def __init__(self, pool: WorkerPool, window: int):
        self._pool, self._window = pool, window

    def scores(self, items: Iterable[tuple[Item, Task]]) -> Iterator[tuple[Item, FactScore | Missing]]:
        """Each item with the score of its task; a task that crashed one worker after another is missing."""
        submitted = bounded_map(lambda each: self._pool.submit("score_tasks", each[1]), items, self._window, ordered=True)
        for (item, task), future in submitted:
            yield item, _result(future, Missing(task.response.id, "worker lost"))

    def verdicts(self, tasks: Iterable[FactTask]) -> Iterator[Verdict]:
        """One verdict a fact. A fact that crashed one worker after another is an error."""
        submitted = bounded_map(lambda task: self._pool.submit("check", task), tasks, self._window, ordered=True)
        for task, future in submitted:
            yield _result(future, Verdict(task.fact, VerdictLabel.ERROR, 0.0, None))

    def sentence_probabilities(self, sentences: Iterable[str]) -> Iterator[float]:
        """For each sentence the probability that it carries factual knowledge."""
        submitted = bounded_map(
            lambda each: self._pool.submit("classify_sentences", each), sentences, self._window, ordered=True
        )
        for _, future in submitted:
            yield result_of(future)

    def described(self) -> tuple[float, str]:
        """The checker's threshold and identity."""
        return result_of(self._pool.submit("described", "its checker"))


@contextmanager
def factuality_workers(
    config: Config, after_interrupt: str, screen: Screen, corpus: bool = True
) -> Iterator[FactualityWorkers]:
    """Connects to Ray and starts factuality workers for the length of the block.

    `after_interrupt` tells the user what to do after an interruption. With `corpus` false, the workers start without a corpus,
    and read it only when something asks for passages.
    """
    check_checker_model(config.factuality)
    roles = ("factuality", "verifier")
    pool = started(config, roles, lambda scope: start_factuality(scope, corpus), "factuality", after_interrupt, screen)
    with pool as workers:
        yield FactualityWorkers(workers, IN_FLIGHT * config.factuality.workers)


def _result(future: Future, lost: Any) -> Any:
    try:
        return future.result()
    except WorkLost as error:
        log.warning("%s", error)
        return lost
