"""Lines become tasks, and results become records: nothing is lost on the way, and a reward that failed is never 0."""

import json
import math

import pytest

from flame_ray.config import ScoreConfig
from flame_ray.errors import DataError
from flame_ray.rewards.factuality.records import TEXT_WORDS, passages_of, record_of, task_of
from flame_ray.storage.jsonl import parse_line
from flame_ray.types import Fact, FactScore, Missing, Passage, ResponseId, Sentence, Verdict, VerdictLabel
from tests.builders import make_fact_score, make_verdict

SCORE = ScoreConfig(recall_at=4)
ID = ResponseId(0, "line-3", 0)
PASSAGES = (Passage("pe/0", "Peru", "Borders: Chile"),)
SENTENCES = (Sentence("Hello!", verifiable=False), Sentence("Peru borders Chile.", verifiable=True))


def row(number=3, **columns):
    return parse_line(json.dumps(columns).encode(), number, "r.jsonl")


def verdict(label, score=0.5):
    return Verdict(Fact(f"a fact that is {label}", 0), label, score, "pe/0")


def result(*labels):
    return FactScore(ID, tuple(verdict(label) for label in labels), passages_K=PASSAGES, sentences_S=SENTENCES)


def test_a_task_has_the_lines_number_in_its_name_and_no_evidence_of_its_own():
    task = task_of(row(prompt="Peru?", response="Lima."))
    assert (task.prompt.text, task.response.text, task.given) == ("Peru?", "Lima.", None)
    assert str(task.response.id) == "0/line-3/0"


def test_a_response_may_be_empty_and_a_prompt_may_not():
    assert task_of(row(prompt="Peru?", response="")).response.text == ""
    with pytest.raises(DataError, match="`prompt`"):
        task_of(row(prompt=" ", response=""))


@pytest.mark.parametrize("columns", [{"prompt": "Peru?"}, {"prompt": "Peru?", "response": None}, {"response": "Lima."}])
def test_a_line_without_prompt_or_response_is_refused(columns):
    with pytest.raises(DataError, match=r"r\.jsonl:3"):
        task_of(row(**columns))


def test_evidence_on_the_line_takes_the_place_of_retrieval():
    task = task_of(row(prompt="Peru?", response="Lima.", evidence=["Peru:", "Capital: Lima"]))
    assert task.given == (Passage("given/0", "", "Peru:\nCapital: Lima"),)


def test_evidence_that_is_no_list_of_texts_is_refused():
    with pytest.raises(DataError, match="list of texts"):
        task_of(row(prompt="Peru?", response="Lima.", evidence="Lima"))


def test_a_cut_response_says_so():
    assert task_of(row(prompt="a", response="b", finish_reason="length")).response.finish_reason == "length"
    assert task_of(row(prompt="a", response="b", finish_reason="end")).response.finish_reason == "stop"


