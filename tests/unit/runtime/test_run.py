"""What a run refuses before anything is placed; the model is a folder with a tokenizer and nothing else."""

import json

import pytest

from flame_ray.config import Config, parse_config
from flame_ray.errors import ModelError
from flame_ray.runtime.run import _preflight


@pytest.fixture
def job(folder, add_tokenizer):
    """Settings that leave five tokens for a prompt, two of which the template takes."""
    add_tokenizer(folder)
    lines = [json.dumps({"prompt": f"word word {i}"}) + "\n" for i in range(10)]
    (folder.parent / "prompts.jsonl").write_text("".join(lines))

    def settings(**sections) -> Config:
        tree = {
            "model": {"policy": str(folder), "max_length": 13},
            "rollout": {"max_tokens": 8},
            "prompts": {"sources": [{"source": str(folder.parent / "prompts.jsonl")}]},
        }
        return parse_config(tree | sections, "here")

    return settings


def test_a_job_that_can_run_is_told_its_models_and_its_prompts_and_makes_no_folder(job, folder, tmp_path):
    policy, judge, prompts = _preflight(job(), tmp_path / "run")
    assert (policy, judge) == (folder, folder)
    assert len(prompts) == 10
    assert not (tmp_path / "run").exists()


def test_a_prompt_must_leave_room_for_the_answers_of_the_evaluation_too(job, tmp_path):
    _preflight(job(evaluation={"max_tokens": 8}), tmp_path / "run")
    with pytest.raises(ModelError, match=r"at most 4 tokens .*less 9 for the response.* of 5 tokens"):
        _preflight(job(evaluation={"max_tokens": 9}), tmp_path / "run")


def test_a_judge_that_is_not_there_is_named_by_its_own_setting(job, tmp_path):
    with pytest.raises(ModelError, match=r"found judge\.model: \./no-judge\."):
        _preflight(job(judge={"model": "./no-judge"}), tmp_path / "run")


def test_a_judge_without_a_tokenizer_is_refused(job, tmp_path):
    judge = tmp_path / "judge"
    judge.mkdir()
    (judge / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (judge / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(ModelError, match=r"a tokenizer in .*judge"):
        _preflight(job(judge={"model": str(judge)}), tmp_path / "run")
