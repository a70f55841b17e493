"""Rows of JSONL: each trap of the format once. A bad line ends the reading, or is skipped and reported."""

import json
import tracemalloc

import pytest

from flame_ray.errors import DataError
from flame_ray.storage import jsonl
from flame_ray.storage.jsonl import parse_line, read_jsonl, write_jsonl


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r.jsonl"


def numbers(path, **options):
    return [row.number for row in read_jsonl(path, **options)]


def row(**columns):
    return parse_line(json.dumps(columns).encode(), 3, "r.jsonl")


def test_a_row_says_where_it_is(path):
    path.write_text('{"a": 1}\n{"a": 2}\n')
    assert [(row.where, row.number, row.columns) for row in read_jsonl(path)] == [
        (f"{path}:1", 1, {"a": 1}),
        (f"{path}:2", 2, {"a": 2}),
    ]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", []),
        (b'{"a": 1}', [1]),  # without a line break at the end
        (b'\n  \n{"a": 1}\n\n{"a": 2}\n', [3, 5]),
        (b'{"a": 1}\r\n\r\n{"a": 2}\r\n', [1, 3]),
        (b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n', [1, 2]),
        ('{"a": "x\u2028y\x85z"}\n'.encode(), [1]),  # splitlines would cut here
    ],
    ids=["empty file", "no last line break", "blank lines", "CRLF", "byte order mark", "line separators inside a text"],
)
def test_lines_are_counted_as_an_editor_counts_them(path, content, found):
    path.write_bytes(content)
    assert numbers(path) == found


def test_only_the_first_line_may_begin_with_a_byte_order_mark():
    assert parse_line(b'\xef\xbb\xbf{"a": 1}', 1, "r.jsonl").columns == {"a": 1}
    with pytest.raises(DataError, match=r"r\.jsonl:2"):
        parse_line(b'\xef\xbb\xbf{"a": 1}', 2, "r.jsonl")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (b"{", "Expecting property name enclosed in double quotes in column"),
        (b"[1]", "a list"),
        (b'"text"', "text"),
        (b"null", "null"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": Infinity}', "Infinity"),
        (b'{"a": 1e999}', "a number too large"),
        (b'{"a": "\xff"}', "bytes that are not UTF-8 (0xff)"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deep"),
    ],
)
def test_a_bad_line_is_named_with_its_number_or_skipped_and_reported(path, line, part):
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    with pytest.raises(DataError, match=r"r\.jsonl:2") as error:
        numbers(path)
    assert part in str(error.value)
    skipped = []
    assert numbers(path, skip=skipped.append) == [1, 3]
    assert str(skipped[0]) == str(error.value) and len(skipped) == 1


def test_reading_may_begin_after_a_line_whatever_is_before_it(path):
    path.write_text('{"a": 1}\n{\n{"a": 3}\n{"a": 4}')
    assert numbers(path, after=2) == [3, 4]


def test_a_line_that_is_too_long_is_a_bad_line(path, monkeypatch):
    monkeypatch.setattr(jsonl, "MAX_LINE", 20)
    path.write_text('{"a": 1}\n{"a": "' + "x" * 200 + '"}\n{"a": 3}\n{"a": "' + "y" * 10 + '"}\n')
    skipped = []
    assert numbers(path, skip=skipped.append) == [1, 3, 4]
    assert "r.jsonl:2: a longer one" in str(skipped[0]) and len(skipped) == 1


def test_a_large_file_is_read_in_little_memory(path):
    path.write_text('{"a": "' + "x" * 1000 + '"}\n', encoding="utf-8")
    path.write_bytes(path.read_bytes() * 20_000)
    tracemalloc.start()
    count = sum(1 for _ in read_jsonl(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000 and peak < 2**20


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl: No such file"):
        numbers(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="Is a directory"):
        numbers(tmp_path)


def test_a_text_must_be_there_and_not_blank_unless_it_may_be():
    assert row(a=" x").text("a") == " x" and row(a="").text("a", blank=True) == ""
    for bad in (row(a=" "), row(a=3), row(a=None), row(b="x")):
        with pytest.raises(DataError, match=r"the column `a`|a column `a`.*r\.jsonl:3"):
            bad.text("a")


def test_a_missing_column_is_shown_beside_those_that_there_are():
    with pytest.raises(DataError, match=r"r\.jsonl:3: the columns b, c"):
        row(b=1, c=2).text("a")


def test_a_list_of_texts_holds_nothing_else():
    assert row(a=["x", ""]).texts("a") == ("x", "")
    for bad in (row(a="x"), row(a=["x", None]), row(b=[])):
        with pytest.raises(DataError, match=r"a list of texts in the column `a`; found r\.jsonl:3"):
            bad.texts("a")


@pytest.mark.parametrize(
    "line", ['{"prompt": "x", "prompt": "y"}', '{"messages": [{"role": "user", "content": "a", "content": "b"}]}']
)
def test_a_name_that_stands_twice_in_an_object_is_refused_where_json_would_lose_the_first(path, line):
    path.write_text(f'{{"prompt": "a"}}\n{line}\n')
    with pytest.raises(DataError, match=r"r\.jsonl:2: the name '(prompt|content)' twice in an object"):
        list(read_jsonl(path))


def test_rows_are_written_as_they_are_read_and_a_number_that_json_has_not_replaces_nothing(tmp_path):
    path, rows = tmp_path / "made" / "rows.jsonl", [{"text": "Gr\u00fc\u00dfe\n"}, {"text": "", "share": 0.5}]
    write_jsonl(path, iter(rows), "--out")
    assert path.read_text(encoding="utf-8") == '{"text": "Gr\u00fc\u00dfe\\n"}\n{"text": "", "share": 0.5}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_jsonl(path, [{"share": float("nan")}], "--out")
    assert [row.columns for row in read_jsonl(path)] == rows
