"""Files of labels: both formats as people and spreadsheets write them; each bad row is named, and no label gets lost."""

import json

import pytest

from flame_ray.errors import DataError
from flame_ray.evaluation.audit.labels import Answer, read_labels, reader_names, sheet_of
from flame_ray.types import VerdictLabel

IDS = [f"ab12-{number}" for number in range(1, 10)]
SUPPORTED = {"id": "ab12-1", "label": "supported", "says_nothing": False, "faithful": True}


@pytest.fixture
def write(tmp_path):
    def write(*lines, name="anna.jsonl"):
        path = tmp_path / name
        path.write_text("".join((json.dumps(line) if isinstance(line, dict) else line) + "\n" for line in lines))
        return path

    return write


def read(path):
    return read_labels(path, "anna", "ab12", "mine", IDS)


def refused(path):
    with pytest.raises(DataError) as caught:
        read(path)
    return str(caught.value)


def test_a_row_of_jsonl_is_an_answer(write):
    reader = read(write(SUPPORTED | {"relevant": True, "run": "mine", "note": "more"}))
    assert reader.answers == {"ab12-1": Answer(VerdictLabel.SUPPORTED, False, True, True)}
    assert (reader.name, reader.notes) == ("anna", ())


def test_a_row_that_the_reader_left_empty_is_no_answer(write):
    reader = read(write(SUPPORTED, {"id": "ab12-2", "label": None, "faithful": None}, {"id": "ab12-3", "label": " "}))
    assert list(reader.answers) == ["ab12-1"] and reader.notes == ()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_is_read_as_spreadsheets_of_all_countries_write_it(write, separator):
    rows = (
        ("id", "fact", "label", "says_nothing", "faithful", "relevant"),
        ("ab12-1", "a", "Supported", "FALSE", "TRUE", ""),
        ("", "", "", "", "", ""),
        ("ab12-2", "b", "not found", "0", "yes", "n"),
    )
    reader = read(write(*(separator.join(row) for row in rows), name="anna.csv"))
    assert reader.answers == {
        "ab12-1": Answer(VerdictLabel.SUPPORTED, False, True, None),
        "ab12-2": Answer(VerdictLabel.NOT_FOUND, False, True, False),
    }


def test_a_line_of_csv_is_the_one_in_which_the_row_begins(write):
    text = 'id,fact,label\nab12-1,"two\nlines",supported\nab12-2,"one, more",maybe'
    assert "anna.csv:4: 'maybe'" in refused(write(text, name="anna.csv"))


def test_a_byte_order_mark_is_no_part_of_the_heading(tmp_path):
    path = tmp_path / "anna.csv"
    path.write_bytes(b"\xef\xbb\xbfid,label\r\nab12-1,supported\r\n")
    assert list(read(path).answers) == ["ab12-1"]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('ab12-2,"never closed,supported', "unexpected end of data"),
        ("ab12-2,one, more,supported", "3 cells, as in the first line; found"),
    ],
)
def test_a_row_that_would_swallow_or_shift_labels_is_refused(write, line, part):
    path = write("id,fact,label", "ab12-1,a,supported", line, "ab12-3,b,supported", name="anna.csv")
    message = refused(path)
    assert "anna.csv:3" in message and part in message


def test_a_table_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "anna.csv"
    path.write_bytes("id,fact,label\nab12-1,Sáo Tomé,supported\n".encode("latin-1"))
    assert "anna.csv" in refused(path) and "as CSV UTF-8" in refused(path)


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ({"id": "ab12-2", "label": "suported"}, ["`label` to be one of supported, contradicted, not_found", "'suported'"]),
        ({"id": "ab12-2", "label": 1}, ["`label` to be one of"]),
        ({"id": "ab12-2", "label": "error"}, ["`label` to be one of"]),
        (
            {"id": "ab12-2", "label": "supported", "faithful": "perhaps"},
            ["`faithful` to be true, false, or empty", "'perhaps'"],
        ),
        (
            {"id": "cd34-2", "label": "supported"},
            ["rows of the sheet ab12 of the run mine", "labels of that sheet"],
        ),
        ({"id": "cd34-2", "label": "supported", "run": "yours"}, ["'cd34-2' of the run yours"]),
        (
            {"id": "ab12-1", "label": "contradicted"},
            ["a second row of ab12-1, first in line 1", "remove one"],
        ),
        ({"label": "supported"}, ["a column `id`"]),
        ("{", ["one JSON object a line"]),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_line_and_what_to_do(write, row, parts):
    message = refused(write(SUPPORTED, "", row))
    assert "anna.jsonl:3" in message and "To fix: " in message
    assert all(part in message for part in parts), message


def test_a_row_filled_in_half_keeps_what_it_has_and_is_named(write):
    path = write(SUPPORTED, {"id": "ab12-2", "label": "supported"}, {"id": "ab12-3", "says_nothing": True, "faithful": True})
    reader = read(path)
    assert reader.answers["ab12-2"] == Answer(VerdictLabel.SUPPORTED)
    assert reader.answers["ab12-3"] == Answer(None, True, True)
    assert reader.notes == (
        f"{path}: no `says_nothing` in line 2",
        f"{path}: no `faithful` in line 2",
        f"{path}: no `label` in line 3",
    )


def test_of_many_such_rows_a_note_names_the_first_ones(write):
    (note, _) = read(write(*({"id": id, "label": "supported"} for id in IDS))).notes
    assert note.endswith("anna.jsonl: no `says_nothing` in 9 lines: 1, 2, 3, 4, 5, ...")


def test_a_file_without_any_label_is_refused(write):
    message = refused(write({"id": "ab12-1", "label": None}, {"id": "ab12-2", "faithful": True}))
    assert "none in the 2 rows of" in message and "label some facts" in message


def test_reading_never_changes_a_file(write):
    path = write(SUPPORTED, {"id": "ab12-1", "label": "contradicted"})
    before = path.read_bytes()
    refused(path)
    assert path.read_bytes() == before


def test_the_first_row_tells_the_sheet(write, tmp_path):
    path = write(SUPPORTED)
    assert sheet_of(path) == ("ab12", f"{path}:1")
    assert sheet_of(write({"id": "7"}))[0] == ""
    with pytest.raises(DataError, match=r"rows of a sheet; found none in .*anna\.jsonl"):
        sheet_of(write())
    with pytest.raises(DataError, match=r"nowhere\.csv: No such file"):
        sheet_of(tmp_path / "nowhere.csv")


def test_a_reader_is_called_like_the_file_or_like_its_path_if_two_files_are_called_the_same(tmp_path):
    anna, ben, other = tmp_path / "anna.jsonl", tmp_path / "ben.csv", tmp_path / "x" / "anna.csv"
    assert reader_names([anna, ben]) == ["anna", "ben"]
    assert reader_names([anna, ben, other]) == [str(anna), "ben", str(other)]
