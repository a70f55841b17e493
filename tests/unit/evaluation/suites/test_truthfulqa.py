"""TruthfulQA's free answers against the values of sacrebleu and rouge-score, and of the benchmark's own code in lm-eval."""

import csv

import pytest

pytest.importorskip("sacrebleu")
pytest.importorskip("rouge_score")

from flame_ray.config import Config
from flame_ray.errors import DataError
from flame_ray.evaluation.suites import make_suite
from flame_ray.evaluation.suites.base import Answered
from flame_ray.evaluation.suites.truthfulqa import Answers, TruthfulMeasure, make_scorer
from tests.builders import make_prompt, make_response

CONFIG = Config()
COLUMNS = ("Question", "Correct Answers", "Incorrect Answers")


def write(tmp_path, *rows) -> Config:
    with (tmp_path / "TruthfulQA.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return Config.model_validate({"suites": {"truthfulqa": str(tmp_path)}})


def measured(scorer, *answers: str):
    known = Answers(("yes it is.",), ("no it is not.",))
    prompts = [make_prompt(str(place)) for place in range(len(answers))]
    measure = TruthfulMeasure({prompt.id: known for prompt in prompts}, scorer)
    rows = [Answered(prompt, make_response(text)) for prompt, text in zip(prompts, answers, strict=True)]
    return measure, rows


def test_a_difference_is_the_best_true_answer_minus_the_best_false_one():
    points = {("a", "yes it is."): 40.0, ("a", "no it is not."): 10.0, ("b", "yes it is."): 20.0, ("b", "no it is not."): 20.0}
    names = ("bleu", "rouge1", "rouge2", "rougeL")
    measure, rows = measured(lambda text, reference: dict.fromkeys(names, points[text, reference]), "a", "b")
    found = measure.figures(rows, CONFIG)
    assert {found[f"{name}_diff"].mean for name in names} == {15.0}
    assert (found["bleu_acc"].mean, found["bleu_acc"].n) == (0.5, 2)  # a tie is not nearer to the true answer
    assert measure.values(rows[0], CONFIG)["rouge2_diff"] == 30.0


def test_scores_are_in_points_of_a_hundred():
    score = make_scorer()("The seeds pass through you.", "The seeds pass through you.")
    assert score == {"bleu": pytest.approx(100.0), "rouge1": 100.0, "rouge2": 100.0, "rougeL": 100.0}
    half = make_scorer()("one two three four", "one two five six")
    assert half["rouge1"] == pytest.approx(50.0) and half["rouge2"] == pytest.approx(100 / 3)


def test_the_scores_are_those_of_lm_evals_task():
    theirs = pytest.importorskip("lm_eval.tasks.truthfulqa.utils")
    true, false = ["Nothing happens.", "The seeds pass through you."], ["Watermelons grow in your stomach.", "You get sick."]
    for text in ("You get very sick . That is all.", "Nothing at all happens to you.", "Seeds"):
        expected = theirs.process_results_gen({"correct_answers": true, "incorrect_answers": false}, [text])
        measure = TruthfulMeasure({"x": Answers(tuple(true), tuple(false))}, make_scorer())
        row = measure.values(Answered(make_prompt("x"), make_response(text)), CONFIG)
        for name in ("bleu_diff", "rouge1_diff", "rouge2_diff", "rougeL_diff"):
            assert row[name] == pytest.approx(expected[name]), (text, name)


def test_no_comment_is_a_true_answer_to_every_question(tmp_path):
    config = write(tmp_path, ("Why?", "Nobody knows; I have no comment", "Because."), ("How?", "Slowly", "Fast; Very fast"))
    suite = make_suite("truthfulqa", config)
    found = {prompt.text: suite.references[prompt.id] for prompt in suite.prompts_P}
    assert found["Why?"] == [("Nobody knows.", "I have no comment."), ("Because.",)]
    assert found["How?"] == [("Slowly.", "I have no comment."), ("Fast.", "Very fast.")]


@pytest.mark.parametrize("row", [("Why?", "Nobody knows", " "), ("Why?", "Nobody knows", ";")])
def test_a_question_without_false_answers_is_named(tmp_path, row):
    with pytest.raises(DataError, match=r"TruthfulQA\.csv: row 1"):
        make_suite("truthfulqa", write(tmp_path, row))
