"""`flame-ray audit` on a small run, by the command line: draw a sheet, fill it as people would, and read it back."""

import csv
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flame_ray.types import VerdictLabel
from tests.builders import make_verdict

YES, NO, NONE = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND
COUNTRIES = ("peru", "chile", "mali", "fiji")


def stated(*words):
    """Facts as `+true` or `-false`: the sign is the checker's verdict, the word what is so."""
    return [make_verdict({"+": YES, "-": NO}[word[0]], fact=word[1:]) for word in words]


@pytest.fixture
def run(finished_run):
    """The checker finds no true fact of round 0 and one of two in round 2, and believes one false one."""
    first = {name: stated("-true", "-false") for name in COUNTRIES}
    last = {name: stated("+true", "-true" if name in "perumali" else "+false") for name in COUNTRIES}
    return finished_run([first, first, last])


@pytest.fixture
def audit(run, flame, tmp_path):
    def audit(*words):
        return flame("audit", "mine", *words, folder=tmp_path)

    return audit


@pytest.fixture
def sheet(audit, run):
    """The files of a drawn sheet, by their last name."""
    assert audit().returncode == 0
    return {path.name: path for path in (run.storage.local / "audit").rglob("*") if path.is_file()}


def rows(sheet):
    return [json.loads(line) for line in sheet["sheet.jsonl"].read_text().splitlines()]


