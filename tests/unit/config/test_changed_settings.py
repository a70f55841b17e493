"""A resumed run may change where and how fast it runs, but not what is learned."""

import pytest
from pydantic import BaseModel

from flame_ray.config import Config
from flame_ray.config.load import changeable_paths, changed_settings, differences, parse_config


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
        ({"pairs": {"kinds": ["factuality"]}}, "pairs.kinds: [instruction, factuality] -> [factuality]"),
        ({"pairs": {"recall_at": 4}}, "pairs.recall_at: null -> 4"),
        ({"learner": {"lora": {"r": 4}}}, "learner.lora.r: 16 -> 4"),
        ({"pipeline": {"staleness": 1}}, "pipeline.staleness: 0 -> 1"),
        ({"learner": {"batch_pairs": 16}}, "learner.batch_pairs: 8 -> 16"),
    ],
)
def test_a_setting_that_says_what_is_learned_is_named_with_both_values(change, told):
    assert changed_settings(Config(), settings(**change)) == [told]


def test_turning_an_adapter_off_or_on_is_a_change():
    assert "learner.lora.r: 16 -> null" in changed_settings(Config(), settings(learner={"lora": None}))
    assert "learner.lora.r: null -> 16" in changed_settings(settings(learner={"lora": None}), Config())


def test_a_changed_source_of_prompts_is_shown_whole():
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
    dtypes = {"model": {"dtype": "float32"}, "learner": {"dtype": "float32"}}  # `auto` is another one on a GPU
    after = {**dtypes, **change, "learner": {**dtypes["learner"], **change.get("learner", {})}}
    assert changed_settings(settings(**dtypes), settings(**after)) == []


def test_changes_are_listed_in_the_order_of_their_paths():
    told = changed_settings(
        Config(), settings(run={"seed": 1}, learner={"lr": 0.5, "workers": 2}, evaluation={"bootstrap": 100})
    )
    assert [line.split(":")[0] for line in told] == ["evaluation.bootstrap", "learner.lr", "run.seed"]


ROLE = ("workers", "min_workers", "node_labels", "cpus", "gpus", "threads")
ENGINE = ("max_sequences", "kv_cache_gib", "gpu_memory", "enforce_eager", "tensor_parallel")
CHANGEABLE = {
    *("run.id", "run.root", "run.samples", "run.trackers", "run.keep_checkpoints", "pipeline.colocated"),
    *("pipeline.release_idle", "factuality.cache"),
    "rollout.batch_sequences",
    *(f"{role}.{name}" for role in ("rollout", "factuality", "verifier", "judge", "learner") for name in ROLE),
    *(f"{role}.{name}" for role in ("rollout", "verifier", "judge") for name in ENGINE),
    *(f"learner.{name}" for name in ("placement", "zero_stage", "offload", "micro_batch_pairs", "packing")),
    *(f"learner.{name}" for name in ("gradient_checkpointing", "checkpoint_steps")),
    *(f"cluster.{name}" for name in ("address", "dashboard", "object_store_gib")),
    *(f"cluster.{name}_timeout_s" for name in ("start", "result", "step", "save", "push")),
    *("weights.backend", "weights.chunk_mib", "score.gamma", "score.max_bad_lines", "score.recall_at"),
    *(f"suites.{name}" for name in ("ask", "limit", "max_tokens", "max_length", "shots", "compare", "max_unread")),
    *(f"suites.{name}" for name in ("biography", "longfact", "alpaca", "fava", "truthfulqa", "mmlu", "gsm8k", "labelled")),
    *(f"train_checker.{name}" for name in ("twins", "labels", "licences", "aside", "mixed", "epochs")),
    *(f"train_checker.{name}" for name in ("lr", "lr_twins", "batch", "batch_twins")),
    *(
        f"train_checker.records.{name}"
        for name in ("labels", "corpus", "made", "made_weight", "aside", "epochs", "lr", "specificity")
    ),
    *(f"self_instruct.{name}" for name in ("seeds", "instructions", "seed_examples", "made_examples", "asked", "batch")),
    *(f"self_instruct.{name}" for name in ("patience", "max_alike", "min_words", "max_words", "max_tokens")),
    *(f"train_judge.{name}" for name in ("labels", "aside", "off_topic", "epochs", "lr", "batch")),
}


def test_exactly_these_settings_may_change_when_a_run_is_resumed():
    marked = set(changeable_paths())
    assert marked <= settings_of(Config()) | set(Config.model_fields)
    assert {path for path in settings_of(Config()) if path in marked or path.partition(".")[0] in marked} == CHANGEABLE


def test_a_whole_section_that_may_change_covers_names_that_this_version_does_not_know():
    before = {"cluster": {"old_name": 1}, "rollout": {"node_labels": {"zone": "a"}, "old_name": 1}}
    assert differences(before, {}) == ["rollout.old_name: 1 -> null"]
