"""What a run leaves: the summary's keys, tables that Parquet gives back, and lines for the screen."""

import io
import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from flame_ray.report.summary import print_closing_table, round_summary
from flame_ray.report.tables import (
    EVIDENCE,
    FACTS,
    GRADED,
    PROMPTS,
    evaluation_line,
    evidence_rows,
    fact_rows,
    graded_rows,
    pair_rows,
    prompt_rows,
    response_columns,
    response_rows,
    reward_names,
    selection_line,
    sentence_rows,
    training_line,
)
from flame_ray.report.tables import PAIRS as PAIR_TABLE
from flame_ray.report.tables import (
    SENTENCES as SENTENCE_COLUMNS,
)
from flame_ray.types import (
    Evaluation,
    Interval,
    MetricIntervals,
    PairSet,
    Passage,
    Prompt,
    Response,
    RoundReport,
    Selection,
    Sentence,
    Split,
    TrainingReport,
    Verdict,
    VerdictLabel,
)
from tests.builders import (
    make_change,
    make_evaluation,
    make_fact_score,
    make_graded,
    make_id,
    make_interval,
    make_missing,
    make_pair,
    make_pair_set,
    make_response,
    make_round_report,
    make_scored,
    make_verdict,
)

NONE = make_interval(None, n=0)
METRICS = MetricIntervals.__slots__


def evaluation(**intervals: Interval) -> Evaluation:
    """Interval i of METRICS has mean i, unless it is given."""
    by_position = {name: Interval(float(i), i - 0.5, i + 0.5, 10) for i, name in enumerate(METRICS)}
    return make_evaluation(**(by_position | intervals), prompts=12, missing=3)


def report(round: int, pairs=None, training=None, **intervals: Interval) -> RoundReport:
    return make_round_report(round, evaluation=evaluation(**intervals), pairs=pairs, training=training, weight_version=round)


def response(index: int, text: str = "Peru borders Chile.") -> Response:
    return make_response(text, index=index, prompt_tokens=(1, 2), tokens=(3, 4))


def verdict(text: str, sentence: int, label: VerdictLabel, passage: str | None) -> Verdict:
    return make_verdict(label, fact=text, sentence=sentence, score=0.75, passage=passage)


VERDICTS = (
    verdict("Peru borders Chile.", 0, VerdictLabel.SUPPORTED, "pe/geography/0"),
    verdict("Peru borders Spain.", 1, VerdictLabel.CONTRADICTED, "pe/geography/0"),
    verdict("Peru borders Oz.", 2, VerdictLabel.NOT_FOUND, None),
    verdict("Lima is in Peru.", 2, VerdictLabel.SUPPORTED, "pe/government/0"),
)
NEAR, FAR = Passage("pe/geography/0", "Peru", "Chile 168 km"), Passage("pe/government/0", "Peru", "Capital: Lima")
SENTENCES = (Sentence("Hello!", verifiable=False), Sentence("Peru borders Chile.", verifiable=True))
SCORED = make_scored(response(0), judge=3.5, facts=make_fact_score(*VERDICTS, passages=(FAR, NEAR), sentences=SENTENCES))
DIED = make_missing("checker died", id=make_id(1), passages=(NEAR,))
FAILED = make_scored(response(1), judge="no score read", facts=DIED)
POEM = make_scored(response(2))
SILENT = make_scored(response(3), judge=2.0, facts=[])
PAIRS = make_pair_set(
    make_pair(response(0, "chosen"), response(1, "rejected"), kind="factuality", scores=(0.8, 0.2), factuality=(0.75, 0.25)),
    make_pair(response(1), response(2), kind="instruction", scores=(4.0, 1.0)),
    make_pair(response(2), response(3), kind="instruction", scores=(4.0, 2.0)),
    dropped={"factuality: tie": 2, "response: empty": 1},
    responses=8,
    truncated=2,
)
TRAINING = TrainingReport(
    steps=5, examples=3, tokens=123, loss=0.6, metrics={"accuracy": 0.75, "margin": 0.2}, reference="round 1"
)


def strict_json(value):
    return json.loads(json.dumps(value, allow_nan=False))


def test_a_trained_round_has_every_key_of_the_summary():
    summary = round_summary(report(2, pairs=PAIRS.counts, training=TRAINING), {"sample": 1.5})
    assert set(summary) == {"round", "evaluation", "pairs", "samples", "training", "timings", "weight_version"}
    assert summary["samples"] == {"responses": 8, "truncated": 2, "truncated_share": 0.25}
    assert summary["round"] == summary["weight_version"] == 2
    assert summary["timings"] == {"sample": 1.5}
    assert summary["pairs"] == {
        "factuality": 1,
        "instruction": 2,
        "dropped": {"factuality: tie": 2, "response: empty": 1},
    }
    assert summary["training"] == {
        "loss": 0.6,
        "accuracy": 0.75,
        "margin": 0.2,
        "steps": 5,
        "pairs": 3,
        "tokens": 123,
        "reference": "round 1",
    }


