"""The benchmarks run seldom, so this is where a renamed thing that they import is noticed."""

import ast
import importlib
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from flame_ray.config.load import load_config
from flame_ray.config.reward_training import TrainJudgeConfig
from flame_ray.evaluation.labels import read_judgements, read_preferences
from flame_ray.prompts.demonstrations import load_demonstrations
from flame_ray.prompts.load import load_prompts
from flame_ray.reproduction.tables import TABLES
from flame_ray.reward_training.preference_training import split_preferences
from tests.benchmarks import compared_answers, convert, overlap, small_tables

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
JOBS = FOLDER.parents[1] / "jobs" / "paper"


def imported(path: Path) -> list[tuple[str, str]]:
    """The module and the name of each import from this repository, wherever in the file it stands."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ours = [
        node for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("flame_ray", "tests"))
    ]
    return [(node.module or "", alias.name) for node in ours for alias in node.names]


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_everything_that_a_benchmark_imports_is_there(path):
    for module, name in imported(path):
        if not hasattr(importlib.import_module(module), name):
            importlib.import_module(f"{module}.{name}")


@pytest.fixture
def names(tmp_path):
    """A folder with the names of people whom the suite asks about, and of others."""
    files = {
        "factscore_labeled/prompt_entities.txt": "Ada Lovelace\nAlan  Turing\n",
        "openfactcheck/entities_unlabelled_500.txt": "Grace Hopper\nalan turing \n\nEmmy Noether\nGrace Hopper\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path


PEOPLE = ["Tell me a bio of Grace Hopper.", "Tell me a bio of Emmy Noether."]


def write_lines(path: Path, lines: Iterable[dict]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_nobody_whom_the_suite_asks_about_is_among_the_people_to_train_on(names, capsys):
    assert [line["prompt"] for line in convert.people(names)] == PEOPLE
    assert capsys.readouterr().err == "left out of 4 names: 1 whom the suite biography asks about, 1 repeated\n"


def test_the_answers_about_people_are_what_the_corpus_says_first_before_any_heading(names, capsys):
    said = {
        "Alan Turing": "He is asked about.",
        "Emmy noether": "She proved a theorem.\nIt is hers (1918)\n\nEarly life \n\nShe was born in Erlangen.",
        "Peru": "A country.",
    }
    pages = [*said.items(), ("Emmy Noether", "Another page.")]
    write_lines(names / "wiki.jsonl", ({"title": title, "text": text} for title, text in pages))
    found = list(convert.people_answers(names, str(names / "wiki.jsonl")))
    assert found == [{"prompt": PEOPLE[1], "answer": "She proved a theorem.\nIt is hers (1918)"}]
    said = f"left out of 2 people: 1 of whom there is no page in {names / 'wiki.jsonl'}\n"
    assert capsys.readouterr().err.endswith(said)


def test_the_jobs_of_the_pilot_read_what_is_made_of_people(names, monkeypatch):
    monkeypatch.chdir(names)  # where the jobs name it
    write_lines(names / "wiki.jsonl", ({"title": name, "text": f"{name} lived."} for name in ("Grace Hopper", "Emmy Noether")))
    write_lines(names / "people.jsonl", convert.people_answers(names, "wiki.jsonl"))
    others = [{"prompt": f"Tell me a bio of person {i}."} for i in range(98)]  # of two people, none might be held out
    write_lines(names / "people-prompts.jsonl", [*convert.people(names), *others])
    for job in ("pilot-sft", "pilot-few-shot"):
        found = load_demonstrations(load_config(JOBS / f"{job}.yaml").sft.sources)
        assert [(each.prompt.text, each.is_seed) for each in found.demonstrations] == [(prompt, True) for prompt in PEOPLE]
    asked = load_prompts(load_config(JOBS / "pilot-dpo.yaml").prompts).prompts
    assert {*PEOPLE} < {prompt.text for prompt in asked} and len(asked) == 100


def test_grades_are_of_the_prompts_that_a_judge_is_trained_on_and_the_pairs_of_all_others(tmp_path, monkeypatch):
    def pair(prompt: str, a: str, b: str, helpful: str, strength: int) -> dict:
        return {"prompt": prompt, "a": a, "b": b, "helpful": helpful, "strength": strength, "fact_prompt": False}

    rows = [pair(f"Question {i}?", "good", "bad", "a", 2) for i in range(40)]
    rows += [pair(row["prompt"], "good", "fair", "a", 1) for row in rows]
    rows += [pair(row["prompt"], "even", "odd", "tie", 0) for row in rows[:40]]
    (tmp_path / "policy_pairs").mkdir()
    write_lines(tmp_path / "policy_pairs" / "policy_pairs.jsonl", rows[:60])
    write_lines(tmp_path / "answer_pairs.jsonl", rows[60:])
    monkeypatch.setattr(convert, "ANSWER_PAIRS", tmp_path / "answer_pairs.jsonl")
    grades, pairs = list(convert.grades(tmp_path)), list(convert.grade_pairs(tmp_path))
    trained, measured = ({row["prompt"] for row in some} for some in (grades, pairs))
    assert trained and measured and not trained & measured and len(trained | measured) == 40
    write_lines(tmp_path / "pairs.jsonl", rows)
    train, aside = split_preferences(read_preferences(tmp_path / "pairs.jsonl"), TrainJudgeConfig().aside)
    assert [{each.pair.prompt.text for each in part} for part in (train, aside)] == [trained, measured]
    scores = {(grade["response"], grade["score"], grade["rationale"]) for grade in grades}
    assert scores == {("good", 4, convert.REASONS[4]), ("fair", 2, convert.REASONS[2]), ("bad", 1, convert.REASONS[1])}
    assert len(grades) == 3 * len(trained) and len(pairs) == 3 * len(measured)
    write_lines(tmp_path / "grades.jsonl", grades)
    assert len(read_judgements(tmp_path / "grades.jsonl")) == len(grades)


def test_a_pair_that_gpt4_did_not_judge_is_left_out(tmp_path):
    row = {"instruction": "Say hello.", "output_1": "Hello.", "output_2": "No.", "generator_2": "a-model"}
    (tmp_path / "a-model").mkdir()
    judged = [row | {"preference": preference} for preference in (1, 2.0, 0, None)]
    (tmp_path / "a-model" / "annotations.json").write_text(json.dumps(judged))
    found = list(convert.gpt4_pairs(tmp_path))
    assert [line["helpful"] for line in found] == ["a", "b", "tie"]
    assert found[0] == {"prompt": "Say hello.", "a": "Hello.", "b": "No.", "helpful": "a", "group": "a-model"}


def test_an_answer_some_of_whose_facts_have_no_label_is_no_labelled_response(tmp_path):
    about = {"prompt": "Describe Peru.", "policy": "start", "says_nothing": False}
    whole, part = "Peru borders Chile. Peru is landlocked.", "Peru borders Ecuador. Peru is a republic."
    facts = [
        about | {"response": whole, "fact": "Peru borders Chile", "label": "supported"},
        about | {"response": part, "fact": "Peru borders Ecuador", "label": "supported"},
        about | {"response": whole, "fact": "Peru is landlocked", "label": "contradicted"},
    ]
    (tmp_path / "policy_facts").mkdir()
    (tmp_path / "policy_facts" / "policy_facts.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    (line,) = convert.policy_responses(tmp_path)
    assert line == {"prompt": "Describe Peru.", "response": whole, "system": "start", "supported": 1, "unsupported": 1}


class Rollouts:
    """Sleeping samplers without Ray."""

    def generate(self, prompts_P, plan):
        return (group for _, group in overlap.SleepingSampler().generate(prompts_P, plan))


@pytest.mark.parametrize("staleness", [0, 1])
def test_rounds_that_sleep_are_recorded_with_all_that_the_journal_tells_its_gauges(staleness, monkeypatch):
    for seconds in ("BATCH_S", "SCORE_S", "TRAIN_S"):
        monkeypatch.setattr(overlap, seconds, 0.0)
    spans = overlap.recorded(Rollouts(), staleness, rounds=2)
    for stage in ("sample", "score", "train"):
        assert [span["round"] for span in spans if span["stage"] == stage] == [1, 2], stage
    assert overlap.lasted(spans, "sample", "score") >= 0 and overlap.lasted(spans, "train", "train") >= 0


@pytest.mark.parametrize("name", small_tables.NAMES)
def test_the_precision_of_the_small_tables_in_the_readme_is_what_the_command_prints(name):
    lines = tuple(json.loads(line) for line in small_tables.KEPT.read_text(encoding="utf-8").splitlines())
    precision = tuple(line for line in lines if line["measure"] == "biography.fs")
    told = [
        line
        for line in small_tables.rows(TABLES[name], small_tables.Values(precision))
        if line.startswith("| ") and " of " in line
    ]
    levels = [line.removesuffix(" |") for line in told if " - " not in line]
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert len(levels) > 4 and [line for line in levels if f"\n{line} |" not in readme] == []


def test_the_comparisons_of_answers_in_the_readme_are_what_the_command_prints():
    lines = [json.loads(line) for line in compared_answers.KEPT.read_text(encoding="utf-8").splitlines()]
    told = [row.partition(" | ")[2] for row in compared_answers.rows(lines) if "n " in row]
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert len(told) == 2 and [cells for cells in told if cells not in readme] == []
    assert "{} of the {} pairs shown".format(*compared_answers.agreement(lines)) in readme


def test_a_small_table_counts_the_answers_of_all_seeds_and_names_what_was_not_kept():
    kept = {"DPO^flame": ({"a": 0.5, "b": 1.0}, {"a": 0.0}), "F-DPO": ({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 0.0})}
    lines = tuple(
        {"seed": seed, "system": system, "measure": "biography.fs", "values": values}
        for system, seeds in kept.items()
        for seed, values in enumerate(seeds)
    )
    found = list(small_tables.rows(TABLES["methods"], small_tables.Values(lines)))
    assert next(line for line in found if line.startswith("| DPO^flame |")).endswith(" of 3 |")
    assert next(line for line in found if line.startswith("| F-DPO |")).endswith(" of 4 |")
    assert "| | biography.fs, n 3 |\n|---|---|" in found and "| F-DPO - DPO^flame | +50.0 [0.0, 100.0] |" in found
    assert found[-1].startswith("Not kept: win over SFT + DPO, win over SFT + DPO at equal length, biography.correct,")
