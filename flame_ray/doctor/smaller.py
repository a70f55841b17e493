"""Ever smaller settings, the mildest change first, and the first of them that fits.

In: settings, and a question that says whether others fit. Out: the change, as `--set` takes it. Knows no memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flame_ray.config import Config, JudgeConfig, LearnerConfig, LoraConfig, RolloutConfig, VerifierConfig, Workers

MAX_RANKS = 512


def role_changes(role: Workers) -> Iterator[dict[str, Any]]:
    """Ever smaller settings of one role for its GPU, the mildest first."""
    if isinstance(role, LearnerConfig):
        yield from learner_changes(role)
    elif isinstance(role, RolloutConfig | JudgeConfig | VerifierConfig):
        larger = [share for share in (0.8, 0.85, 0.9, 0.95) if role.gpu_memory < share <= role.gpus]
        for sequences in [role.max_sequences, *(fewer for fewer in (64, 16) if fewer < role.max_sequences)]:
            yield from ({"gpu_memory": share, "max_sequences": sequences} for share in (role.gpu_memory, *larger))


def learner_changes(learner: LearnerConfig) -> Iterator[dict[str, Any]]:
    """Ever smaller learners, the mildest change first: micro-batch, checkpointing, ZeRO stage, offload, ranks, LoRA."""
    checkpointing = (False, True) if not learner.gradient_checkpointing else (True,)
    stages = range(learner.zero_stage, 4) if learner.workers > 1 else (learner.zero_stage,)
    for stage in stages:
        for recompute in checkpointing:
            for micro in _smaller_micro_batches(learner):
                yield {"micro_batch_pairs": micro, "gradient_checkpointing": recompute, "zero_stage": stage}
    least: dict[str, Any] = {"micro_batch_pairs": 1, "gradient_checkpointing": True}
    if learner.gpus:
        yield least | {"zero_stage": max(learner.zero_stage, 2), "offload": "optimizer"}
        for ranks in _more_ranks(learner):
            yield least | {"zero_stage": 3, "workers": ranks}
    if learner.lora is None:
        yield least | {"lora": LoraConfig()}
        if learner.gpus:
            yield least | {"zero_stage": 3, "lora": LoraConfig()}


def _smaller_micro_batches(learner: LearnerConfig) -> list[int]:
    share = learner.batch_pairs // learner.workers
    return [pairs for pairs in range(learner.micro_batch_pairs, 0, -1) if share % pairs == 0]


def _more_ranks(learner: LearnerConfig) -> list[int]:
    return [ranks for ranks in range(learner.workers + 1, MAX_RANKS + 1) if learner.batch_pairs % ranks == 0]


def config_changes(config: Config) -> Iterator[dict[str, dict[str, Any]]]:
    """Ever smaller jobs for one machine's memory: the learner first, then the KV caches, then one worker a role."""
    learner: dict[str, Any] = {}
    for learner in learner_changes(config.learner) if not config.learner.gpus else ():
        yield {"learner": learner}
    one = {"workers": 1, "min_workers": None}
    yield {"learner": learner, "rollout": {"kv_cache_gib": 1.0}, "judge": {"kv_cache_gib": 1.0}}
    engine = {"kv_cache_gib": 1.0, **one}
    yield {"learner": learner, "rollout": engine, "judge": engine, "factuality": one}
    yield {"learner": learner | one, "rollout": engine, "judge": engine, "factuality": one}


def with_changes(config: Config, changes: Mapping[str, Mapping[str, Any]]) -> Config:
    sections: dict[str, Workers] = {name: getattr(config, name).model_copy(update=dict(new)) for name, new in changes.items()}
    return config.model_copy(update=sections)


def what_fits(config: Config, changes: Iterable[Mapping[str, Mapping[str, Any]]], fits: Callable[[Config], bool]) -> list[str]:
    """The settings of the first change that fits, as `section.key=value`; none when no change does."""
    for change in changes:
        if fits(with_changes(config, change)):
            return [
                f"{section}.{key}={_written(value)}"
                for section, new in change.items()
                for key, value in new.items()
                if value != getattr(getattr(config, section), key)
            ]
    return []


def _written(value: Any) -> str:
    """A value as `--set` takes it."""
    if isinstance(value, LoraConfig):
        return f"{{r: {value.r}, alpha: {value.alpha}}}"
    return "null" if value is None else str(value).lower()