def test_a_skipped_round_says_so_in_the_summary_and_in_the_closing_table():
    skipped = report(2, pairs=PairSet((), {"instruction: tie": 4}, responses=8).counts)
    summary = round_summary(skipped, {})
    assert set(summary) == {"round", "evaluation", "skipped", "pairs", "samples", "timings", "weight_version"}
    assert (summary["skipped"], summary["pairs"]["dropped"]) == ("no pairs", {"instruction: tie": 4})
    console = Console(file=io.StringIO(), width=100)
    print_closing_table(console, [report(0), report(1, pairs=PAIRS.counts, training=TRAINING), skipped])
    assert console.file.getvalue().count("skipped") == 1 and "round 2, skipped" in console.file.getvalue()


def test_the_summary_has_the_seconds_of_a_training_that_these_limited():
    timed = round_summary(report(2, pairs=PAIRS.counts, training=replace(TRAINING, seconds=240.5)), {})
    assert timed["training"]["seconds"] == 240.5


def test_a_round_s_training_is_one_line_with_the_accuracy_of_a_loss_that_has_one():
    assert training_line(TRAINING) == "5 steps, loss 0.600, accuracy 0.75"
    assert training_line(replace(TRAINING, metrics={"perplexity": 9.0})) == "5 steps, loss 0.600"


def test_round_zero_has_an_evaluation_and_neither_pairs_nor_training():
    summary = round_summary(report(0), {})
    assert {"round", "evaluation"} <= set(summary)
    assert not {"pairs", "training"} & set(summary)


def test_the_evaluation_gives_each_mean_with_its_interval_under_its_name():
    found = round_summary(report(0), {})["evaluation"]
    assert {name: found[name] for name in METRICS} == {name: float(i) for i, name in enumerate(METRICS)}
    assert found["ci95"] == {name: [i - 0.5, i + 0.5] for i, name in enumerate(METRICS)}
    assert found["n"] == dict.fromkeys(METRICS, 10)
    assert (found["prompts"], found["missing_rewards"]) == (12, 3)


def test_a_mean_of_nothing_is_null_in_strict_json():
    summary = round_summary(
        report(1, pairs=PAIRS.counts, training=TRAINING, **dict.fromkeys(METRICS, NONE)),
        {"draw": 0.0},
    )
    read = strict_json(summary)
    assert read == summary
    assert all(read["evaluation"][name] is None for name in METRICS)
    assert all(read["evaluation"]["ci95"][name] == [None, None] for name in METRICS)


def responses_of(scored_PG):
    return response_rows(scored_PG, reward_names(scored_PG))


def through_parquet(rows, columns, path):
    pq.write_table(pa.Table.from_pylist(rows, schema=columns), path)
    return pq.read_table(path).to_pylist()


PROMPTS_P = [Prompt("a", "Où est Lima? 🦙", Split.HELDOUT, label=True, fact_based=False), Prompt("b", "Write.\n\nNow.")]


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (prompt_rows(PROMPTS_P), PROMPTS),
        (responses_of([SCORED, FAILED, POEM, SILENT]), response_columns(["factuality", "instruction"])),
        (responses_of([FAILED]), response_columns(["instruction"])),
        (fact_rows([SCORED, FAILED]), FACTS),
        (sentence_rows([SCORED, FAILED]), SENTENCE_COLUMNS),
        (evidence_rows([SCORED, FAILED]), EVIDENCE),
        (pair_rows(PAIRS.pairs_D), PAIR_TABLE),
        (graded_rows([make_graded(advantage=0.5)]), GRADED),
    ],
    ids=["prompts", "responses", "one failed response", "facts", "sentences", "evidence", "pairs", "graded"],
)
def test_rows_have_the_columns_of_their_table_and_come_back_from_it_as_they_went_in(rows, columns, tmp_path):
    assert [list(row) for row in rows] == [columns.names] * len(rows)
    assert rows and through_parquet(rows, columns, tmp_path / "table.parquet") == rows


def test_a_prompts_row_says_its_split_its_label_and_what_was_decided():
    assert prompt_rows(PROMPTS_P)[0] == {
        "prompt_id": "a",
        "text": "Où est Lima? 🦙",
        "split": "heldout",
        "label": True,
        "fact_based": False,
    }
    assert prompt_rows(PROMPTS_P)[1]["label"] is None


