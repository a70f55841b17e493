"""What is said of text that is not the YAML of a job."""

import pytest

from flame_ray.config.load import load_config
from flame_ray.config.yaml_text import BadYaml, parse_yaml
from flame_ray.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("run:\n  seed: 1\n  name: a\n  seed: 2\n", 4, "`seed` again, after line 2"),
        ("run: {}\nmodel: {}\nrun: {}\n", 3, "`run` again, after line 1"),
        ("sources: [{limit: 1, limit: 2}]", 1, "`limit` again, after line 1"),
        ("run:\n\tname: a\n", 2, "a tab, where YAML takes only blanks"),
        ("run:\n  name: a: b\n", 2, "a second `: ` in a line (quote the text), or lines that are indented differently"),
        ("run:\n  name: a\n rounds: 2\n", 3, "a line that is indented differently from those above"),
        ("run:\n  name: a\nmodel\n", 4, "a line without `name: value`"),
        ("kinds: [a, b\nrun: 1\n", 2, "a list `[` that is not closed"),
        ("run: {name: a\nmodel: 1\n", 2, "a mapping `{` that is not closed"),
        ("a: [1", 1, "a list `[` that is not closed"),
        ("run: 'a\n", 2, "a quotation mark that is not closed"),
        ("run: @a\n", 1, "a text that begins with @: quote it"),
        ("run: !!python/object/apply:os.getcwd []\n", 1, "a tag (`!` and a word): only plain values are read"),
        ("run: *a\n", 1, "`*` and a word that no `&` defines"),
        ("run: 1\n---\nrun: 2\n", 2, "a second document, after `---`"),
        ("? [a]\n: 1\n", 1, "a list or a mapping as a name"),
        ("b: 1\na: &a [*a]\n", 2, "a value that contains itself, by `&` and `*`"),
        ("a: !!bool x\n", 1, "`x`, which looks like a date or a number and is none: quote it if it is text"),
        ("b: 1\na: \x01\n", 2, "a control code, U+0001"),
        ("[" * 2000, 1, "lists or mappings too deep in each other"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_wrong_is_said_with_its_line_and_without_the_librarys_words(text, line, reason):
    with pytest.raises(BadYaml) as caught:
        parse_yaml(text)
    assert (caught.value.line, caught.value.reason) == (line, reason)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: {b: 1}\nc: {b: 2}\n", {"a": {"b": 1}, "c": {"b": 2}}),
        ("a: &a [1]\nb: *a\nc: *a\n", {"a": [1], "b": [1], "c": [1]}),
        ("a: &a {b: 1, c: 1}\nd: {<<: *a, b: 2}\n", {"a": {"b": 1, "c": 1}, "d": {"b": 2, "c": 1}}),
        ('1: a\n"1": b\n', {1: "a", "1": "b"}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ("[010, -010, 08, 0_7, 00, 0]", ["010", "-010", "08", "0_7", "00", 0]),
        ("[1_000, 0x10, 10, +3, 010.5, .5, 1.]", [1000, 16, 10, 3, 10.5, 0.5, 1.0]),
        ("[1:30, 1:30:00, 1:30.5, 2026-01-31, 2026-13-01, =]", ["1:30", "1:30:00", "1:30.5", "2026-01-31", "2026-13-01", "="]),
        ("{010: 1e-4, 'a': '010'}", {"010": "1e-4", "a": "010"}),
    ],
)
def test_what_yaml_allows_is_read(text, value):
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("run.rounds=010", 10),
        ("run.rounds=08", 8),
        ("run.rounds=1_000", 1000),
        ("run.seed=-010", -10),
        ("learner.lr=1e-4", 1e-4),
        ("run.name=007", "007"),
        ("model.revision=2026-01-31", "2026-01-31"),
        ("run.save_merged=yes", True),
        ("run.name='a'", "a"),
    ],
)
def test_a_value_is_read_as_it_looks_by_the_command_line_and_by_a_job(setting, value, tmp_path):
    path, _, text = setting.partition("=")
    section, name = path.split(".")
    (tmp_path / "job.yaml").write_text(f"{section}:\n  {name}: {text} # a comment\n")
    for config in (load_config(None, (setting,)), load_config(tmp_path / "job.yaml")):
        assert getattr(getattr(config, section), name) == value


def test_a_length_of_time_is_no_number():
    with pytest.raises(ConfigError, match=r"run\.rounds: must be a whole number of at least 1 \(given '1:30'\)"):
        load_config(None, ("run.rounds=1:30",))


@pytest.mark.parametrize("value", ["#1", "a #1", "'a' # 1", "[a] #1", " # a"])
def test_no_part_of_a_value_on_the_command_line_is_taken_for_a_comment(value):
    with pytest.raises(
        ConfigError, match=r"found run\.name=.*: a `#`, at which YAML begins a comment\. To fix: quote the value"
    ):
        load_config(None, (f"run.name={value}",))


def test_a_job_with_a_fault_is_refused_with_file_and_line(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("run:\n  seed: 1\n  seed: 2\n")
    with pytest.raises(ConfigError, match=r"expected a job file in YAML; found .*job\.yaml:3: `seed` again, after line 2\. To"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"found rollout\.node_labels={a: b, a: c}: `a` again"):
        load_config(None, ("rollout.node_labels={a: b, a: c}",))
