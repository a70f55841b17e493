"""Which lines are scored: those that can be read and have no record yet; the others are named, or refuse the file."""

import io
import json

import pytest
from rich.console import Console

from flame_ray.commands import score as scoring
from flame_ray.commands.score import Output, Totals
from flame_ray.config import Config
from flame_ray.config.load import differences, parse_config
from flame_ray.errors import ConfigError, DataError, ModelError
from flame_ray.rewards.factuality.records import FORMAT

GOOD = {"prompt": "Peru?", "response": "Lima."}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r.jsonl"


def write(path, *lines):
    path.write_bytes(b"".join((json.dumps(line).encode() if isinstance(line, dict) else line) + b"\n" for line in lines))


def rows(path, after=0):
    written = io.StringIO()
    found = [row.number for row, _ in scoring._tasks(path, after, Output(Console(file=written, width=200), None))]
    return found, written.getvalue().splitlines()


def test_the_input_is_never_written_over(path):
    write(path, GOOD)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="another file than --responses"):
        scoring.score_file(Config(), scoring.ScoreRequest(path, path, False, False), Console(), Console())
    assert path.read_bytes() == before


def test_a_folder_without_a_checker_is_refused_before_a_file_is_written(path, tmp_path):
    write(path, GOOD)
    config = Config.model_validate({"factuality": {"checker": "small", "checker_model": str(tmp_path / "nowhere")}})
    with pytest.raises(ModelError, match=r"factuality\.checker_model to be a folder with checker\.safetensors"):
        scoring.score_file(config, scoring.ScoreRequest(path, tmp_path / "out.jsonl", False, False), Console(), Console())
    assert not (tmp_path / "out.jsonl").exists()


def test_other_weights_in_the_same_folder_are_another_checker(tmp_path):
    config = Config.model_validate({"factuality": {"checker": "small", "checker_model": str(tmp_path)}})
    (tmp_path / "checker.safetensors").write_bytes(b"one")
    before = scoring._made_by(config, "digest")
    assert scoring._made_by(config, "digest") == before
    (tmp_path / "checker.safetensors").write_bytes(b"another")
    assert list(differences(before, scoring._made_by(config, "digest"))) != []


@pytest.mark.parametrize(
    "asking", [{"checker": "llm"}, {"checker": "whole"}, {"decompose": "llm"}, {"sentences": "fact_based"}, {"reranker": "."}]
)
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("file", ["model.safetensors", "chat_template.jinja"])
def test_other_weights_or_another_template_in_the_same_folder_are_another_model_wherever_one_is_asked(
    folder, asking, named, file
):
    asking = {name: str(folder) if value == "." else value for name, value in asking.items()}
    named = {"checker_model": str(folder)} if named and "checker" in asking else {}
    config = parse_config({"factuality": asking | named, "model": {"policy": str(folder)}}, "here")
    before = scoring.facts_made_by(config)
    assert scoring.facts_made_by(config) == before
    (folder / file).write_bytes(b"others")
    assert scoring.facts_made_by(config) != before


def test_another_text_of_the_verifiers_chat_template_makes_other_facts(folder, tmp_path):
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    model = {"policy": str(folder), "chat_template": str(tmp_path / "chat.jinja")}
    config = parse_config({"factuality": {"checker": "llm"}, "model": model}, "here")
    before = scoring.facts_made_by(config)
    (tmp_path / "chat.jinja").write_text("{{ messages }}!")
    assert scoring.facts_made_by(config) != before


def test_other_labels_of_sentences_make_other_facts(tmp_path):
    path = tmp_path / "labels.jsonl"
    source = {"source": str(path), "label_column": "facts", "heldout_fraction": 0}
    config = parse_config({"factuality": {"sentences": "fact_based", "sentence_labels": [source]}}, "here")
    found = []
    for text in ("Lima is in Peru.", "Lima is a city."):
        write(path, {"prompt": text, "facts": True}, {"prompt": "I like it.", "facts": False})
        found += [scoring.facts_made_by(config)["contents"]] * 2
        assert scoring.facts_made_by(config)["contents"] == found[-1]
    assert found[0] != found[2]


