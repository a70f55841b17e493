"""The table of suites, and the content of result.json."""

import io

from rich.console import Console

from flame_ray.evaluation.suites.base import Answered, SuiteResult
from flame_ray.report.suites import answer_row, result_content, result_note, result_of_content, suites_table
from flame_ray.types import Interval
from tests.builders import make_prompt, make_response

RESULT = SuiteResult(
    "biography",
    8,
    {"precision": Interval(0.5, 0.25, 0.75, 7), "factscore": Interval(None, None, None, 0)},
    {"worker lost": 1},
    {"judgements of 24 without a score": 3},
)


def test_a_result_reads_back_as_it_was_written():
    content = result_content(RESULT, {"model": "mine"})
    assert content["figures"]["precision"] == {"mean": 0.5, "ci95": [0.25, 0.75], "n": 7} and content["model"] == "mine"
    assert result_of_content(content) == RESULT
    del content["noted"]  # as an earlier version wrote it
    assert result_of_content(content).missing == RESULT.missing and not result_of_content(content).noted


def test_the_table_has_each_figure_with_its_interval_and_n_and_says_what_is_left_out():
    written = io.StringIO()
    Console(file=written, width=100).print(suites_table("mine", [RESULT]))
    text = written.getvalue()
    assert "0.500 [0.250, 0.750]" in text and "biography (8)" in text and "│ 7 │" in text
    assert "not scored and left out: 1 worker lost; 3 judgements of 24 without a score" in " ".join(text.split())
    assert result_note(SuiteResult("mmlu", 8, {})) == ""
    assert result_note(SuiteResult("mmlu", 8, {}, noted={"contexts cut": 2})) == "mmlu (8 prompts): 2 contexts cut"


def test_a_row_of_an_answer_can_be_read_by_a_person():
    row = answer_row(
        Answered(make_prompt("x", "Who?"), make_response("Me.", tokens=(1, 2), finish_reason="length")),
        {"reference": "You."},
        {"win_rate": None},
    )
    assert row == {
        "id": "x",
        "prompt": "Who?",
        "response": "Me.",
        "tokens": 2,
        "truncated": True,
        "values": {"win_rate": None},
        "reference": "You.",
    }
