"""Figures: what a figure of a claim means, and which of the evidence bear it out."""

import pytest

from flame_ray.rewards.factuality.check.figures import figures


def figure(text):
    (found,), _ = figures(text)
    return found


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("in 1963", 1963, 1963),
        ("32,768,614 people", 32_768_614, 32_768_614),
        ("3.5 million", 3_500_000, 3_500_000),
        ("two hundred", 200, 200),
        ("twenty-five films", 25, 25),
        ("nearly two decades", 20, 20),
        ("a dozen", None, None),
        ("in the 1960s", 1960, 1969),
        ("in the 1960's", 1960, 1969),
        ("in the 80s", 1980, 1989),
        ("in his late 30s", 30, 39),
        ("a 12th-century king", 1100, 1200),
        ("in the 1st century", 0, 100),
    ],
)
def test_a_figure_is_read_as_what_it_says(text, low, high):
    if low is None:
        assert figures(text)[0] == []  # without a count before it, a dozen is no figure
    else:
        assert (figure(text).low, figure(text).high) == (low, high)


def test_ranks_are_words_and_not_figures():
    assert figures("the 1st president and the 2nd") == ([], "the first president and the second")
    assert figures("one of them") == ([], "one of them")


def test_what_is_left_is_the_text_without_its_figures():
    assert figures("Peru has 26 regions")[1].split() == ["Peru", "has", "regions"]


@pytest.mark.parametrize(
    ("claim", "evidence", "borne_out"),
    [
        ("in the 1960s", "in 1963", True),
        ("in 1963", "in the 1960s", False),
        ("in the 12th century", "in 1183", True),
        ("in the 12th century", "in 1283", False),
        ("about 33 million", "32,768,614", True),
        ("about 32 million", "33,768,614", False),
        ("over 7 million", "7,482,500", True),
        ("over 7 million", "6,482,500", False),
        ("more than 2 million", "7,482,500", False),
        ("two decades", "20 years", True),
        ("sixty years", "60 years", True),
        ("four children", "5 children", False),
        ("1,000 km", "1,050 km", True),
        ("1.5 %", "1.58 %", False),
    ],
)
def test_evidence_must_lie_in_the_range_of_the_claim(claim, evidence, borne_out):
    assert figure(claim).supported_by(figure(evidence)) is borne_out