def test_blank_lines_are_no_lines_and_bad_ones_are_named_and_passed_over(path):
    write(path, GOOD, b"", b"{", b"  ", {"prompt": "Peru?"}, GOOD)
    found, refused = rows(path)
    assert found == [1, 6]
    assert "r.jsonl:3" in refused[0] and "r.jsonl:5" in refused[1] and len(refused) == 2


def test_lines_that_have_a_record_are_not_read_again(path):
    write(path, GOOD, b"{", GOOD, GOOD)
    assert rows(path, after=3) == ([4], [])


def test_the_digest_tells_one_input_from_another_and_its_lines_are_counted(path):
    write(path, GOOD, GOOD)
    first, lines = scoring._examine(path, strict=False)
    write(path, GOOD, {**GOOD, "response": "Cuzco."})
    assert scoring._examine(path, strict=False) != (first, lines) and lines == 2


def test_a_file_of_records_of_another_shape_is_not_continued():
    made_by = scoring._made_by(Config(), "digest")
    before = {**made_by, "flame_ray": {name: value for name, value in made_by["flame_ray"].items() if name != "record"}}
    assert differences(before, made_by) == [f"flame_ray.record: null -> {FORMAT}"]


@pytest.mark.parametrize("bad", [b"{", {"prompt": "Peru?"}])
def test_the_first_bad_line_is_refused_before_the_start_only_if_that_is_asked_for(path, bad):
    write(path, GOOD, bad, b"}")
    assert scoring._examine(path, strict=False)[1] == 3
    with pytest.raises(DataError, match=r"r\.jsonl:2"):
        scoring._examine(path, strict=True)


def test_a_file_that_is_not_there_is_named(path):
    with pytest.raises(DataError, match=r"r.jsonl: No such file.*--responses"):
        scoring._examine(path, strict=False)


def test_bad_lines_are_reported_up_to_a_number_and_then_counted_only():
    written = io.StringIO()
    output = Output(Console(file=written, width=200), None)
    for number in range(scoring.REPORTED + 50):
        output.skip(DataError("a", f"line {number} [red]\x1b[31m", "c"))
    lines = written.getvalue().splitlines()
    assert len(lines) == scoring.REPORTED + 1 and output.totals.skipped == scoring.REPORTED + 50
    assert "line 0 [red]\\x1b[31m" in lines[0]
    assert "only counted" in lines[-1]


def test_the_totals_average_over_responses_with_a_precision_and_counts_the_others():
    totals = Totals()
    for precision, abstained, missing in ((1.0, False, None), (0.0, False, None), (None, True, None), (None, None, "why")):
        counts = {"facts": [1, 2], "failed": 1 if precision == 0.0 else 0}
        totals.add({"precision": precision, "abstained": abstained, "missing": missing, **counts})
    words = str(totals)
    assert words.startswith("4 scored at ")
    assert "mean precision 0.500 (n 2)" in words and "8 facts (1 failed), 1 abstained, 1 missing, 0 lines skipped" in words
    assert str(Totals()) == "nothing is left to score"


@pytest.mark.parametrize(("bad", "share", "refused"), [(6, None, True), (5, None, False), (2, 0.1, True), (6, 0.6, False)])
def test_a_file_with_too_many_malformed_lines_is_refused_before_anything_starts(path, bad, share, refused):
    config = Config() if share is None else Config.model_validate({"score": {"max_bad_lines": share}})
    write(path, *[b'{"prompt": "torn'] * (bad - 1), {"prompt": "no response"}, *[GOOD] * (10 - bad))
    out = path.with_name("out.jsonl")
    if refused:
        with pytest.raises(DataError, match=rf"share of 0\..*found {bad} of 10 in .*the first: .*score\.max_bad_lines=1"):
            scoring.score_file(config, scoring.ScoreRequest(path, out), Console(), Console())
        assert not out.exists()
    else:
        assert scoring._examine(path, False, config.score.max_bad_lines)[1] == 10


def test_another_limit_of_malformed_lines_resumes_the_same_file():
    other = Config.model_validate({"score": {"max_bad_lines": 1}})
    assert scoring._made_by(other, "digest") == scoring._made_by(Config(), "digest")