def test_given_texts_are_joined_up_to_a_passage_and_a_longer_one_stands_alone():
    half, whole = "word " * (TEXT_WORDS // 2), "word " * (TEXT_WORDS + 1)
    assert [len(p.text.split()) for p in passages_of([half, half, half, whole])] == [300, 150, 301]
    assert passages_of([]) == passages_of(["", " "]) == ()


def test_a_record_keeps_the_columns_and_says_what_was_found():
    labels = (VerdictLabel.SUPPORTED, VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND)
    record = record_of(row(prompt="Peru?", response="...", model="mine"), result(*labels), SCORE)
    assert (record["line"], record["prompt"], record["model"]) == (3, "Peru?", "mine")
    assert [fact["verdict"] for fact in record["facts"]] == ["supported", "supported", "contradicted", "not_found"]
    assert record["evidence"] == [{"id": "pe/0", "title": "Peru", "text": "Borders: Chile"}]
    assert {key: record[key] for key in ("supported", "contradicted", "not_found", "counted", "precision")} == {
        "supported": 2,
        "contradicted": 1,
        "not_found": 1,
        "counted": 4,
        "precision": 0.5,
    }
    assert record["interval"] == pytest.approx([0.15, 0.85], abs=0.001)  # Wilson, 2 of 4
    assert record["factscore"] == pytest.approx(0.5 * math.exp(1 - 10 / 4))
    assert record["f1_at_k"] == pytest.approx(2 * 0.5 * 0.5 / (0.5 + 0.5))  # 2 of 4 are supported, and 4 are wanted
    assert record["abstained"] is False and record["missing"] is None


def test_a_record_says_which_facts_answer_the_prompt_and_counts_those_that_are_true_as_well():
    verdicts = [make_verdict(relevant=True), make_verdict(relevant=False), make_verdict(VerdictLabel.CONTRADICTED)]
    record = record_of(row(prompt="Peru?", response="..."), make_fact_score(*verdicts), SCORE)
    assert [fact["relevant"] for fact in record["facts"]] == [True, False, True]
    assert (record["supported"], record["relevant_supported"]) == (2, 1)


def test_a_record_says_of_each_sentence_whether_there_was_anything_to_verify():
    record = record_of(row(prompt="Peru?", response="Hello! Peru borders Chile."), result(VerdictLabel.SUPPORTED), SCORE)
    assert record["sentences"] == [
        {"text": "Hello!", "verifiable": False},
        {"text": "Peru borders Chile.", "verifiable": True},
    ]


def test_a_response_that_abstains_has_no_precision_an_f1_of_0_and_is_not_missing():
    record = record_of(row(prompt="Peru?", response=""), result(), SCORE)
    assert record["abstained"] is True
    assert record["precision"] is record["interval"] is record["factscore"] is record["missing"] is None
    assert record["f1_at_k"] == 0.0


def test_a_response_whose_facts_could_not_be_checked_has_no_f1():
    assert record_of(row(prompt="Peru?"), result(VerdictLabel.ERROR), SCORE)["f1_at_k"] is None


def test_figures_that_a_failed_fact_might_change_are_null_and_the_precision_is_that_of_the_others():
    mixed = result(VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.ERROR)
    record = record_of(row(prompt="Peru?"), mixed, SCORE)
    assert (record["precision"], record["failed"], record["factscore"], record["f1_at_k"]) == (0.5, 1, None, None)
    record = record_of(row(prompt="Peru?"), result(*[VerdictLabel.SUPPORTED] * 10, VerdictLabel.ERROR), SCORE)
    assert (record["failed"], record["factscore"], record["f1_at_k"]) == (1, 1.0, 1.0)


def test_a_reward_that_failed_is_missing_with_its_reason_and_counts_nothing():
    record = record_of(row(prompt="Peru?", response=""), Missing(ID, "worker lost"), SCORE)
    assert record["missing"] == "worker lost"
    for name in (
        "supported",
        "relevant_supported",
        "contradicted",
        "not_found",
        "says_nothing",
        "counted",
        "failed",
        "precision",
        "interval",
        "abstained",
    ):
        assert record[name] is None
    assert record["facts"] == record["sentences"] == []


def test_a_fact_on_which_the_checker_failed_has_no_score_and_counts_for_nothing():
    record = record_of(row(prompt="a", response="b"), result(VerdictLabel.SUPPORTED, VerdictLabel.ERROR), SCORE)
    assert (record["counted"], record["failed"], record["precision"]) == (1, 1, 1.0)
    assert record["facts"][1]["score"] is None


def test_every_record_has_the_same_columns():
    results = (result(VerdictLabel.SUPPORTED), result(), Missing(ID, "why"))
    assert len({tuple(record_of(row(prompt="a", response="b"), each, SCORE)) for each in results}) == 1


def test_a_column_whose_name_is_taken_is_kept_under_another():
    columns = {"prompt": "a", "response": "b", "supported": 7, "input.supported": 8, "line": "x", "facts": ["y"]}
    record = record_of(row(**columns), result(VerdictLabel.SUPPORTED), SCORE)
    assert (record["supported"], record["line"]) == (1, 3)
    assert sorted(map(str, (record["input.supported"], record["input.input.supported"]))) == ["7", "8"]
    assert (record["input.line"], record["input.facts"]) == ("x", ["y"])


def test_a_fact_that_says_nothing_does_not_count_and_an_answer_of_such_facts_abstains():
    nothing = VerdictLabel.SAYS_NOTHING
    record = record_of(row(prompt="a", response="b"), result(VerdictLabel.SUPPORTED, nothing), SCORE)
    assert (record["counted"], record["says_nothing"], record["precision"], record["abstained"]) == (1, 1, 1.0, False)
    record = record_of(row(prompt="a", response="b"), result(nothing, nothing), SCORE)
    assert (record["counted"], record["precision"], record["abstained"]) == (0, None, True)
