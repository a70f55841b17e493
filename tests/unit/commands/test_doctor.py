"""The whole: every check of a job on this machine, which is left as it was."""

import json

import pytest
import ray
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from flame_ray.commands.doctor import _check_refused, _check_training, examine
from flame_ray.doctor.checks import Level
from flame_ray.journal.trackers import PACKAGES, TESTED
from tests.unit.doctor.samples import job, write_model


def test_a_job_is_examined_without_starting_ray_or_making_a_folder(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    write_model(folder)
    (folder / "chat_template.jinja").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    checks, plan, site = examine(job(cluster={"address": "local"}, model={"policy": str(folder)}))
    names = [check.name for check in checks]
    expected = {"Ray", "CPUs", "GPUs", "memory", "run.root", "Ray's disk", "model.policy", "prompts", "corpus", "package"}
    assert expected <= set(names) and len(names) == len(set(names))
    assert plan is not None and site.capacity["CPU"] >= 1
    assert not ray.is_initialized()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_without_the_weights_of_the_judge_is_a_problem(folder):
    write_model(folder)
    settings = job(
        cluster={"address": "local"},
        model={"policy": str(folder)},
        judge={"backend": "preference", "preferences": str(folder)},
    )
    found = {check.name: check for check in examine(settings)[0]}
    assert "preferences.safetensors" in found["judge.preferences"].expected
    assert "factuality.checker_model" not in found


def test_a_tracker_that_is_not_installed_is_a_problem_with_the_version_that_was_tested(monkeypatch):
    assert _check_refused(job()) == []
    monkeypatch.setitem(PACKAGES, "wandb", "flame_ray_has_no_such_package")
    (check,) = _check_refused(job(run={"trackers": ["wandb"]}))
    assert (check.level, check.name) == (Level.PROBLEM, "run.trackers") and f"pip install {TESTED['wandb']}" in check.fix


ROWS = {
    "claims": {"claim": "a", "evidence": ["b"], "label": "supported"},
    "facts": {"claim": "Peru has coasts.", "prompt": "Where is Peru?", "label": "supported"},
    "pairs": {"prompt": "a", "a": "b", "b": "c", "helpful": "a"},
}


@pytest.mark.parametrize(
    ("section", "kind", "name"),
    [
        (lambda file: {"train_checker": {"labels": [file]}}, "claims", "train_checker.labels"),
        (lambda file: {"train_checker": {"records": {"labels": [file]}}}, "facts", "train_checker.records.labels"),
        (lambda file: {"train_judge": {"labels": [file]}}, "pairs", "train_judge.labels"),
        (lambda file: {"train_checker": {"twins": {file: 3}}}, "corpus", "train_checker.twins"),
    ],
)
def test_a_training_without_its_files_is_a_problem(tmp_path, section, kind, name):
    path = tmp_path / "rows.jsonl"
    settings = job(**section(str(path)))
    found = {check.name: check for check in _check_training(settings)}
    assert found[name].level is Level.PROBLEM and "rows.jsonl" in found[name].found
    path.write_text(json.dumps(ROWS.get(kind, {"title": "a", "text": "b"})) + "\n")
    found = {check.name: check for check in _check_training(settings)}
    assert found[name].level is Level.OK, found[name]


def test_a_training_that_names_no_labels_is_a_problem_and_a_job_without_one_is_not_asked():
    (check,) = _check_training(job(train_judge={"epochs": 2}))
    assert check.level is Level.PROBLEM and "train_judge.labels" in check.fix
    assert _check_training(job()) == []


def examined_sft(folder, model=None, **sft):
    """By name, the checks of a job of `flame-ray sft`."""
    write_model(folder)
    settings = job(
        cluster={"address": "local"},
        model={"policy": str(folder)} | (model or {}),
        learner={"loss": "nll"},
        classify={"by": "label"},
        sft={"sources": [{"source": "seeds", "label_column": "facts"}]} | sft,
    )
    checks, plan, _ = examine(settings)
    return {check.name: check for check in checks}, plan


def test_a_fine_tuning_needs_what_its_stages_need_one_after_another(folder):
    found, plan = examined_sft(folder)
    assert [need.role for need in plan.needs] == ["learner"]
    assert {"CPUs, learner", "memory, learner"} <= found.keys() and found["demonstrations"].found == "48"
    assert found.keys().isdisjoint({"prompts", "corpus", "CPUs", "memory"})
    elicits, plan = examined_sft(folder, fact_based="elicited")
    assert [need.role for need in plan.needs] == ["rollout", "learner"]
    assert {"CPUs, rollout", "memory, rollout"} <= elicits.keys() and "corpus" not in elicits
    assert "corpus" in examined_sft(folder, fact_based="elicited", elicit={"passages": 3})[0]


def test_the_learner_of_a_fine_tuning_is_judged_by_its_demonstrations_and_not_by_the_room_for_its_prompts(folder):
    words = Tokenizer(WordLevel({"<unk>": 0, "</s>": 1}, unk_token="<unk>"))
    words.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="</s>").save_pretrained(folder)

    def needs(max_length: int, **sft) -> dict[str, float]:
        model = {"max_length": max_length, "chat_template": "plain"}
        _, plan = examined_sft(folder, model, fact_based="elicited", **sft)
        return {need.role: need.host.total for need in plan.needs}

    short, long = needs(1024), needs(4096)
    assert short["learner"] == long["learner"] and short["rollout"] < long["rollout"]
    assert long["learner"] < needs(4096, elicit={"max_tokens": 2048})["learner"]


def test_seeds_that_a_fine_tuning_would_refuse_are_a_problem(folder):
    found, _ = examined_sft(folder, fact_based="elicited", sources=[{"source": "seeds"}])
    assert "a label on every prompt" in found["demonstrations"].expected
    found, _ = examined_sft(folder, fact_based="elicited", sources=[{"source": "seeds", "seed": False}])
    assert "seeds, which the model is to answer itself" in found["demonstrations"].expected


def test_demonstrations_that_cannot_be_read_are_a_problem(folder):
    found, _ = examined_sft(folder, sources=[{"source": "none.jsonl"}])
    assert found["demonstrations"].level is Level.PROBLEM and "none.jsonl" in found["demonstrations"].found
