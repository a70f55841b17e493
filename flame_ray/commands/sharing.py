"""Where a run and a fine-tuning keep what they sample and score for others, and under which keys: `run.samples`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flame_ray import __version__
from flame_ray.cluster.submitted import require_lasting
from flame_ray.commands.score import facts_contents
from flame_ray.config import Config
from flame_ray.controller.stages import sampling_plan
from flame_ray.engines.models import JUDGE_WEIGHTS, KnownModel
from flame_ray.journal.shared_samples import SharedRound, SharedSamples, SharedScores, Shelf, samples_key, scores_key
from flame_ray.rewards.factuality.check.finetuned import VERSION
from flame_ray.rewards.factuality.corpus import signature
from flame_ray.rewards.factuality.records import FORMAT
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.storage.atomic import sha256_of
from flame_ray.storage.filesystem import Storage
from flame_ray.types import FACTUALITY, INSTRUCTION, Group, ScoredGroup


def shared_samples(config: Config, plan: SamplingPlan, policy: KnownModel, run_id: str) -> SharedSamples | None:
    """Where the run shares what the policy answers by this plan; None if the settings name no place. Raises ConfigError."""
    if config.run.samples is None:
        return None
    require_lasting("run.samples", config.run.samples, "--set run.samples=/shared/path, or s3://bucket/path")
    contents = [policy.identity(config.model.chat_template_kwargs), __version__]
    key = samples_key(config, plan, {"model.policy": policy.ref.pinned}, contents)
    return SharedSamples(Shelf(Storage(config.run.samples), key, run_id, Group))


def shared_round(
    config: Config, policy: KnownModel, judge: KnownModel, models: Mapping[str, str], run_id: str
) -> SharedRound | None:
    """The same of the first round of `flame-ray run`, with its scores. `models`: by setting, all that it asks."""
    samples = shared_samples(config, sampling_plan(config, 1), policy, run_id)
    if samples is None:
        return None
    scores = {}
    for reward, contents in _contents(config, judge).items():
        key = scores_key(config, reward, samples.shelf.key, models, [contents, __version__])
        scores[reward] = SharedScores(reward, Shelf(samples.shelf.root, key, run_id, ScoredGroup))
    return SharedRound(samples, scores)


def _contents(config: Config, judge: KnownModel) -> dict[str, Any]:
    """By reward, what tells the content of what it reads beside the responses, as JSON can write it."""
    factuality = config.factuality
    corpus = signature(factuality.corpus, factuality.title_column, factuality.text_column)
    of_judge = {"model": judge.identity(config.judge_variables)}
    if config.judge.kind.is_trained and config.judge.preferences:
        of_judge["preferences"] = sha256_of(Path(config.judge.preferences).expanduser() / JUDGE_WEIGHTS)
    return {INSTRUCTION: of_judge, FACTUALITY: [corpus, facts_contents(config), FORMAT, VERSION]}
