"""Keeps samples and their scores, so that a run or a fine-tuning takes over those that another one has made alike.

Samples are found by the prompt that the model was given, and scores by the responses: whoever shares a key shares what both
ask for, whatever else either asks.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from flame_ray.config import Config
from flame_ray.config.load import lasting
from flame_ray.journal.shards import append, load
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.round import Stages
from flame_ray.storage.atomic import json_digest
from flame_ray.storage.filesystem import Storage
from flame_ray.types import FACTUALITY, INSTRUCTION, Group, Missing, Prompt, RewardResult, ScoredGroup, ScoredResponse

log = logging.getLogger(__name__)
Record = TypeVar("Record", Group, ScoredGroup)
# Of what a resumed run may not change: sections that decide no sample and no score of a given prompt. A new section counts.
# What `rollout` says of sampling is in the plan.
ELSEWHERE = {"run", "prompts", "classify", "rollout", "pairs", "learner", "sft", "evaluation", "pipeline"}
READS = {INSTRUCTION: {"judge"}, FACTUALITY: {"factuality", "verifier"}}  # by reward, the sections that it alone reads
ROOM = "model.max_length"  # a prompt without room for a response is not sampled


def samples_key(config: Config, plan: SamplingPlan, models: Mapping[str, str], contents: Sequence[Any] = ()) -> str:
    """A digest of what decides a response, beside its prompt.

    `models`: by their settings, which models are asked; what these settings say themselves does not count. `contents`: what
    tells the content of the policy, as JSON can write it.
    """
    without = ELSEWHERE.union({ROOM}, *READS.values())
    return json_digest([asdict(plan), _deciding(config, models, without), contents])


def scores_key(config: Config, reward: str, samples: str, models: Mapping[str, str], contents: Sequence[Any] = ()) -> str:
    """The same of a reward of responses. `samples`: their key. `contents`: of what this reward reads."""
    without = ELSEWHERE.union(*(sections for name, sections in READS.items() if name != reward))
    return json_digest([reward, samples, _deciding(config, models, without), contents])


def _deciding(config: Config, models: Mapping[str, str], without: Collection[str]) -> dict[str, Any]:
    """The settings and models, but those of some sections or paths."""
    told = lasting(config.model_dump(mode="json")) | dict(models)
    return {path: value for path, value in told.items() if not {path, path.partition(".")[0]} & set(without)}


@dataclass(frozen=True)
class Shelf(Generic[Record]):
    """The records of all runs under a key: `<key>/<run id>/<number>.json.gz` of `root`. Each run adds its own."""

    root: Storage
    key: str
    run_id: str
    kind: type[Record]

    def names(self) -> list[str]:
        return self.root.names(self.key)

    def read(self, name: str) -> list[Record]:
        return load(self.root, name, self.kind)

    def adding(
        self, stream: Iterable[Record], stored: Callable[[Record], Record | None] = lambda record: record
    ) -> Iterator[Record]:
        """Passes a stream on, each record after it is on the shelf, or what is `stored` of it."""
        return append(self.root, f"{self.key}/{self.run_id}", stream, stored)


@dataclass(frozen=True)
class SharedSamples:
    """Groups of responses, each under the prompt that the model was given."""

    shelf: Shelf[Group]

    def sampled(self, prompts_P: Sequence[Prompt], sample: Callable[[Sequence[Prompt]], Iterable[Group]]) -> Iterator[Group]:
        """The group of each prompt: those that were kept, then those that are sampled now, which are kept."""
        left = {(prompt.id, prompt.text): prompt for prompt in prompts_P}
        for name in self.shelf.names() if left else ():
            for group in self.shelf.read(name):
                if prompt := left.pop((group.prompt.id, group.prompt.text), None):
                    yield replace(group, prompt=prompt)
        if taken := len(prompts_P) - len(left):
            log.info("the samples of %d of %d prompts are those of earlier runs", taken, len(prompts_P))
        if left:
            yield from self.shelf.adding(sample(tuple(left.values())))


@dataclass(frozen=True)
class SharedScores:
    """The results of one reward, each group of them with its responses."""

    reward: str
    shelf: Shelf[ScoredGroup]

    def find(self, group: Group) -> tuple[RewardResult, ...] | None:
        """One result a response [G], if just these responses have been scored."""
        asked = _responses(group)
        if (name := self._places.get(hash(asked))) is None:
            return None
        kept = next((each for each in self._read(name) if _responses(each) == asked), None)
        return tuple(each.rewards[self.reward] for each in kept.scored_G) if kept else None

    def adding(self, scored_P: Iterable[ScoredGroup]) -> Iterator[ScoredGroup]:
        """Passes groups on once their results are kept, but for those that were found."""
        return self.shelf.adding(scored_P, self._new)

    def _new(self, group: ScoredGroup) -> ScoredGroup | None:
        """This reward alone. A result that is missing may be had another time."""
        results = [each.rewards.get(self.reward) for each in group.scored_G]
        is_whole = all(result is not None and not isinstance(result, Missing) for result in results)
        if not is_whole or hash(_responses(group)) in self._places:
            return None
        return replace(group, scored_G=tuple(_with_only(self.reward, each) for each in group.scored_G))

    @cached_property
    def _places(self) -> dict[int, str]:
        return {hash(_responses(each)): name for name in self.shelf.names() for each in self.shelf.read(name)}

    @cached_property
    def _read(self) -> Callable[[str], list[ScoredGroup]]:
        return lru_cache(maxsize=2)(self.shelf.read)  # groups are asked for in the order in which they were kept


@dataclass(frozen=True)
class SharedRound:
    """The samples and scores of a run's first round."""

    samples: SharedSamples
    scores: Mapping[str, SharedScores]

    def known(self, reward: str, group: Group) -> Sequence[RewardResult] | None:
        """What was kept of a reward of these responses."""
        return self.scores[reward].find(group)

    def keeping(self, stages: Stages) -> Stages:
        """The same stages, which keep what the first round samples and scores. `score` itself asks for what is `known`."""

        def sample(prompts_P: Sequence[Prompt], round: int) -> Iterable[Group]:
            if round > 1:
                return stages.sample(prompts_P, round)
            return self.samples.sampled(prompts_P, lambda left_P: stages.sample(left_P, round))

        def score(groups_P: Iterable[Group], round: int) -> Iterable[ScoredGroup]:
            scored_P = stages.score(groups_P, round)
            for scores in self.scores.values() if round == 1 else ():
                scored_P = scores.adding(scored_P)
            return scored_P

        return replace(stages, sample=sample, score=score)


def _responses(group: Group | ScoredGroup) -> tuple:
    """What a reward reads, as one value."""
    responses_G = group.responses_G if isinstance(group, Group) else tuple(each.response for each in group.scored_G)
    return group.prompt.id, group.prompt.text, responses_G


def _with_only(reward: str, scored: ScoredResponse) -> ScoredResponse:
    return replace(scored, rewards={reward: scored.rewards[reward]})
