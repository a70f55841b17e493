"""The page of a fine-tuning: what it shows, what it leaves away, beside runs, and whatever a source is called."""

import re
from html.parser import HTMLParser

import pytest

from flame_ray.commands.report import make_page, reader_of
from flame_ray.report.page.page import render
from flame_ray.report.page.records import LearnedSource, SftRecord
from flame_ray.report.page.sections import sections
from tests.saved_fine_tunings import make_saved_fine_tuning
from tests.saved_runs import make_saved_run
from tests.shown_runs import HOSTILE

OF_RUNS = {"figure", "curves", "pairs", "tables", "audit"}
OF_FINE_TUNINGS = {"training", "mixture", "left-out"}


def page_of(*folders) -> str:
    return render(make_page([reader_of(folder) for folder in folders], 10))


def ids(text) -> list[str]:
    return re.findall(r'<section [^>]*id="([\w-]+)"', text) + re.findall(r'<section id="([\w-]+)"', text)


def links(text) -> set[str]:
    return {*re.findall(r'<a href="#([\w-]+)">', text)}


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, [name for name, _ in attrs]))


def test_a_fine_tuning_has_its_own_sections_and_none_of_a_run(tmp_path):
    text = page_of(make_saved_fine_tuning(tmp_path))
    assert {*ids(text)} & OF_RUNS == set() and {*ids(text)} >= OF_FINE_TUNINGS | {"runs", "timeline"}
    assert links(text) == OF_FINE_TUNINGS | {"runs", "timeline"}
    assert re.search(r'<section id="answers"[^>]* hidden>', text)


def test_it_shows_the_loss_the_rate_the_tokens_the_mixture_and_what_was_left_out(tmp_path):
    text = page_of(make_saved_fine_tuning(tmp_path))
    assert "<strong>complete</strong>; 4 steps; " in text and "1.000 → 0.250" in text and "mean of all 0.520" in text
    for title in ("Loss", "Learning rate", "Tokens", "Gradient norm"):
        assert f"<figcaption>{title}</figcaption>" in text
    assert '<th scope="row">seeds.jsonl</th><td>3 (50.0%)</td><td>90 (60.0%)</td>' in text
    assert '<th scope="row">repeated</th><td>2</td><td>of the sources</td>' in text
    assert '<th scope="row">own answers: cut off</th><td>3 (50.0% [18.8%, 81.2%])</td>' in text
    assert '<th scope="row">examples shown, in all prompts</th><td>15; 1 more had no room</td>' in text
    assert "the numbers are rounds" not in text and '<th scope="col">seconds</th>' in text


def test_what_has_nothing_is_absent():
    begun = SftRecord("begun", "running", None, (), {"model": "small"})
    found = {section.get("id") for section in sections((), (begun,))}
    assert found == {"runs", "timeline"}
    without = SftRecord("done", "complete", 1.0, (), {}, sources=(LearnedSource("a", 1, 2),), steps={"loss": (0.5,)})
    assert {section.get("id") for section in sections((), (without,))} == {"runs", "training", "mixture", "timeline"}


def test_an_unfinished_one_is_a_page_too(tmp_path):
    text = page_of(make_saved_fine_tuning(tmp_path, ends_in_training=True))
    assert "interrupted, to be resumed" in text and "; 4 steps" in text and "<td>3 (50.0%)</td><td>-</td>" in text


def test_a_run_and_a_fine_tuning_share_a_page_in_whatever_order_they_are_named(tmp_path):
    run, tuned = make_saved_run(tmp_path), make_saved_fine_tuning(tmp_path)
    text = page_of(tuned, run)
    assert {*ids(text)} >= OF_RUNS | OF_FINE_TUNINGS and "A: mine" in text and "B: tuned" in text
    assert links(text) >= {"pairs", "training", "answers"} and not re.search(r'<section id="answers"[^>]* hidden>', text)
    assert text.count("<h3>mine</h3>") == 4 and text.count("<h3>tuned</h3>") == 3  # each section says whose it is
    assert re.search(r"<title>flame-ray: mine, tuned</title>", text)


def test_two_fine_tunings_share_their_curves_with_a_legend(tmp_path):
    text = page_of(make_saved_fine_tuning(tmp_path), make_saved_fine_tuning(tmp_path, "other", steps=2))
    (label,) = re.findall(r'aria-label="(Loss, by step[^"]*)"', text)
    assert label == "Loss, by step. tuned: 1 at first, 0.25 at last. other: 1 at first, 0.5 at last"
    assert re.search(r'<ul class="legend"><li><span class="swatch s0"></span>A: tuned</li>', text)


@pytest.mark.parametrize("evil", [HOSTILE, "<svg onload=alert(1)>", "' onmouseover='alert(1)", "</style><style>*{}"])
def test_a_hostile_source_or_reason_stays_text(evil, tmp_path):
    text = page_of(make_saved_fine_tuning(tmp_path, source=evil, reason=evil))
    plain = page_of(make_saved_fine_tuning(tmp_path / "plain", source="x", reason="x"))
    assert Tags(text).found == Tags(plain).found
