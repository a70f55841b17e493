"""The tables of an audit: a column for each round, dashes for what is not known, and how far the readers agree."""

import io

import pytest
from rich.console import Console

from flame_ray.evaluation.audit.estimate import ReadFact, audit_rounds
from flame_ray.evaluation.audit.labels import Answer
from flame_ray.evaluation.clusters import ClusterBootstrap
from flame_ray.report.audit import print_audit, round_findings
from flame_ray.report.summary import evaluation_summary
from flame_ray.types import VerdictLabel
from tests.builders import make_evaluation, make_held_out_fact, make_interval

YES, NO = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED
OWN = make_interval(0.25, low=0.125, high=0.5, n=9)


@pytest.fixture
def found():
    facts = [make_held_out_fact("a", YES, round=round, prompt=prompt) for round in (0, 2) for prompt in "pq"]
    labels = [YES, NO, YES, YES]
    read = [ReadFact(fact, (Answer(label, faithful=True),)) for fact, label in zip(facts, labels, strict=True)]
    audits = audit_rounds(facts, read, {0: 2, 2: 2}, ClusterBootstrap(200, 0))
    own = evaluation_summary(make_evaluation(factual_precision=OWN))
    return {
        "readers": [{"name": "anna"}],
        "rounds": [round_findings(each, own, (each.round, 4)) for each in audits],
        "agreement": [],
        "notes": ["anna.jsonl: no `label` in line 3 [red]\x1b[31m"],
    }


def printed(found, width=160):
    out = io.StringIO()
    print_audit(Console(file=out, width=width), found)
    return out.getvalue()


def row(text, words):
    (line,) = [line for line in text.splitlines() if words in line]
    return [cell.strip() for cell in line.strip("│ ").split("│")]


def test_findings_are_json_values_with_interval_and_number(found):
    first, last = found["rounds"]
    assert first["own"] == {"value": 0.25, "ci95": [0.125, 0.5], "n": 9}
    assert first["precision"] == {"value": 0.5, "ci95": [0.0, 1.0], "n": 2}
    assert (first["round"], first["facts"], first["prompts"], first["change"]) == (0, 2, 2, None)
    assert last["change"]["value"] == 0.5


def test_each_round_is_a_column_with_people_beside_the_run(found):
    text = printed(found)
    assert text.index("round 0") < text.index("round 2")
    assert row(text, "facts read")[1:] == ["2 (2)", "2 (2)"]
    assert row(text, "the run's own precision")[1] == "0.25 [0.12, 0.50]"
    left_out = [cell.split()[0] for cell in row(text, "left out by the checker")[1:]]
    assert left_out == ["0.00", "0.50"]  # 0 and 2 of 4
    assert row(text, "precision, by people")[1] == "0.50 [0.00, 1.00]"
    assert row(text, "supported facts that the checker finds")[1].endswith("(n 1)")
    assert "read by anna" in text


def test_changes_have_a_sign_and_the_first_round_has_none(found):
    changes = [line for line in printed(found).splitlines() if "change from the first round" in line]
    assert [row(line, "change")[1:] for line in changes] == [["-", "+0.50 [0.00, 1.00]"]] * 2


def test_what_nobody_labelled_has_no_row(found):
    text = printed(found)
    assert "facts that distort the answer" in text
    assert "facts that say nothing" not in text and "answer the instruction" not in text


def test_one_reader_has_no_table_of_agreement_and_two_have(found):
    assert "Cohen's kappa" not in printed(found)
    agreement = [
        {"readers": ["anna", "ben"], "column": "supported", "share": 0.975, "kappa": 0.95, "n": 40},
        {"readers": ["anna", "ben"], "column": "label", "share": None, "kappa": None, "n": 0},
    ]
    text = printed(found | {"readers": [{"name": "anna"}, {"name": "ben"}], "agreement": agreement})
    assert row(text, "supported or not") == ["anna and ben", "supported or not", "40", "0.97", "0.95"]
    assert row(text, "│ label ")[2:] == ["0", "-", "-"]


def test_a_note_is_one_line_whose_signs_do_not_act_on_the_screen(found):
    assert "note: anna.jsonl: no `label` in line 3 [red]\\x1b[31m\n" in printed(found, width=40)
