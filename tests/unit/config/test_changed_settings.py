"""Which settings a run may change when it goes on: where and how fast, but not what is learned."""

import pytest
from pydantic import BaseModel

from flame_ray.config import Config
from flame_ray.config.load import changed_settings, parse_config


def settings(**sections) -> Config:
    return parse_config(sections, "here")


def settings_of(model: BaseModel, prefix: str = "") -> set[str]:
    """Every setting's path."""
    found: set[str] = set()
    for name in type(model).model_fields:
        value = getattr(model, name)
        found |= settings_of(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else {f"{prefix}{name}"}
    return found


def test_the_same_settings_have_changed_nothing():
    config = settings(learner={"lora": None}, prompts={"sources": [{"source": "x.jsonl"}]})
    assert changed_settings(config, config.model_copy()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"learner": {"lr": 0.5}}, "learner.lr: 0.0001 -> 0.5"),
        ({"run": {"seed": 7}}, "run.seed: 0 -> 7"),
        ({"run": {"rounds": 9}}, "run.rounds: 3 -> 9"),
        ({"rollout": {"temperature": 0.5}}, "rollout.temperature: 0.7 -> 0.5"),
        ({"pairs": {"kinds": ["factuality"]}}, "pairs.kinds: ['instruction', 'factuality'] -> ['factuality']"),
        ({"pairs": {"recall_at": 4}}, "pairs.recall_at: None -> 4"),
        ({"learner": {"lora": {"r": 4}}}, "learner.lora.r: 16 -> 4"),
        ({"pipeline": {"staleness": 1}}, "pipeline.staleness: 0 -> 1"),
        ({"learner": {"batch_pairs": 16}}, "learner.batch_pairs: 8 -> 16"),
    ],
)
def test_a_setting_that_says_what_is_learned_is_named_with_both_values(change, told):
    assert changed_settings(Config(), settings(**change)) == [told]


def test_an_adapter_that_is_turned_off_or_on_is_told():
    assert "learner.lora.r: 16 -> None" in changed_settings(Config(), settings(learner={"lora": None}))
    assert "learner.lora.r: None -> 16" in changed_settings(settings(learner={"lora": None}), Config())


def test_a_changed_source_of_prompts_is_told_whole():
    (told,) = changed_settings(Config(), settings(prompts={"sources": [{"source": "mine.jsonl"}]}))
    assert told.startswith("prompts.sources: ") and "mine.jsonl" in told


@pytest.mark.parametrize(
    "change",
    [
        {"rollout": {"workers": 8, "min_workers": 2, "cpus": 4, "gpus": 1, "threads": 3}},
        {"rollout": {"batch_sequences": 8, "max_sequences": 8, "kv_cache_gib": 3, "gpu_memory": 0.5}},
        {"judge": {"workers": 2, "max_sequences": 8, "gpu_memory": 0.5}},
        {"factuality": {"workers": 2}},
        {"weights": {"chunk_mib": 7}, "pipeline": {"colocated": True}},
        {"learner": {"workers": 2, "micro_batch_pairs": 2, "zero_stage": 3, "offload": "optimizer"}},
        {"learner": {"gradient_checkpointing": True, "checkpoint_steps": 5}},
        {"run": {"id": "mine", "root": "s3://elsewhere", "keep_checkpoints": 1}},
        {"cluster": {"address": "ray://head:10001", "dashboard": False, "object_store_gib": 8, "start_timeout_s": 60}},
    ],
    ids=lambda change: ", ".join(f"{section}.{name}" for section, names in change.items() for name in names),
)
def test_a_setting_that_says_where_or_how_fast_may_change(change):
    assert changed_settings(Config(), settings(**change)) == []


def test_every_change_is_told_in_the_order_of_the_paths():
    told = changed_settings(
        Config(), settings(run={"seed": 1}, learner={"lr": 0.5, "workers": 2}, evaluation={"bootstrap": 100})
    )
    assert [line.split(":")[0] for line in told] == ["evaluation.bootstrap", "learner.lr", "run.seed"]


def test_every_setting_that_may_change_exists():
    """A setting that is renamed must not slip out of the list."""
    from flame_ray.config.load import WHERE_NOT_WHAT

    free = {path for path in settings_of(Config()) if WHERE_NOT_WHAT.fullmatch(path)}
    assert {path.partition(".")[0] for path in free} >= {"cluster", "run", "rollout", "factuality", "judge", "learner"}
    assert {
        "learner.lr",
        "learner.beta",
        "rollout.samples",
        "rollout.temperature",
        "judge.model",
        "factuality.corpus",
    }.isdisjoint(free)
