"""What the doctor reads of prompts and corpora."""

import json
import re

import pytest
from huggingface_hub import HfApi

from flame_ray.doctor import data
from flame_ray.doctor.checks import Level, unreached
from flame_ray.doctor.data import _is_remote, find_corpus, find_prompts
from tests.unit.doctor.samples import job


def test_a_source_is_a_data_set_unless_it_is_built_in_or_a_file(tmp_path):
    names = ("factbook", str(tmp_path), "none.jsonl", "owner/set", "owner/set-v1.2")
    assert [_is_remote(name, ("factbook",)) for name in names] == [False, False, False, True, True]


def test_prompts_are_counted_and_a_missing_column_is_named(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Question {i}?"}) + "\n" for i in range(20)))
    (check,) = find_prompts(job(prompts={"sources": [{"source": str(path)}]}))
    assert check.level is Level.OK
    assert sum(map(int, re.findall(r"\d+", check.found))) == 20
    (check,) = find_prompts(job(prompts={"sources": [{"source": str(path), "column": "text"}]}))
    assert check.level is Level.PROBLEM and "text" in check.expected
    (check,) = find_prompts(job(prompts={"sources": [{"source": str(tmp_path / "none.jsonl")}]}))
    assert check.level is Level.PROBLEM


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"run": {"select": "best"}}, "development prompts, as run.select is best"),
        ({"classify": {"by": "label"}}, "a label on every prompt, as classify.by is label"),
    ],
)
def test_prompts_that_a_run_would_refuse_are_a_problem(tmp_path, settings, wanted):
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Question {i}?", "facts": True}) + "\n" for i in range(20)))
    source = {"source": str(path), "label_column": "facts", "dev_fraction": 0.5}
    (check,) = find_prompts(job(prompts={"sources": [source]}, **settings))
    assert check.level is Level.OK
    (check,) = find_prompts(job(prompts={"sources": [{"source": str(path)}]}, **settings))
    assert (check.level, check.expected) == (Level.PROBLEM, wanted)


def test_labels_of_a_light_classifier_are_read_too():
    labels = [{"source": "open-ended"}]
    (check,) = find_prompts(job(classify={"by": "embedding", "labels": labels}))
    assert check.level is Level.PROBLEM and "classify.labels" in check.expected


@pytest.mark.timeout(60)
def test_a_data_set_that_is_not_reached_is_a_problem_that_names_it():
    (check,) = find_prompts(job(prompts={"sources": [{"source": "factbook"}, {"source": "flame-ray/no-such-set"}]}))
    assert (check.level, check.name) == (Level.PROBLEM, "prompts flame-ray/no-such-set")


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("wikimedia/wikipedia:20231101.en", ("wikimedia/wikipedia", None)),
        ("owner/set:part@v2", ("owner/set", "v2")),
        ("owner/set", ("owner/set", None)),
    ],
)
def test_a_corpus_on_the_hub_is_looked_up_by_the_name_that_the_loader_takes(source, asked, monkeypatch):
    seen = []
    monkeypatch.setattr(HfApi, "dataset_info", lambda self, name, revision, timeout: seen.append((name, revision)))
    assert find_corpus(job(factuality={"corpus": source}))[0].level is Level.OK and seen == [asked]


def test_an_error_of_the_hub_without_words_is_a_problem_too():
    assert unreached("corpus", "owner/set", TimeoutError()).found == "TimeoutError: no reason given"


def test_a_corpus_is_read_if_it_is_small_and_weighed_if_it_is_not(tmp_path, monkeypatch):
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps({"title": "Kenya", "text": "Nairobi is the capital."}) + "\n")
    config = job(factuality={"corpus": str(path)})
    check, size = find_corpus(config)
    assert (check.level, size) == (Level.OK, path.stat().st_size)
    assert find_corpus(job(factuality={"corpus": str(path), "title_column": "name"}))[0].level is Level.PROBLEM
    monkeypatch.setattr(data, "SMALL_CORPUS", 10)
    check, size = find_corpus(config)
    assert (check.level, size) == (Level.WARNING, path.stat().st_size)


@pytest.mark.parametrize(("max_tokens", "level"), [(8, Level.OK), (9, Level.PROBLEM)])
def test_a_prompt_that_leaves_no_room_for_an_answer_is_a_problem(tmp_path, folder, add_tokenizer, max_tokens, level):
    add_tokenizer(folder)
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"word word {i}", "facts": True}) + "\n" for i in range(10)))
    sources = {"sources": [{"source": str(path), "label_column": "facts"}]}
    model = {"policy": str(folder), "max_length": 13}
    answers = {"rollout": {"max_tokens": 1}, "evaluation": {"max_tokens": max_tokens}, "classify": {"by": "label"}}
    (check,) = find_prompts(job(model=model, prompts=sources, **answers))
    assert (check.level, check.name) == (level, "prompts")
    assert ("at most 4 tokens" in check.expected and "mine.jsonl:1 (5 tokens)" in check.found) == (level is Level.PROBLEM)


def test_prompts_that_are_left_out_are_counted_and_a_question_that_leaves_no_room_for_one_is_a_problem(
    tmp_path, folder, add_tokenizer
):
    add_tokenizer(folder)
    lines = [{"messages": [{"role": "user", "content": "word " * n}], "facts": True} for n in (*range(1, 12), 500)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = {"source": str(tmp_path / "mine.jsonl"), "heldout_fraction": 0.5, "label_column": "facts"}
    prompts = {"sources": [source], "overlong": "leave_out"}
    model = {"policy": str(folder), "max_length": 30}
    settings = {"model": model, "prompts": prompts, "rollout": {"max_tokens": 9}}
    (check,) = find_prompts(job(**settings, classify={"by": "label"}))
    assert check.level is Level.OK and "; 1 longer than model.max_length allows" in check.found
    (check,) = find_prompts(job(**settings))
    assert check.level is Level.PROBLEM and "the question that classifies a prompt has" in check.expected


def test_a_model_that_is_not_on_this_machine_is_not_fetched_to_measure_prompts(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Question {i}?"}) + "\n" for i in range(20)))
    (check,) = find_prompts(job(model={"policy": "flame-ray/no-such-model"}, prompts={"sources": [{"source": str(path)}]}))
    assert check.level is Level.OK and "length is not checked" in check.found


def test_the_pairs_of_a_file_are_counted_and_a_bad_row_is_named(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": "Where?", "chosen": "Here.", "rejected": side} for side in ("There.", None)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = job(pairs={"file": str(path)}, run={"rounds": 1})
    (check,) = data.find_given_pairs(config)
    assert (check.level, check.found) == (Level.OK, "1; 1 left out: without a side")
    path.write_text('{"prompt": "Where?"}\n')
    (check,) = data.find_given_pairs(config)
    assert check.level is Level.PROBLEM and "pairs.jsonl:1" in check.found
    assert data.find_given_pairs(job()) == []


def test_the_doctor_asks_for_the_factuality_of_given_pairs_where_the_loss_compares_it(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "Where?", "chosen": "Here.", "rejected": "There."}\n')
    (check,) = data.find_given_pairs(job(pairs={"file": str(path)}, run={"rounds": 1}, learner={"loss": "fdpo"}))
    assert check.level is Level.PROBLEM and "chosen_factuality" in check.expected
