"""Judges without a run, for `flame-ray agreement`, `evaluate` and `judge-examples`."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from flame_ray.cluster.pool import WorkerPool
from flame_ray.cluster.streams import bounded_map
from flame_ray.commands.pools import started
from flame_ray.config import Config
from flame_ray.controller.stages import PooledModel
from flame_ray.controller.workers import JUDGE_BATCH, start_judge
from flame_ray.engines.base import Message, Sample
from flame_ray.engines.models import KnownModel, check_chat, check_judge_model, look_up
from flame_ray.errors import WorkLost
from flame_ray.prompts.classify import NEEDS_FACTS, classification_cache, probabilities
from flame_ray.report.progress import Screen
from flame_ray.types import Group, Missing, RewardResult

log = logging.getLogger(__name__)
Results = tuple[RewardResult, ...]
Chat = Sequence[Message]


def judge_model(config: Config) -> KnownModel:
    """The model of `judge.model`, or else the policy's. Raises ModelError if it cannot judge."""
    check_judge_model(config.judge)
    named = config.judge.model
    model = look_up(named or config.model.policy, config.model, "judge.model" if named else "model.policy")
    check_chat(model.folder, config.model, config.judge_variables, "judge.chat_template_kwargs")
    return model


def judges(config: Config, model: KnownModel, after_interrupt: str, screen: Screen) -> AbstractContextManager[WorkerPool]:
    """Judges, while the block lasts. `after_interrupt` tells the user what to do."""
    return started(config, ("judge",), lambda scope: start_judge(scope, model.ref), "judge", after_interrupt, screen)


@contextmanager
def judged(config: Config, after_interrupt: str, screen: Screen, groups: Iterable[Group]) -> Iterator[Iterator[Results]]:
    """The judge's results of each group [G], in order, while the block lasts."""
    with judges(config, judge_model(config), after_interrupt, screen) as pool:
        yield results_of(pool, groups, config)


@contextmanager
def instruction_classifier(
    config: Config, after_interrupt: str, screen: Screen
) -> Iterator[Callable[[Sequence[str]], list[float]]]:
    """While the block lasts, the probability by the judge's model that each instruction needs facts."""
    model = judge_model(config)
    known = classification_cache(model.identity(config.judge_variables))
    with judges(config, model, after_interrupt, screen) as pool:
        yield lambda texts: probabilities(texts, NEEDS_FACTS, PooledModel(pool), known)


def answers_of(pool: WorkerPool, chats: Iterable[Chat], config: Config) -> Iterator[tuple[Chat, Sample | None]]:
    """The greedy answer of the judge's model to each chat, as they come; None: it had no room."""
    max_tokens = config.judge.max_tokens
    for chat, future in bounded_map(lambda chat: pool.submit("write", chat, max_tokens), chats, _window(config)):
        yield chat, future.result()


def results_of(pool: WorkerPool, groups: Iterable[Group], config: Config) -> Iterator[Results]:
    """The results of each group, in order. Those of a group that crashed every worker are missing."""
    for group, future in bounded_map(lambda group: pool.submit("score", group), groups, _window(config), ordered=True):
        try:
            yield future.result()
        except WorkLost as error:
            log.warning("%s", error)
            yield tuple(Missing(response.id, "worker lost") for response in group.responses_G)


def _window(config: Config) -> int:
    """How many questions are under way."""
    return 4 * JUDGE_BATCH * config.judge.workers