def test_a_scored_response_has_its_tokens_both_rewards_and_its_counts():
    (row,) = responses_of([SCORED])
    assert (row["response_id"], row["prompt_id"], row["round"], row["index"]) == ("1/peru/0", "peru", 1, 0)
    assert (row["prompt_token_ids"], row["token_ids"]) == ([1, 2], [3, 4])
    assert (row["precision"], row["supported"], row["contradicted"], row["not_found"]) == (0.5, 2, 1, 1)
    assert (row["instruction_score"], row["instruction_missing"], row["fact_missing"]) == (3.5, None, None)


def test_a_missing_reward_is_null_with_its_reason_beside_it():
    (row,) = responses_of([FAILED])
    assert (row["instruction_score"], row["instruction_missing"]) == (None, "no score read")
    assert (row["precision"], row["supported"], row["fact_missing"]) == (None, None, "checker died")


def test_a_prompt_without_facts_an_abstention_and_a_failure_can_be_told_apart():
    poem, silent, failed = responses_of([POEM, SILENT, FAILED])
    told = [(row["precision"], row["supported"], row["fact_missing"]) for row in (poem, silent, failed)]
    assert told == [(None, None, None), (None, 0, None), (None, None, "checker died")]


def test_the_rows_of_a_fact_and_of_its_response_say_what_is_relevant():
    facts = make_fact_score(make_verdict(relevant=False), make_verdict(), make_verdict(VerdictLabel.CONTRADICTED))
    scored = make_scored(facts=facts)
    assert [row["relevant"] for row in fact_rows([scored])] == [False, True, True]
    (row,) = responses_of([scored])
    assert (row["supported"], row["relevant_supported"]) == (2, 1)


def test_every_fact_has_a_row_with_the_passage_that_decided():
    rows = fact_rows([FAILED, SCORED, POEM, SILENT])
    assert [(row["fact"], row["sentence"], row["verdict"], row["passage_id"]) for row in rows] == [
        ("Peru borders Chile.", 0, "supported", "pe/geography/0"),
        ("Peru borders Spain.", 1, "contradicted", "pe/geography/0"),
        ("Peru borders Oz.", 2, "not_found", None),
        ("Lima is in Peru.", 2, "supported", "pe/government/0"),
    ]
    assert {row["response_id"] for row in rows} == {"1/peru/0"}


def test_a_prompts_evidence_is_there_once_and_whole_whichever_response_was_checked_on_it():
    rows = evidence_rows([FAILED, SCORED, POEM, SILENT])
    assert rows == [
        {"prompt_id": "peru", "passage_id": "pe/geography/0", "title": "Peru", "text": "Chile 168 km"},
        {"prompt_id": "peru", "passage_id": "pe/government/0", "title": "Peru", "text": "Capital: Lima"},
    ]
    named = {row["passage_id"] for row in fact_rows([SCORED])} - {None}
    assert named <= {row["passage_id"] for row in rows}


def test_every_sentence_has_a_row_that_says_whether_it_could_be_checked():
    assert sentence_rows([FAILED, SCORED, POEM]) == [
        {"response_id": "1/peru/0", "sentence": 0, "text": "Hello!", "verifiable": False},
        {"response_id": "1/peru/0", "sentence": 1, "text": "Peru borders Chile.", "verifiable": True},
    ]


def test_a_pairs_row_has_both_sides_and_the_scores_that_decided():
    assert pair_rows(PAIRS.pairs_D)[0] == {
        "kind": "factuality",
        "prompt_id": "peru",
        "chosen_id": "1/peru/0",
        "rejected_id": "1/peru/1",
        "chosen_score": 0.8,
        "rejected_score": 0.2,
        "fact_gap": 0.5,
        "flipped": False,
        "chosen": "chosen",
        "rejected": "rejected",
    }


def test_the_line_for_the_screen_has_the_precision_with_its_interval():
    found = replace(evaluation(factual_precision=Interval(0.5, 0.4, 0.6, 9)), missing=0)
    told = "precision 0.500 [0.400, 0.600] (n 9), 1.00 [0.50, 1.50] correct (2.00 relevant) and 3.00 erroneous facts a response"
    assert evaluation_line(found) == told


def test_the_line_for_the_screen_shows_no_interval_of_one_value():
    found = evaluation(factual_precision=make_interval(1.0))
    assert evaluation_line(found).startswith("precision 1.000 (n 1), ")


def test_the_line_for_the_screen_counts_the_rewards_that_failed():
    assert evaluation_line(evaluation()).endswith(" erroneous facts a response; 3 rewards missing")


