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
        ("b: 1\na: 2026-13-01\n", 2, "`2026-13-01`, which looks like a date or a number and is none: quote it if it is text"),
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
    ],
)
def test_what_yaml_allows_is_read(text, value):
    assert parse_yaml(text) == value


def test_a_job_with_a_fault_is_refused_with_file_and_line(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("run:\n  seed: 1\n  seed: 2\n")
    with pytest.raises(ConfigError, match=r"expected a job file in YAML; found .*job\.yaml:3: `seed` again, after line 2\. To"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"found rollout\.node_labels={a: b, a: c}: `a` again"):
        load_config(None, ("rollout.node_labels={a: b, a: c}",))
