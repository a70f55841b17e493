"""The files that settings name are told by what is in them, and are read once."""

import os

import pytest

from flame_ray.config.load import parse_config
from flame_ray.errors import StorageError
from flame_ray.reproduction import named_files
from flame_ray.reproduction.named_files import contents


def config_of(**sections):
    return parse_config(sections, "here")


def test_a_file_is_told_by_its_content_and_not_by_its_place(tmp_path):
    for name, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / f"{name}.jsonl").write_text(text)
    first, same, other = (config_of(sft={"sources": [{"source": str(tmp_path / f"{each}.jsonl")}]}) for each in "abc")
    assert contents(first) == contents(same) != contents(other)
    assert contents(first).keys() == {"sft.sources.0"}


def test_a_folder_is_told_by_the_names_and_contents_of_its_files(tmp_path):
    folder = tmp_path / "mmlu"
    (folder / "test").mkdir(parents=True)
    (folder / "test" / "law.csv").write_text("x")
    config = config_of(suites={"mmlu": str(folder)})
    before = contents(config, "mmlu")
    (folder / "test" / "law.csv").rename(folder / "test" / "art.csv")
    renamed = contents(config, "mmlu")
    (folder / "test" / "art.csv").write_text("y")
    assert len({each["suites.mmlu"] for each in (before, renamed, contents(config, "mmlu"))}) == 3


@pytest.mark.parametrize(
    ("suite", "setting"), [("alpaca-fact", "alpaca"), ("truthfulqa-mc", "truthfulqa"), ("agreement", "labelled"), ("fava", "")]
)
def test_only_the_data_of_the_suite_that_is_asked_counts(tmp_path, suite, setting):
    (tmp_path / "data").write_text("x")
    config = config_of(suites=dict.fromkeys(("alpaca", "truthfulqa", "labelled", "biography"), str(tmp_path / "data")))
    assert contents(config, suite).keys() == ({f"suites.{setting}"} if setting else set())


@pytest.mark.parametrize(
    "sections",
    [
        {"prompts": {"sources": [{"source": "here.jsonl"}]}},
        {"classify": {"labels": [{"source": "here.jsonl", "label_column": "facts"}]}},
        {"factuality": {"corpus": "here.jsonl"}},
        {"factuality": {"sentences": "fact_based", "sentence_labels": [{"source": "here.jsonl"}]}},
        {"model": {"policy": "here.jsonl"}},
        {"model": {"chat_template": "here.jsonl"}},
        {"judge": {"preferences": "here.jsonl"}},
        {"pairs": {"file": "here.jsonl"}, "run": {"rounds": 1}},
    ],
    ids=lambda sections: ".".join((*sections, *next(iter(sections.values())))),
)
def test_each_setting_that_names_a_file_counts(tmp_path, monkeypatch, sections):
    monkeypatch.chdir(tmp_path)
    assert contents(config_of(**sections)) == {}
    (tmp_path / "here.jsonl").write_text("{}")
    assert len(contents(config_of(**sections))) == 1


def test_what_is_built_in_is_no_file_although_one_has_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("seeds", "factbook", "open-ended", "questions", "smollm2-135m", "all-minilm-l6-v2", "plain"):
        (tmp_path / name).write_text("x")
    config = config_of(sft={"sources": [{"source": "seeds"}]}, suites={"alpaca": "questions"}, model={"chat_template": "plain"})
    assert contents(config, "alpaca-eval") == {}


def test_a_file_is_read_once_and_again_when_it_has_changed_and_a_large_one_never(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(named_files, "sha256_of", lambda path: read.append(path) or f"content {len(read)}")
    file = tmp_path / "names.txt"
    config = config_of(suites={"biography": str(file)})
    file.write_text("Ada")
    assert contents(config, "biography") == contents(config, "biography") and len(read) == 1
    file.write_text("Ada\nBo")
    contents(config, "biography")
    assert len(read) == 2
    monkeypatch.setattr(named_files, "READ_BYTES", 3)
    file.write_text("Ada\nBo\nCy")
    before = contents(config, "biography")
    os.utime(file, ns=(1, 1))
    assert contents(config, "biography") != before and len(read) == 2


def test_a_file_that_cannot_be_read_is_named_with_its_setting(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "names.txt"
    file.write_text("Ada")
    monkeypatch.setattr(named_files, "sha256_of", refuse)
    with pytest.raises(StorageError, match=r"names\.txt; found Permission denied.*suites\.biography"):
        contents(config_of(suites={"biography": str(file)}), "biography")
