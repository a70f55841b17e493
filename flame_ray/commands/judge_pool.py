"""Judges without a run, for `flame-ray agreement`, `evaluate` and `judge-examples`."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager

from flame_ray.cluster.capacity import check_capacity
from flame_ray.cluster.connect import connected
from flame_ray.cluster.interrupt import interruptible
from flame_ray.cluster.pool import WorkerPool
from flame_ray.cluster.streams import bounded_map
from flame_ray.config import Config
from flame_ray.controller.stages import PooledModel
from flame_ray.controller.workers import JUDGE_BATCH, Scope, start_judge
from flame_ray.engines.base import Message, Sample
from flame_ray.engines.models import KnownModel, check_chat, check_judge_model, look_up
from flame_ray.errors import WorkLost
from flame_ray.prompts.classify import NEEDS_FACTS, classification_cache, probabilities
from flame_ray.report.progress import CONNECT, Screen
from flame_ray.types import Group, Missing, RewardResult

log = logging.getLogger(__name__)
Results = tuple[RewardResult, ...]
Chat = Sequence[Message]


@contextmanager
def judged(config: Config, after_interrupt: str, screen: Screen, groups: Iterable[Group]) -> Iterator[Iterator[Results]]:
    """The judge's results of each group [G], in order, while the block lasts. `after_interrupt` tells the user what to do."""
    with _judges(config, judge_model(config), after_interrupt, screen) as pool:
        yield results_of(pool, groups, 4 * JUDGE_BATCH * config.judge.workers)


@contextmanager
def answering(
    config: Config, model: KnownModel, after_interrupt: str, screen: Screen
) -> Iterator[Callable[[Iterable[Chat]], Iterator[tuple[Chat, Sample | None]]]]:
    """While the block lasts, the greedy answer of the judge's model to each chat, as they come; None: it had no room."""
    window, max_tokens = 4 * JUDGE_BATCH * config.judge.workers, config.judge.max_tokens
    with _judges(config, model, after_interrupt, screen) as pool:

        def answer(chats: Iterable[Chat]) -> Iterator[tuple[Chat, Sample | None]]:
            for chat, future in bounded_map(lambda chat: pool.submit("write", chat, max_tokens), chats, window):
                yield chat, future.result()

        yield answer


@contextmanager
def instruction_classifier(
    config: Config, after_interrupt: str, screen: Screen
) -> Iterator[Callable[[Sequence[str]], list[float]]]:
    """While the block lasts, the probability by the judge's model that each instruction needs facts."""
    model = judge_model(config)
    known = classification_cache(model.identity(config.judge_variables))
    with _judges(config, model, after_interrupt, screen) as pool:
        yield lambda texts: probabilities(texts, NEEDS_FACTS, PooledModel(pool), known)


def judge_model(config: Config) -> KnownModel:
    """The model of `judge.model`, or else the policy's. Raises ModelError."""
    named = config.judge.model
    return look_up(named or config.model.policy, config.model, "judge.model" if named else "model.policy")


@contextmanager
def _judges(config: Config, model: KnownModel, after_interrupt: str, screen: Screen) -> Iterator[WorkerPool]:
    check_chat(model.folder, config.model, config.judge_variables, "judge.chat_template_kwargs")
    check_judge_model(config.judge)
    ray_here = screen.entering(CONNECT, connected(config.cluster, f"judge-{os.getpid()}"))
    with interruptible(after_interrupt), ray_here:
        check_capacity(config, only=("judge",))
        with Scope(config) as scope, closing(screen.begin("start actors")) as bar:
            pool = start_judge(scope, model.ref)
            bar.end("ready")
            yield pool


def results_of(pool: WorkerPool, groups: Iterable[Group], window: int) -> Iterator[Results]:
    """The results of each group, of which `window` are under way. Those of a group that crashed every worker are missing."""
    for group, future in bounded_map(lambda group: pool.submit("score", group), groups, window, ordered=True):
        try:
            yield future.result()
        except WorkLost as error:
            log.warning("%s", error)
            yield tuple(Missing(response.id, "worker lost") for response in group.responses_G)
