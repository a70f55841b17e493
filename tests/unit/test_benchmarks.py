"""The benchmarks run seldom, so this is where a renamed thing that they import is noticed."""

import ast
import importlib
import json
from pathlib import Path

import pytest

from flame_ray.reproduction.tables import TABLES
from tests.benchmarks import convert, overlap, small_tables

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


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


def test_nobody_whom_the_suite_asks_about_is_among_the_people_to_train_on(tmp_path, capsys):
    files = {
        "factscore_labeled/prompt_entities.txt": "Ada Lovelace\nAlan  Turing\n",
        "openfactcheck/entities_unlabelled_500.txt": "Grace Hopper\nalan turing \n\nEmmy Noether\nGrace Hopper\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    found = [line["prompt"] for line in convert.people(tmp_path)]
    assert found == ["Tell me a bio of Grace Hopper.", "Tell me a bio of Emmy Noether."]
    assert capsys.readouterr().err == "left out of 4 names: 1 whom the suite biography asks about, 1 repeated\n"


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
