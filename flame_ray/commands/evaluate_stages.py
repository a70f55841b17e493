"""The stages of `flame-ray evaluate`: answers, facts, and which prompts need them; what is done already is never done again.

Every piece of finished work is in the cache, under what it was made by, as soon as it is there. So a killed command resumes,
and suites, limits and calls share the work that they have in common.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from flame_ray import __version__
from flame_ray.commands.evaluate_pools import Pools, with_corpus
from flame_ray.commands.evaluated_model import EvaluatedModel
from flame_ray.commands.factuality_pool import StepCounter
from flame_ray.commands.score import facts_made_by
from flame_ray.config import Config
from flame_ray.config.load import lasting
from flame_ray.journal.shards import adapter
from flame_ray.report.progress import Screen
from flame_ray.rewards.factuality.reward import Task
from flame_ray.rollout.pool import RolloutPool
from flame_ray.rollout.sampling import greedy_plan
from flame_ray.storage.cache import Cache, cache_dir, node_file
from flame_ray.types import FactScore, Missing, Prompt, Response, ResponseId

Item, Record = TypeVar("Item"), TypeVar("Record")
MadeBy = dict[str, Any]


class Kept(Generic[Record]):
    """Records of one type, kept on this node's disk by what they were made by and from."""

    def __init__(self, kind: str, type: type[Record], made_by: MadeBy):
        self._cache = Cache(node_file(cache_dir() / "evaluate" / kind / digest(lasting(made_by))))
        self._json = adapter(type)

    def find(self, keys: Sequence[str]) -> dict[str, Record]:
        """Those that are there, by key."""
        return {key: self._json.validate_json(text, strict=True)[0] for key, text in self._cache.get(keys).items()}

    def keep(self, key: str, record: Record) -> None:
        self._cache.add({key: self._json.dump_json([record]).decode()})


def digest(value: Any) -> str:
    """Sixteen letters that are the same for the same JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


class EvaluationStages:
    """The work on one model. Each method returns one record for each prompt, in order."""

    def __init__(self, config: Config, model: EvaluatedModel, pools: Pools, screen: Screen):
        self._config, self._model, self._pools, self._screen = config, model, pools, screen

    def answers(self, prompts_P: Sequence[Prompt]) -> list[Response]:
        """Greedy answers."""
        plan = greedy_plan(0, self._config.suites.max_tokens)

        def sample(prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, Response]]:
            for group in RolloutPool(self._pools.samplers()).generate(prompts, plan):
                yield group.prompt, group.responses_G[0]

        kept = Kept("answers", Response, answers_made_by(self._config, self._model))
        found = self._complete("answer", kept, prompts_P, lambda prompt: prompt.text, sample)
        return [replace(each, id=_id(prompt)) for prompt, each in zip(prompts_P, found, strict=True)]

    def facts(self, prompts_P: Sequence[Prompt], responses_P: Sequence[Response], corpus: str) -> list[FactScore | Missing]:
        """The facts of the answers, checked on a corpus."""

        def check(tasks: Sequence[Task]) -> Iterator[tuple[Task, FactScore | Missing]]:
            return self._pools.factuality(corpus).scores((task, task) for task in tasks)

        tasks = [Task(*each) for each in zip(prompts_P, responses_P, strict=True)]
        kept = Kept("facts", FactScore, facts_made_by(with_corpus(self._config, corpus)))
        found = self._complete("check facts", kept, tasks, _text_of, check)
        return [replace(each, response_id=_id(prompt)) for prompt, each in zip(prompts_P, found, strict=True)]

    def _complete(
        self,
        label: str,
        kept: Kept[Any],
        items: Sequence[Item],
        key: Callable[[Item], str],
        work: Callable[[Sequence[Item]], Iterable[tuple[Item, Any]]],
    ) -> list[Any]:
        """One record for each item: what is kept under its key, or else what `work` makes of it. A failure is not kept."""
        found: dict[str, Any] = dict(kept.find([key(item) for item in items]))
        left = {key(item): item for item in items if key(item) not in found}
        if left:
            with StepCounter(self._screen, label, "prompts", len(left)) as counter:
                for item, record in counter.count(work(list(left.values()))):
                    found[key(item)] = record
                    if not isinstance(record, Missing):
                        kept.keep(key(item), record)
        return [found[key(item)] for item in items]


def _text_of(task: Task) -> str:
    return json.dumps([task.prompt.text, task.response.text, task.response.finish_reason])


def answers_made_by(config: Config, model: EvaluatedModel) -> MadeBy:
    """What an answer depends on, beside its prompt."""
    of_suites = {name: getattr(config.suites, name) for name in ("max_tokens", "max_length")}
    return {"version": __version__, "weights": model.fingerprint, "dtype": config.model.dtype, "answers": of_suites}


def _id(prompt: Prompt) -> ResponseId:
    return ResponseId(0, prompt.id, 0)
