"""The store of the tables reads what an evaluation wrote, whatever signs a model has put into its answers."""

import json

import pytest

from flame_ray.errors import StorageError
from flame_ray.reproduction.store import Store, _tau


def evaluated(folder, *rows) -> Store:
    path = folder / "evaluations" / "key" / "model" / "suite-abc" / "answers.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    path.with_name("result.json").write_text("{}")
    return Store(folder)


@pytest.mark.parametrize("sign", ["\x0b", "\x1c", "\x85", "\u2028", "\u2029", "\r", "\0"], ids=ascii)
def test_an_answer_with_a_sign_that_looks_like_a_line_break_is_one_answer(tmp_path, sign):
    row = {"id": "a", "prompt": "Where?", "response": f"Here{sign}there", "values": {"precision": 0.5}}
    store = evaluated(tmp_path, row, row | {"id": "b", "values": {"precision": None}})
    assert store.values("key", "precision") == {"a": 0.5}
    outputs = json.loads(store.reference("key").read_text(encoding="utf-8"))
    assert outputs == [{"instruction": "Where?", "output": f"Here{sign}there"}] * 2


def test_a_figure_of_one_of_a_questions_samples_is_found_whatever_the_others_have(tmp_path):
    row = {"id": "gsm8k_cot/1", "question": "How many?", "task": "gsm8k_cot"}
    store = evaluated(tmp_path, row | {"values": {"strict": 1.0}}, row | {"values": {"flexible": 0.0}}, row)
    assert (store.values("key", "strict"), store.values("key", "flexible")) == ({row["id"]: 1.0}, {row["id"]: 0.0})


def test_answers_without_a_result_were_refused_and_have_no_values(tmp_path):
    store = evaluated(tmp_path, {"id": "a", "prompt": "Where?", "response": "Here", "values": {"win_rate": 1.0}})
    (result,) = tmp_path.rglob("result.json")
    result.unlink()
    assert store.values("key", "win_rate") is None
    with pytest.raises(StorageError, match=r"the answers of key.*give the command again"):
        store.reference("key")


def test_the_answers_are_those_of_the_folder_that_has_the_result(tmp_path):
    row = {"id": "a", "prompt": "Where?", "response": "Here", "values": {"win_rate": 1.0}}
    store = evaluated(tmp_path, row)
    refused = tmp_path / "evaluations" / "key" / "model" / "suite-aaa"
    refused.mkdir()
    (refused / "answers.jsonl").write_text(json.dumps(row | {"values": {"win_rate": 0.0}}))
    assert store.values("key", "win_rate") == {"a": 1.0}


def test_an_agreement_says_how_many_responses_it_leaves_out_and_why():
    tau = {"tau_precision_errors": {"pooled": 0.4, "pooled_ci95": [0.1, 0.6]}}
    found = _tau(tau | {"n": 30, "missing": 0, "abstained": 28, "no_human_facts": 2})
    assert found.missing == {"responses of which no fact counts": 28, "responses without facts of people": 2}
    assert (found.prompts, found.figures["tau"].n) == (60, 30)
    assert _tau(tau | {"n": 60, "missing": 0, "abstained": 0, "no_human_facts": 0}).missing == {}