def test_the_line_for_the_screen_and_the_summary_count_the_facts_on_which_the_checker_failed():
    found = replace(evaluation(), missing=0, failed_facts=2)
    assert evaluation_line(found).endswith(" erroneous facts a response; the checker failed on 2 facts")
    none = dict.fromkeys(("correct_facts", "relevant_facts", "erroneous_facts"), NONE)
    found = replace(evaluation(factual_precision=make_interval(1.0), **none), missing=0, failed_facts=2)
    assert evaluation_line(found) == "precision 1.000 (n 1); the checker failed on 2 facts"
    assert round_summary(make_round_report(0, evaluation=found), {})["evaluation"]["failed_facts"] == 2


@pytest.mark.parametrize(("missing", "told"), [(0, ""), (24, "; 24 rewards missing")])
def test_the_line_for_the_screen_does_not_say_that_nothing_was_stated_where_the_checks_failed(missing, told):
    found = replace(evaluation(**dict.fromkeys(METRICS, NONE)), missing=missing)
    assert evaluation_line(found) == f"no fact was scored on 12 prompts{told}"


def test_the_closing_table_has_a_column_a_round_and_a_dash_where_there_is_no_mean():
    console = Console(file=io.StringIO(), width=200)
    rounds = [
        report(0, factual_precision=NONE),
        report(1),
    ]
    print_closing_table(console, rounds)
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.file.getvalue().splitlines() if "│" in line]
    assert lines[:2] == [
        ["factual precision", "-", "0.00 [-0.50, 0.50]"],
        ["correct facts", "1.00 [0.50, 1.50]", "1.00 [0.50, 1.50]"],
    ]


def test_many_rounds_stand_in_several_tables_that_fit_a_terminal():
    console = Console(file=io.StringIO(), width=100)
    change = make_change(**dict.fromkeys(METRICS, Interval(-0.0446, -0.0963, -0.0552, 90)))
    print_closing_table(console, [replace(report(n), change=change) for n in range(4)])
    printed = console.file.getvalue()
    assert printed.count("Held-out prompts") == 2 and printed.count("-0.04 [-0.10, -0.06]") == 4 * 7


def test_the_closing_table_shows_the_paired_change_of_each_metric_from_round_zero_with_its_interval():
    console = Console(file=io.StringIO(), width=200)
    rounds = [report(0), replace(report(1), change=make_change(factual_precision=Interval(0.0625, -0.0123, 0.1, 9)))]
    print_closing_table(console, rounds)
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.file.getvalue().splitlines() if "│" in line]
    assert lines[1] == ["change", "", "+0.06 [-0.01, 0.10]"] and lines[3] == ["change", "", "+0.25"]
    assert "paired by prompt" in console.file.getvalue()


def selection(round: int, best: int, restart: int, change: Interval | None = None, **others) -> Selection:
    return Selection(round, best, restart, Interval(0.25, 0.125, 0.5, 48), change, **others)


RISE, FALL, SMALL = (Interval(mean, mean - 0.05, mean + 0.05, 48) for mean in (0.1, -0.1, -0.01))


SCORE = "development score 0.250 [0.125, 0.500]"


@pytest.mark.parametrize(
    ("chosen", "rest"),
    [
        (selection(0, 0, 0), ": round 0 is the best so far"),
        (selection(1, 1, 1, RISE), ", +0.100 [0.050, 0.150] from the best before: round 1 is the best so far"),
        (selection(2, 1, 1, FALL), ", -0.100 [-0.150, -0.050] from the best before: rolled back to round 1"),
        (selection(2, 1, 2, SMALL), ", -0.010 [-0.060, 0.040] from the best before: round 1 stays the best"),
        (
            selection(2, 1, 1, RISE, abstains_too_often=True),
            ", +0.100 [0.050, 0.150] from the best before; it abstains too often: rolled back to round 1",
        ),
    ],
    ids=["start", "best", "rolled back", "small fall", "abstains"],
)
def test_the_line_for_the_screen_says_what_became_of_a_round(chosen, rest):
    assert selection_line(chosen) == SCORE + rest


def test_a_round_whose_development_answers_were_not_scored_has_no_score_on_the_screen():
    chosen = replace(selection(2, 1, 2, NONE), value=NONE)
    assert selection_line(chosen) == "no development score: round 1 stays the best"


def test_the_summary_has_the_paired_change_of_every_round_but_the_first():
    assert "change" not in round_summary(report(0), {})
    found = round_summary(replace(report(1), change=make_change(correct_facts=Interval(0.5, 0.25, 0.75, 9))), {})["change"]
    assert (found["correct_facts"], found["ci95"]["correct_facts"], found["n"]["correct_facts"]) == (0.5, [0.25, 0.75], 9)
    assert set(found) == {*METRICS, "ci95", "n"}


def test_the_closing_table_prints_one_value_without_an_interval():
    console = Console(file=io.StringIO(), width=200)
    print_closing_table(console, [report(0, factual_precision=make_interval(0.25))])
    assert "0.25 " in console.file.getvalue() and "0.25 [" not in console.file.getvalue()
