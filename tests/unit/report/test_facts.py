"""What a person sees of a scored response, and that nothing in it is obeyed by the terminal."""

import io

import pytest
from rich.console import Console

from flame_ray.report.facts import record_table
from flame_ray.shown import printable

RECORD = {
    "line": 3,
    "prompt": "Which countries border Peru?",
    "facts": [
        {"text": "Peru borders Chile", "verdict": "supported", "score": 0.85, "passage_id": "pe/0"},
        {"text": "Peru borders Kenya", "verdict": "contradicted", "score": 0.13, "passage_id": "pe/0"},
        {"text": "Peru borders Mars", "verdict": "not_found", "score": 0.0, "passage_id": None},
        {"text": "Peru borders X", "verdict": "error", "score": None, "passage_id": None},
    ],
    "sentences": [{"text": "Peru borders Chile, Kenya, Mars and X.", "verifiable": True}],
    "evidence": [{"id": "pe/0", "title": "Peru", "text": "Borders: Chile"}],
    "supported": 1,
    "relevant_supported": 1,
    "counted": 3,
    "precision": 1 / 3,
    "interval": [0.06, 0.79],
    "abstained": False,
    "missing": None,
}


def printed(record, colour=True):
    out = io.StringIO()
    Console(file=out, width=150, force_terminal=colour, color_system="standard" if colour else None).print(record_table(record))
    return out.getvalue()


def line_with(text, printed):
    (line,) = [line for line in printed.splitlines() if text in line]
    return line


def test_supported_facts_that_do_not_answer_the_prompt_are_told_in_the_first_line():
    assert "1 of 3 facts supported" in printed(RECORD, colour=False) and "relevant" not in printed(RECORD)
    assert "1 of 3 facts supported, 0 of them relevant" in printed(RECORD | {"relevant_supported": 0}, colour=False)


def test_supported_facts_are_green_and_all_others_red():
    out = printed(RECORD)
    assert "\x1b[32m" in line_with("Peru borders Chile", out) and "\x1b[31m" not in line_with("Peru borders Chile", out)
    for fact in ("Kenya", "Mars", "borders X"):
        assert "\x1b[31m" in line_with(fact, out) and "\x1b[32m" not in line_with(fact, out)


def test_without_colours_the_verdict_is_in_words():
    out = printed(RECORD, colour=False)
    assert line_with("Chile", out).split() == ["supported", "0.85", "Peru", "borders", "Chile", "Peru:", "pe/0"]
    assert line_with("Mars", out).split()[:3] == ["not", "found", "0.00"]
    assert line_with("borders X", out).split()[:2] == ["error", "-"]
    assert "line 3  precision 0.33 [0.06, 0.79], 1 of 3 facts supported" in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"missing": "worker lost", "facts": []}, "missing: worker lost"),
        ({"abstained": True, "facts": [], "precision": None, "interval": None}, "abstains"),
        ({"precision": None, "interval": None}, "no fact counts"),
    ],
)
def test_a_response_without_a_precision_says_why(change, words):
    assert words in printed({**RECORD, **change})


def test_sentences_with_nothing_to_verify_are_counted_in_one_dim_line_under_the_facts():
    hello, borders = {"text": "Hello!", "verifiable": False}, RECORD["sentences"][0]
    *_, last = printed({**RECORD, "sentences": [hello, borders, hello]}).rstrip().splitlines()
    assert "2 of 3 sentences had nothing to verify" in last and "\x1b[2m" in last
    assert "nothing to verify" not in printed(RECORD)


EVIL = (
    "[bold green]supported[/] [link=file:///etc/passwd]x[/link]",
    "\x1b[32mPeru borders Kenya\x1b[0m",
    "\x1b]8;;http://evil\x07click\x1b]8;;\x07",
    "\x9b32m",
    "back\x08\x08\x08\x08",
    "\u202eayneK sredrob ureP",
    "\r\nsupported  0.99  Peru borders Kenya",
    "[/]",
    "\x00\x7f",
)


@pytest.mark.parametrize("text", EVIL)
def test_nothing_that_a_response_says_is_obeyed(text):
    fact = {"text": text, "verdict": "not_found", "score": 0.1, "passage_id": None}
    record = {**RECORD, "prompt": text, "facts": [fact], "evidence": [{"id": text, "title": text, "text": text}]}
    plain = printed(record, colour=False)
    assert not any(char in plain for char in "\x1b\x9b\x07\x08\r\x00\x7f\u202e")
    assert "\x1b[32m" not in printed(record)
    assert len(plain.rstrip().splitlines()) == 4  # head, prompt, names of columns, the fact


def test_markup_is_shown_as_it_is_written():
    assert "[bold green]" in printed({**RECORD, "prompt": "[bold green]yes[/]"}, colour=False)


def test_letters_of_every_language_are_left_alone():
    for text in ("秘鲁的首都是利马", "São Tomé", "پایتخت پرو", "🇵🇪 👩‍🔬"):
        assert printable(text) == text
