"""The quick looks before long patterns change nothing: texts are read as by the patterns alone."""

import json
import re
import unicodedata
from pathlib import Path

import pytest

from flame_ray.rewards.factuality.decompose.language import LATIN, refuse_other_languages
from flame_ray.rewards.factuality.decompose.layout import (
    BULLETS,
    CITATION,
    HTML,
    LATEX,
    LINK,
    NUMBER,
    NUMBERED,
    REFERENCE,
    THOUGHT,
    THOUGHT_BEGINS,
    THOUGHT_ENDS,
    _answer,
    _as_markdown,
    _numbered_apart,
    _with_tables,
    _without_citations,
)
from flame_ray.rewards.factuality.decompose.verifiable import TWO_VERBS, _has_two_verbs

ANSWERS = Path(__file__).parents[4] / "benchmarks" / "answer_pairs.jsonl"
ODD = (
    "",
    "I</think>It is Lima.",
    "[THINK]no[/THINK]yes [THINK]more",
    "◁think▷no◁/think▷yes",
    "Lima.[1] It is big (Source: me)【2】, see https://a.b and [this](http://c.d) ![x](y)",
    "Lima is old.² It is big.⁷ (Smith, 1999; see also p. 3) ((https://x.y))",
    "1. Lima is big. 2) Peru is bigger; 3. Chile is long",
    "1) Lima 2) Peru",
    "&lt;b&gt;Lima&lt;/b&gt; is&nbsp;a\u00a0city<br>on <i>the</i> coast &amp; more",
    "• Lima\n(a) Cuzco\nb) Puno",
    "The capital is the city is known as Lima",
    "The capital was what it is, and there are two that were",
)


@pytest.fixture(scope="module")
def texts():
    rows = [json.loads(line) for line in ANSWERS.read_text(encoding="utf-8").splitlines()]
    return [*ODD, *(row[side] for row in rows for side in "ab")]


def test_an_answer_without_marks_of_thought_is_what_the_patterns_leave(texts):
    for text in texts:
        assert _answer(text) == THOUGHT_BEGINS.sub("", THOUGHT_ENDS.sub("", THOUGHT.sub("", text)))


def test_a_text_without_marks_of_citations_is_what_the_patterns_leave(texts):
    for text in texts:
        kept = [line for line in text.split("\n") if not REFERENCE.match(line.lstrip(" -*•>\t"))]
        assert _without_citations(text) == LINK.sub(lambda found: found[1] or "", CITATION.sub("", "\n".join(kept)))


def test_a_text_without_marks_of_html_or_numbers_is_what_the_patterns_leave(texts):
    for text in texts:
        expected = text
        for pattern, instead in (*HTML, *LATEX):
            expected = pattern.sub(instead, expected)
        expected = re.sub(r"^>(?=[$£€]?\d)", "more than ", expected, flags=re.MULTILINE)
        expected = re.sub(r"[\r\u2028\u2029\x0b\x0c\x85]+", "\n", expected)
        expected = "\n".join(map(_numbered_apart, expected.split("\n")))
        assert _as_markdown(text) == BULLETS.sub(r"\1- ", "\n".join(_with_tables(expected.split("\n"))))


def test_every_number_of_a_list_is_seen_by_the_quick_look(texts):
    lines = [line for text in texts for line in text.split("\n") if NUMBERED.search(line)]
    assert lines and all(map(NUMBER.search, lines))


def test_two_verbs_are_found_where_the_pattern_finds_them(texts):
    sentences = [sentence for text in texts for sentence in re.split(r"[.\n]", text)]
    found = [_has_two_verbs(sentence) for sentence in sentences]
    assert found == [TWO_VERBS.match(sentence) is not None for sentence in sentences] and any(found)


def test_a_text_is_refused_where_its_letters_are_named_so_or_its_words_are(texts):
    for text in (
        *texts,
        "Лима - столица Перу",
        "Lima es la capital de Perú, en el sur",
        "Lima es la capital del sur con el mar",
    ):
        letters = [char for char in text if char.isalpha()]
        other = [char for char in letters if not unicodedata.name(char, "LATIN").startswith(LATIN)]
        refused = len(letters) > 1 and 2 * len(other) > len(letters)
        assert ("script" in refusal(text)) == refused


def refusal(text):
    try:
        refuse_other_languages(text)
    except ValueError as error:
        return str(error)
    return ""
