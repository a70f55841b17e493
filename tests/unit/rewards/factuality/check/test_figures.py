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
        ("one thousand", 1000, 1000),
        ("one hundred and twenty-five", 125, 125),
        ("two hundred six", 206, 206),
        ("two hundred and more", 200, 200),
        ("one hundred and fifty million", 150_000_000, 150_000_000),
        ("the eighteenth century", 1700, 1800),
        ("a twenty-first-century city", 2000, 2100),
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


def test_ranks_above_the_second_are_figures():
    assert figures("at first, for the first time, in the first half, and the 2nd") == (
        [],
        "at first, for the first time, in the first half, and the second",
    )
    assert figures("one of them, a third of them") == ([], "one of them, a third of them")
    assert figure("the 16th president").supported_by(figure("the sixteenth president"))
    assert figure("the twenty-sixth president").supported_by(figure("the 26th president"))
    assert not figure("the twenty-sixth president").supported_by(figure("the sixth president"))
    assert not figure("the 3rd president").supported_by(figure("3 presidents"))
    assert not figure("the 1st president").supported_by(figure("the third president"))


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
        ("16.181 users", "16,181 users", True),
        ("1.5 million", "15 million", False),
        ("350,000 people", "350 people", False),
        ("45,000", "45", False),
        ("1.428 million", "1.428 billion", False),
        ("$2.350M", "2.350 billion dollars", False),
        ("16,181 users", "16.181 users", True),
        ("1,8260", "1.8260", True),
        ("$50M", "$50 million", True),
        ("$50M", "€50 million", False),
        ("50,000,000 dollars", "$50 million", True),
        ("$2.8 bn", "$2.8 billion", True),
        ("2.8 billion US dollars", "$2.8 billion", True),
        ("2.8 billion euros", "2.8 billion USD", False),
        ("20 EUR", "20 euros", True),
        ("20 rupees", "20 euros", False),
        ("3 stone", "3 kilograms", False),
        ("5 megabytes", "5 gigabytes", False),
        ("5 GB", "5 gigabytes", True),
        ("50 cubic metres", "50 litres", False),
        ("120 kilometers per hour", "120 km/h", True),
        ("5 percentage points", "5 percent", False),
        ("5 °C", "-5 °C", False),
        ("minus 5 degrees Celsius", "(−5 °C)", True),
        ("over -5 °C", "-4 °C", True),
        ("2.5%", "-2.5%", True),
        ("a 50m pool", "50 metres", True),
        ("12K members", "12,000 members", True),
        ("between 80% and 90%", "89.4%", True),
        ("between 80% and 90%", "79%", False),
        ("from 80 to 90 points", "85 points", True),
        ("10-14 days", "12 days", True),
        ("12 days", "10-14 days", False),
        ("14 days", "10-14 days", True),
        ("100 km", "100 miles", False),
        ("62 miles", "100 km", True),
        ("24 months", "2 years", True),
        ("2 months", "2 years", False),
        ("20 percent", "20 %", True),
        ("20 percent", "20 dollars", False),
        ("100 °C", "100 degrees Celsius", True),
        ("100 °C", "100 °F", False),
        ("at least 500", "at most 500", False),
        ("at most 500", "at least 500", False),
        ("less than 500", "450", True),
        ("less than 500", "550", False),
        ("at least 500", "more than 500", True),
        ("fewer than 24,000", "24,350", False),
        ("more than 24,000", "23,650", False),
        ("older than 12 years", "under 12 years", False),
        ("longer than 50 km", "less than 50 km", False),
        ("200 or fewer", "at least 200", False),
        ("200 people or more", "at least 200", True),
        ("nearly 200", "at least 200", False),
        ("nearly 200,000", "198,000", True),
        ("in 1990", "before 1990", False),
        ("after 1990", "before 1990", False),
        ("before 1990", "before 1990", True),
        ("from 1914 to 1945", "from 1914 to 1918", False),
        ("from 1900 to 1918", "1914–1918", False),
        ("from 1914 to 1918", "1914–1918", True),
        ("between 1900 and 1918", "in 1914", True),
        ("in the 1910s", "1914–1918", True),
        ("$400K-$500K", "$450,000", True),
        ("$400,000–$500,000", "$550,000", False),
    ],
)
def test_evidence_must_lie_in_the_range_of_the_claim(claim, evidence, borne_out):
    assert figure(claim).supported_by(figure(evidence)) is borne_out


def test_a_number_word_with_a_letter_that_only_folds_to_another_is_that_number():
    found, _ = figures("f\u0131ve, \u017feven and th\u0131rty-f\u0130ve, the s\u0131xth")
    assert [figure.low for figure in found] == [5, 7, 35, 6]
