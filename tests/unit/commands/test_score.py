"""Which lines are scored: those that can be read and have no record yet; the others are named, or refuse the file."""

import io
import json

import pytest
from rich.console import Console

from flame_ray.commands import score as scoring
from flame_ray.commands.score import Tally
from flame_ray.config import Config
from flame_ray.config.load import differences
from flame_ray.errors import ConfigError, DataError
from flame_ray.rewards.factuality.records import FORMAT

GOOD = {"prompt": "Peru?", "response": "Lima."}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r.jsonl"


def write(path, *lines):
    path.write_bytes(b"".join((json.dumps(line).encode() if isinstance(line, dict) else line) + b"\n" for line in lines))


def rows(path, after=0):
    refused = []
    found = [row.number for row, _ in scoring._rows(path, after, refused.append)]
    return found, [str(error) for error in refused]


def test_the_input_is_never_written_over(path):
    write(path, GOOD)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="another file than --responses"):
        scoring.score_file(Config(), scoring.ScoreRequest(path, path, False, False), Console(), Console())
    assert path.read_bytes() == before


def test_other_weights_in_the_same_folder_are_another_checker(tmp_path):
    survey = scoring.Survey("", 1)
    config = Config.model_validate({"factuality": {"checker": "small", "checker_model": str(tmp_path)}})
    (tmp_path / "checker.safetensors").write_bytes(b"one")
    before = scoring._made_by(config, survey)
    assert scoring._made_by(config, survey) == before
    (tmp_path / "checker.safetensors").write_bytes(b"another")
    assert list(differences(before, scoring._made_by(config, survey))) != []


def test_blank_lines_are_no_lines_and_bad_ones_are_named_and_passed_over(path):
    write(path, GOOD, b"", b"{", b"  ", {"prompt": "Peru?"}, GOOD)
    found, refused = rows(path)
    assert found == [1, 6]
    assert "r.jsonl:3" in refused[0] and "r.jsonl:5" in refused[1] and len(refused) == 2


def test_lines_that_have_a_record_are_not_read_again(path):
    write(path, GOOD, b"{", GOOD, GOOD)
    assert rows(path, after=3) == ([4], [])


def test_a_last_line_without_its_end_is_a_line(path):
    path.write_text(json.dumps(GOOD))
    assert rows(path) == ([1], [])


def test_a_survey_counts_lines_and_tells_one_file_from_another(path):
    write(path, GOOD, GOOD)
    first = scoring._survey(path, strict=False)
    write(path, GOOD, {**GOOD, "response": "Cuzco."})
    second = scoring._survey(path, strict=False)
    assert (first.lines, second.lines) == (2, 2) and first.sha256 != second.sha256


def test_a_file_of_records_of_another_shape_is_not_continued():
    made_by = scoring._made_by(Config(), scoring.Survey("of the responses", 1))
    before = {**made_by, "flame_ray": {"version": made_by["flame_ray"]["version"]}}
    assert differences(before, made_by) == [f"flame_ray.record: None -> {FORMAT}"]


def test_a_strict_survey_refuses_the_first_bad_line_and_another_one_none(path):
    write(path, GOOD, b"{", b"}")
    assert scoring._survey(path, strict=False).lines == 3
    with pytest.raises(DataError, match=r"r\.jsonl:2"):
        scoring._survey(path, strict=True)


def test_a_file_that_is_not_there_is_named(path):
    with pytest.raises(DataError, match=r"r.jsonl: No such file.*--responses"):
        scoring._survey(path, strict=False)


def test_bad_lines_are_reported_up_to_a_number_and_then_counted_only():
    written, tally = io.StringIO(), Tally()
    skip = scoring._skipping(tally, Console(file=written, width=200))
    for number in range(scoring.REPORTED + 50):
        skip(DataError("a", f"line {number} [red]\x1b[31m", "c"))
    lines = written.getvalue().splitlines()
    assert len(lines) == scoring.REPORTED + 1 and tally.skipped == scoring.REPORTED + 50
    assert "line 0 [red]\\x1b[31m" in lines[0]
    assert "only counted" in lines[-1]


def test_the_tally_means_over_responses_with_a_precision_and_counts_the_others():
    tally = Tally()
    for precision, abstained, missing in ((1.0, False, None), (0.0, False, None), (None, True, None), (None, None, "why")):
        tally.add({"precision": precision, "abstained": abstained, "missing": missing, "facts": [1, 2]})
    words = str(tally)
    assert words.startswith("4 scored at ")
    assert "mean precision 0.500 (n 2)" in words and "8 facts, 1 abstained, 1 missing, 0 lines skipped" in words
    assert str(Tally()) == "nothing is left to score"