def fill(sheet, path, label=None, keep=lambda row: True, **flags):
    """Labels by what each fact says, as a reader who knows the truth would give them."""
    lines = [
        {"id": row["id"], "run": row["run"], "label": label or {"true": "supported", "false": "not_found"}[row["fact"]]} | flags
        for row in rows(sheet)
        if keep(row)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def result(run):
    return run.read_json("audit/result.json", None)


def test_a_sheet_is_drawn_in_three_formats_and_its_key_lies_apart(audit, run):
    done = audit()
    (key,) = (run.storage.local / "audit" / "keys").iterdir()
    folder = run.storage.local / "audit" / key.stem
    assert sorted(path.name for path in folder.iterdir()) == ["sheet.csv", "sheet.html", "sheet.jsonl"]
    assert done.stdout.splitlines()[0] == f"sheet {key.stem}: 16 facts of the rounds 0, 2 of mine"
    assert str(folder) in done.stdout and str(key.parent) in done.stdout and "flame-ray audit mine --labels" in done.stdout


def test_the_sheet_tells_neither_round_nor_verdict_nor_response(sheet):
    first = rows(sheet)[0]
    assert set(first) == {
        *("id", "prompt", "response", "sentence", "fact", "evidence", "run"),
        *("label", "says_nothing", "faithful", "relevant"),
    }
    for name in ("sheet.html", "sheet.jsonl", "sheet.csv"):
        text = sheet[name].read_text().partition("<script nonce")[0]  # the page's own code has the word
        assert "0/peru/0" not in text and "2/peru/0" not in text
        assert (
            "contradicted" not in text.partition("application/json")[2] if name == "sheet.html" else "contradicted" not in text
        )


def test_the_key_has_round_verdict_and_response_of_each_row(sheet):
    (key,) = [json.loads(path.read_text()) for name, path in sheet.items() if name.endswith(".json")]
    assert [row["id"] for row in key["rows"]] == [row["id"] for row in rows(sheet)]
    assert {row["round"] for row in key["rows"]} == {0, 2}
    assert all(row["response_id"] == f"{row['round']}/{row['prompt_id']}/0" for row in key["rows"])
    assert {row["verdict"] for row in key["rows"]} == {"supported", "contradicted"}
    assert (key["run"], key["settings"]["seed"]) == ("mine", 0)


def test_the_figures_of_an_audit_are_a_file_for_prometheus(audit, sheet, run, tmp_path):
    audit("--labels", fill(sheet, tmp_path / "anna.jsonl"))
    (figure,) = text_string_to_metric_families((run.storage.local / "audit" / "audit.prom").read_text())
    assert (figure.name, figure.type) == ("ray_flame_audit_ratio", "gauge")
    shown = {tuple(sample.labels.values()): sample.value for sample in figure.samples}
    expected = {
        ("mine", finding, str(each["round"])): each[finding]["value"]
        for each in result(run)["rounds"]
        for finding in ("own", "precision", "debiased", "sensitivity", "specificity")
    }
    assert shown == expected and shown["mine", "precision", "2"] == 0.75


def test_labels_tell_what_the_rounds_are_worth(audit, sheet, run, tmp_path):
    """By people: one of two in each answer of round 0; one or two of two in round 2."""
    done = audit("--labels", fill(sheet, tmp_path / "anna.jsonl", says_nothing=False, faithful=True))
    assert done.returncode == 0, done.stderr
    first, last = result(run)["rounds"]
    assert (first["round"], last["round"], first["facts"], first["prompts"]) == (0, 2, 8, 4)
    assert (first["precision"]["value"], last["precision"]["value"]) == (0.5, 0.75)
    assert (last["change"]["value"], last["change"]["ci95"]) == (0.25, [0.0, 0.5])
    assert (first["debiased"]["value"], last["debiased"]["value"]) == (0.5, 0.75)  # all facts were read
    assert (first["sensitivity"]["value"], first["sensitivity"]["n"]) == (0.0, 4)
    assert (last["sensitivity"]["value"], last["sensitivity"]["n"]) == (pytest.approx(4 / 6), 6)
    assert (first["specificity"]["value"], last["specificity"]["value"]) == (1.0, 0.0)
    assert first["own"]["value"] == 0.0 and last["own"]["value"] == 0.25  # what summary.json says
    assert first["sound"]["value"] == 0.5
    for words in ("precision, by people", "0.75 [0.50, 1.00]", "+0.25 [0.00, 0.50]", "read by anna"):
        assert words in done.stdout


def test_the_summary_of_the_run_and_a_later_look_show_the_audit(audit, sheet, run, tmp_path):
    before = run.summary()
    audit("--labels", fill(sheet, tmp_path / "anna.jsonl"))
    assert run.summary() == before | {"audit": result(run)}
    assert "precision, by people" in audit().stdout


def test_labels_filled_into_the_table_or_the_lines_of_the_sheet_count_alike(audit, sheet, run, tmp_path):
    filled = [row | {"label": "supported" if row["fact"] == "true" else "Not found"} for row in rows(sheet)]
    sheet["sheet.jsonl"].write_text("".join(json.dumps(row) + "\n" for row in filled))
    audit("--labels", sheet["sheet.jsonl"])
    by_lines = result(run)["rounds"]
    with (tmp_path / "anna.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["id", "fact", "label"], delimiter=";", extrasaction="ignore")
        table.writeheader()
        table.writerows(filled)
    audit("--labels", tmp_path / "anna.csv")
    assert result(run)["rounds"] == by_lines


def test_two_readers_are_compared_and_count_alike(audit, sheet, run, tmp_path):
    anna = fill(sheet, tmp_path / "anna.jsonl")
    done = audit("--labels", anna, "--labels", fill(sheet, tmp_path / "ben.jsonl", "supported"))
    assert [each["precision"]["value"] for each in result(run)["rounds"]] == [0.75, 0.875]
    supported = {each["column"]: each for each in result(run)["agreement"]}["supported"]
    assert (supported["share"], supported["kappa"], supported["n"]) == (10 / 16, 0.0, 16)
    assert [(each["name"], each["labels"]) for each in result(run)["readers"]] == [("anna", 16), ("ben", 16)]
    assert "Cohen's kappa" in done.stdout


def test_readers_of_different_rows_are_told_that_nothing_compares_them(audit, sheet, run, tmp_path):
    ids = [row["id"] for row in rows(sheet)]
    anna = fill(sheet, tmp_path / "anna.jsonl", keep=lambda row: row["id"] in ids[:8])
    ben = fill(sheet, tmp_path / "ben.jsonl", keep=lambda row: row["id"] in ids[8:])
    done = audit("--labels", anna, "--labels", ben)
    assert sum(each["facts"] for each in result(run)["rounds"]) == 16
    assert "note: anna and ben labelled no fact in common: let both label some" in done.stdout


def test_a_row_filled_in_half_counts_where_it_can_and_is_named(audit, sheet, run, tmp_path):
    done = audit("--labels", fill(sheet, tmp_path / "anna.jsonl", faithful=True))
    assert f"note: {tmp_path}/anna.jsonl: no `says_nothing` in 16 lines: 1, 2, 3, 4, 5, ...; they do not count" in done.stdout
    first = result(run)["rounds"][0]
    assert first["unfaithful"]["n"] == 8 and first["says_nothing"]["value"] is None


def test_a_round_that_nobody_has_read_yet_is_named(audit, sheet, run, tmp_path):
    (key,) = [json.loads(path.read_text()) for name, path in sheet.items() if name.endswith(".json")]
    of_first = {row["id"] for row in key["rows"] if row["round"] == 0}
    done = audit("--labels", fill(sheet, tmp_path / "anna.jsonl", keep=lambda row: row["id"] in of_first))
    assert [each["round"] for each in result(run)["rounds"]] == [0]
    assert "note: no fact of round 2 has a label: go on reading" in done.stdout


# Bad input


def refused(done, run, code, *parts):
    assert done.returncode == code and "Traceback" not in done.stderr
    assert done.stderr.startswith("flame-ray: expected ") and "; found " in done.stderr and "To fix: " in done.stderr
    assert all(part in done.stderr for part in parts), done.stderr
    assert result(run) is None and "audit" not in run.summary()


def test_labels_of_another_run_are_refused(audit, sheet, run, tmp_path):
    path = tmp_path / "anna.jsonl"
    path.write_text('{"id": "deadbeef-01", "run": "yours", "label": "supported"}\n')
    known = sheet["sheet.jsonl"].parent.name
    refused(audit("--labels", path), run, 3, f"whose sheets are {known}", f"{path}:1: a row of deadbeef", "give the run")


def test_labels_before_any_sheet_are_refused(audit, run, tmp_path):
    path = tmp_path / "anna.jsonl"
    path.write_text('{"id": "7", "label": "supported"}\n')
    refused(audit("--labels", path), run, 3, "of mine, which has none yet", f"{path}:1: a row of no sheet")


def test_an_id_that_is_a_path_opens_no_file(audit, sheet, run, tmp_path):
    path = tmp_path / "anna.jsonl"
    path.write_text('{"id": "../../config-1", "label": "supported"}\n')
    refused(audit("--labels", path), run, 3, "whose sheets are")


def test_a_file_that_is_not_there_is_refused_whichever_it_is(audit, sheet, run, tmp_path):
    anna = fill(sheet, tmp_path / "anna.jsonl")
    refused(audit("--labels", "nowhere.jsonl"), run, 3, "nowhere.jsonl: No such file")
    refused(audit("--labels", anna, "--labels", "nowhere.csv"), run, 3, "nowhere.csv: No such file")


def test_labels_of_two_sheets_are_refused_together(audit, sheet, run, tmp_path):
    anna = fill(sheet, tmp_path / "anna.jsonl")
    audit("--seed", "1")
    (other,) = [path for path in (run.storage.local / "audit").glob("*/sheet.jsonl") if path != sheet["sheet.jsonl"]]
    ben = fill({"sheet.jsonl": other}, tmp_path / "ben.jsonl")
    refused(
        audit("--labels", anna, "--labels", ben), run, 3, f"{ben}:1", f"rows of the sheet {sheet['sheet.jsonl'].parent.name}"
    )


def test_an_unknown_label_a_second_row_and_a_sheet_without_labels_are_refused_and_nothing_is_changed(
    audit, sheet, run, tmp_path
):
    path = fill(sheet, tmp_path / "anna.jsonl", "maybe")
    refused(audit("--labels", path), run, 3, f"{path}:1: 'maybe'", "one of supported, contradicted, not_found")
    path = fill(sheet, tmp_path / "anna.jsonl")
    path.write_text(path.read_text() + path.read_text())
    before = path.read_bytes()
    refused(audit("--labels", path), run, 3, f"{path}:17: a second row of", "first in line 1")
    assert path.read_bytes() == before
    refused(audit("--labels", sheet["sheet.csv"]), run, 3, "none in the 16 rows", "label some facts")


def test_one_file_given_twice_is_not_two_readers(audit, sheet, run, tmp_path):
    anna = fill(sheet, tmp_path / "anna.jsonl")
    copy = fill(sheet, tmp_path / "copy.jsonl")
    refused(audit("--labels", anna, "--labels", copy), run, 3, f"{anna} and {copy} with the same content", "each file once")


def test_drawing_again_changes_no_file_and_another_draw_is_another_sheet(audit, sheet, run):
    sheet["sheet.csv"].write_text("labels of a week")
    audit()
    assert sheet["sheet.csv"].read_text() == "labels of a week"
    audit("--facts-per-round", "4")
    folders = {path.parent.name for path in (run.storage.local / "audit").glob("*/sheet.csv")}
    assert len(folders) == 2 and sheet["sheet.csv"].read_text() == "labels of a week"


def test_a_file_of_a_sheet_whose_key_was_lost_is_not_written_over(audit, sheet, run):
    sheet["sheet.jsonl"].write_text("labels of a week")
    run.storage.remove("audit/keys")
    assert audit().returncode == 0
    assert sheet["sheet.jsonl"].read_text() == "labels of a week"
    assert run.storage.names("audit/keys") != []


def test_rounds_and_numbers_are_chosen(audit, run):
    assert audit("--rounds", "all", "--facts-per-round", "3").stdout.startswith("sheet ")
    (key,) = run.storage.names("audit/keys")
    found = [row["round"] for row in run.read_json(key, {})["rows"]]
    assert sorted(found) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert "of the rounds 1 of mine" in audit("--rounds", "1").stdout


@pytest.mark.parametrize("rounds", ["3", "first;last", ",", "best"])
def test_a_round_that_is_not_there_is_refused_with_those_that_are(audit, run, rounds):
    refused(audit("--rounds", rounds), run, 2, "--rounds all, or rounds such as first,last", "choose among the rounds 0, 1, 2")


def test_labels_and_the_options_of_a_draw_exclude_each_other(audit, run):
    refused(audit("--labels", "anna.jsonl", "--facts-per-round", "9"), run, 2, "also --facts-per-round")


def test_a_run_that_is_not_there_not_finished_or_without_facts_is_refused(flame, audit, run, tmp_path):
    refused(flame("audit", "nowhere", folder=tmp_path), run, 6, "runs/nowhere/summary.json")
    summary = run.summary()
    run.write_json("summary.json", summary | {"status": "interrupted"})
    refused(audit(), run, 6, "which is interrupted", "--resume")
    run.write_json("summary.json", summary)
    run.storage.remove("rounds/0002/heldout_facts.parquet")
    refused(audit(), run, 3, "rounds/0002/heldout_facts.parquet", "--rounds")
    assert not run.storage.exists("audit")


def test_a_run_is_named_by_its_id_or_by_its_folder(flame, run, tmp_path):
    assert flame("audit", run.storage.local, folder=tmp_path).returncode == 0
    assert "which has none yet" not in flame("audit", "mine", folder=run.storage.local.parent).stderr


# Whole records


def test_readers_may_see_all_that_the_corpus_has_on_a_subject(finished_run, flame, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    texts = [("peru", "peru lies there."), ("peru", "Its capital is Lima."), ("chile", "It is long.")]
    corpus.write_text("".join(json.dumps({"title": title, "text": text}) + "\n" for title, text in texts))
    run = finished_run([{"peru": stated("-true")}, {"peru": stated("+true")}], factuality={"corpus": str(corpus)})
    assert flame("audit", "mine", "--whole-records", folder=tmp_path).returncode == 0
    (sheet,) = (run.storage.local / "audit").glob("*/sheet.jsonl")
    for line in sheet.read_text().splitlines():
        assert [each["text"] for each in json.loads(line)["evidence"]] == ["peru lies there.", "Its capital is Lima."]
