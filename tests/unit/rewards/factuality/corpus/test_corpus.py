"""The corpus: what each source gives, and what a wrong one says."""

import json

import pytest

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.corpus import load_corpus


@pytest.fixture(scope="module")
def factbook():
    return load_corpus("factbook")


def _text(factbook, title):
    return "\n".join(passage.text for passage in factbook if passage.title == title)


def test_the_factbook_has_every_country_in_passages_of_readable_size(factbook):
    words = sorted(len(passage.text.split()) for passage in factbook)
    assert len({passage.title for passage in factbook}) == 256
    assert 60 <= words[len(words) // 2] <= 170
    assert words[-1] < 320


def test_passage_ids_are_unique(factbook):
    assert len({passage.id for passage in factbook}) == len(factbook)


def test_no_html_is_left(factbook):
    assert not [p.id for p in factbook if "<br" in p.text or "<strong" in p.text or "&nbsp" in p.text or "&eacute" in p.text]


def test_a_field_reads_as_name_and_value(factbook):
    assert "Land boundaries, border countries: Bolivia 1,212 km; Brazil 2,659 km;" in _text(factbook, "Peru")
    assert "Capital, name: Nairobi" in _text(factbook, "Kenya")
    assert "\nExports 2024: " in _text(factbook, "Peru")


@pytest.mark.parametrize(
    "title",
    [
        "Peru",
        "The Bahamas",
        "Vatican City",
        "Democratic Republic of the Congo",
        "Dominican Republic",
        "Burma",
        "United Arab Emirates",
    ],
)
def test_titles_are_the_names_that_people_write(factbook, title):
    assert _text(factbook, title)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Peru", "Peruvian"),
        ("Peru", "Republic of Peru"),
        ("Burma", "Myanmar"),
        ("Netherlands", "Dutch"),
        ("Côte d'Ivoire", "Ivory Coast"),
    ],
)
def test_other_names_stand_in_the_heading_of_every_passage(factbook, title, name):
    assert all(name in passage.text.split("\n")[0] for passage in factbook if passage.title == title)


def _jsonl(path, *rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def test_a_jsonl_file_gives_one_passage_a_row(tmp_path):
    source = _jsonl(
        tmp_path / "facts.jsonl", {"name": "Lima", "body": "A city.\u2028In Peru."}, {"name": "Cusco", "body": "Another."}
    )
    passages = load_corpus(source, title_column="name", text_column="body")
    assert [(p.id, p.title) for p in passages] == [("facts/1", "Lima"), ("facts/2", "Cusco")]


def test_a_parquet_file_gives_one_passage_a_row(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"title": ["Lima"], "text": ["A city."]}), tmp_path / "facts.parquet")
    assert load_corpus(str(tmp_path / "facts.parquet"))[0].text == "A city."


def test_a_missing_file_says_where_it_looked(tmp_path):
    with pytest.raises(DataError, match=r"nothing at .*gone\.jsonl"):
        load_corpus(str(tmp_path / "gone.jsonl"))


@pytest.mark.parametrize("source", ["factbok", "wikipedia", "mine"])
def test_a_word_that_is_no_corpus_is_refused_without_asking_the_hub(source):
    with pytest.raises(DataError, match=f"as owner/name; found {source}"):
        load_corpus(source)


def test_a_missing_column_names_those_that_exist(tmp_path):
    with pytest.raises(DataError, match=r"a column `text`; found .*facts\.jsonl:1 has title, body.*factuality\.text_column"):
        load_corpus(_jsonl(tmp_path / "facts.jsonl", {"title": "Lima", "body": "A city."}))


def test_an_empty_corpus_is_an_error(tmp_path):
    with pytest.raises(DataError, match="at least one passage"):
        load_corpus(_jsonl(tmp_path / "facts.jsonl", ""))


@pytest.mark.parametrize("row", ['{"title": "Lima",', "[1, 2]", {"title": "Lima", "text": 3}, {"title": "Lima", "text": " "}])
def test_a_malformed_row_is_named_by_file_and_line(tmp_path, row):
    with pytest.raises(DataError, match=r"facts\.jsonl:2"):
        load_corpus(_jsonl(tmp_path / "facts.jsonl", {"title": "Lima", "text": "A city."}, row))


def test_a_file_that_is_not_parquet_is_named(tmp_path):
    (tmp_path / "facts.parquet").write_text("no")
    with pytest.raises(DataError, match=r"facts\.parquet"):
        load_corpus(str(tmp_path / "facts.parquet"))
