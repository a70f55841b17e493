"""The data of lm-eval's tasks, and how its value for each question becomes a figure."""

import csv
import json

import pytest

from flame_ray.config import Config
from flame_ray.errors import DataError
from flame_ray.evaluation.suites import harness, make_suite
from flame_ray.evaluation.suites.harness import Sample, mc3, questions

CONFIG = Config()
HEADING = ("question", "A", "B", "C", "D", "answer")


def write_mmlu(folder, *rows, subject="anatomy", split="test"):
    (folder / split).mkdir(parents=True, exist_ok=True)
    with (folder / split / f"{subject}_{split}.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def row(number: int, answer: str = "B") -> tuple[str, ...]:
    return (f"Question {number}?", "one", "two", "three", "four", answer)


def mmlu(folder, **suites):
    return make_suite("mmlu", Config.model_validate({"suites": {"mmlu": str(folder), "shots": 1} | suites}))


def test_mmlu_is_read_with_or_without_a_heading_by_letter_or_by_number(tmp_path):
    write_mmlu(tmp_path, row(1, "B"), row(2, "D"))
    write_mmlu(tmp_path, HEADING, row(3, "0"), row(4, "2"), subject="law")
    tasks = {task.name: task for task in mmlu(tmp_path).tasks}
    assert [doc["answer"] for doc in tasks["mmlu_anatomy"].splits["test"]] == [1, 3]
    assert tasks["mmlu_law"].splits["test"][1] == {
        "question": "Question 4?",
        "choices": ["one", "two", "three", "four"],
        "answer": 2,
    }
    assert tasks["mmlu_law"].file == "mmlu/default/mmlu_law.yaml" and tasks["mmlu_law"].overrides["num_fewshot"] == 1


def test_demonstrations_are_the_dev_files_or_other_questions(tmp_path):
    write_mmlu(tmp_path, *(row(number) for number in range(4)))
    (task,) = mmlu(tmp_path, limit=1).tasks
    assert set(task.splits) == {"test"} and task.overrides["fewshot_split"] == "test" and len(task.questions) == 1
    write_mmlu(tmp_path, row(98), row(99), split="dev")
    (task,) = mmlu(tmp_path, limit=1).tasks
    assert [doc["question"] for doc in task.splits["dev"]] == ["Question 98?", "Question 99?"]
    assert "fewshot_split" not in task.overrides
    with pytest.raises(DataError, match=r"3 demonstrations for mmlu's anatomy"):
        mmlu(tmp_path, shots=3)


def test_a_few_malformed_rows_are_left_out_and_counted_and_many_are_an_error(tmp_path):
    broken = ("Is this", " split wrongly?", "one", "two", "three", "four", "1")
    write_mmlu(tmp_path, HEADING, *(row(number) for number in range(19)), broken)
    suite = mmlu(tmp_path)
    assert suite.malformed == 1 and questions(suite) == 19
    write_mmlu(tmp_path, HEADING, row(1), broken)
    with pytest.raises(DataError, match=r"anatomy_test\.csv: row 2"):
        mmlu(tmp_path)


@pytest.mark.parametrize("answer", ["", "E", "4", "AB"])
def test_an_answer_that_is_none_of_the_four_is_malformed(tmp_path, answer):
    write_mmlu(tmp_path, row(1, answer))
    with pytest.raises(DataError, match="the right one"):
        mmlu(tmp_path)


def test_a_limit_counts_questions_of_all_subjects_and_a_larger_one_adds_to_it(tmp_path):
    for subject in ("anatomy", "law"):
        write_mmlu(tmp_path, *(row(number) for number in range(30)), subject=subject)
    asked = [
        {(task.name, question) for task in mmlu(tmp_path, limit=limit).tasks for question in task.questions}
        for limit in (6, 20)
    ]
    assert len(asked[0]) == 6 and asked[0] < asked[1]


def test_multiple_choice_answers_become_lists(tmp_path):
    both = {name: {"Nothing": 1, "You die": 0} for name in ("mc1_targets", "mc2_targets")}
    (tmp_path / "mc_task.json").write_text(json.dumps([{"question": "What?"} | both]))
    suite = make_suite("truthfulqa-mc", Config.model_validate({"suites": {"truthfulqa": str(tmp_path)}}))
    assert [task.name for task in suite.tasks] == ["truthfulqa_mc1", "truthfulqa_mc2"] and questions(suite) == 1
    assert suite.tasks[0].splits["validation"][0]["mc1_targets"] == {"choices": ["Nothing", "You die"], "labels": [1, 0]}
    (tmp_path / "mc_task.json").write_text(json.dumps([{"question": "What?"} | both | {"mc2_targets": {"Nothing": 1}}]))
    with pytest.raises(DataError, match=r"mc_task\.json: item 1.*correct or remove"):
        make_suite("truthfulqa-mc", Config.model_validate({"suites": {"truthfulqa": str(tmp_path)}}))


def test_the_true_answer_comes_first_where_the_task_looks_for_it(tmp_path):
    row = {"question": "What?", "mc1_targets": {"You die": 0, "Nothing": 1}, "mc2_targets": {"A": 1, "B": 0, "C": 1}}
    (tmp_path / "mc_task.json").write_text(json.dumps([row]))
    suite = make_suite("truthfulqa-mc", Config.model_validate({"suites": {"truthfulqa": str(tmp_path)}}))
    (doc,) = suite.tasks[0].splits["validation"]
    assert doc["mc1_targets"] == {"choices": ["Nothing", "You die"], "labels": [1, 0]}
    assert doc["mc2_targets"] == {"choices": ["A", "C", "B"], "labels": [1, 1, 0]}


@pytest.mark.parametrize(
    "targets", [{"A": 1, "B": 1, "C": 0}, {"A": 1}, {"A": 0, "B": 0}, {"A": 2, "B": 0}, {"A": [1], "B": 0}, {}, None]
)
def test_a_question_without_one_true_answer_and_a_false_one_is_refused_by_its_row(tmp_path, targets):
    row = {"question": "What?", "mc1_targets": targets, "mc2_targets": {"A": 1, "B": 0}}
    (tmp_path / "mc_task.json").write_text(json.dumps([row]))
    with pytest.raises(DataError, match=r"one true \(1\) answer, .* `mc1_targets`; found .*mc_task\.json: item 1"):
        make_suite("truthfulqa-mc", Config.model_validate({"suites": {"truthfulqa": str(tmp_path)}}))


@pytest.mark.parametrize("answer", ["18 ducks.", "18 ducks.\n#### ", "#### 9\n####"])
def test_a_word_problem_without_a_marked_result_is_refused_by_its_line(tmp_path, answer):
    rows = [{"question": "How many?", "answer": "9 + 9 = 18\n#### 18"}, {"question": "And now?", "answer": answer}]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    with pytest.raises(DataError, match=r"an answer that ends in `####` and the result; found .*test\.jsonl:2"):
        make_suite("gsm8k", Config.model_validate({"suites": {"gsm8k": str(tmp_path)}}))


def test_mc3_is_the_share_of_true_answers_above_every_false_one():
    assert mc3([-1.0, -5.0, -2.0, -3.0], [1, 1, 0, 0]) == 0.5
    assert mc3([-2.0, -2.0], [1, 0]) == 0.0  # equal is not above


def test_the_three_figures_of_multiple_choice():
    suite = make_suite_of("truthfulqa-mc")
    doc = {"question": "What?", "mc2_targets": {"labels": [1, 1, 0]}}
    choices = [(-1.0, False), (-4.0, False), (-2.0, False)]
    samples = [
        Sample("truthfulqa_mc1", "none", doc, choices, {"acc": 1.0}),
        Sample("truthfulqa_mc1", "none", doc, choices, {"acc": 0.0}),
        Sample("truthfulqa_mc2", "none", doc, choices, {"acc": 0.7}),
        Sample("truthfulqa_mc2", "none", doc, [(-2.0, False), (-4.0, False), (-1.0, False)], {"acc": 0.2}),
    ]
    found = suite(samples, CONFIG)
    assert (found["mc1"].mean, found["mc1"].n) == (0.5, 2)
    assert found["mc2"].mean == pytest.approx(0.45)
    assert found["mc3"].mean == pytest.approx((0.5 + 0.0) / 2)


def make_suite_of(name: str):
    """The function from samples to figures, which needs no data."""
    values = {"truthfulqa-mc": harness._truthful_values, "gsm8k": harness._gsm8k_values}[name]
    return harness.HarnessSuite(name, (), values).figures


def test_each_filter_of_gsm8k_is_a_figure():
    samples = [
        Sample("gsm8k_cot", filter, {"question": "?"}, ["18"], {"exact_match": value})
        for filter, value in (
            ("strict-match", 0.0),
            ("strict-match", 0.0),
            ("flexible-extract", 1.0),
            ("flexible-extract", 0.0),
        )
    ]
    found = make_suite_of("gsm8k")(samples, CONFIG)
    assert (found["exact_match_strict"].mean, found["exact_match_flexible"].mean) == (0.0, 0.5)
    assert found["exact_match_strict"].high > 0 and found["exact_match_flexible"].n == 2


def test_a_byte_order_mark_before_questions_without_a_heading_is_no_part_of_the_first(tmp_path):
    write_mmlu(tmp_path, row(1), row(2))
    file = tmp_path / "test" / "anatomy_test.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert mmlu(tmp_path).tasks[0].splits["test"][0]["question"] == "Question 1?"
