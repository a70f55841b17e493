"""Finds the figures in a text (digits, number words, years, decades, centuries) as ranges that can be compared.

A figure of a claim is supported by one of the evidence that lies within its range: `the 1960s` by `1963`, `about 33 million` by
`32,768,614`, and not the other way round.
"""

import re
from dataclasses import dataclass

SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
UNITS = {"dozen": 12.0, "decades": 10.0, "decade": 10.0}
# Without "one" and "second", which are more often a pronoun and a rank than counts.
SMALL = """zero two:2 three:3 four:4 five:5 six:6 seven:7 eight:8 nine:9 ten:10 eleven:11 twelve:12 thirteen:13 fourteen:14
    fifteen:15 sixteen:16 seventeen:17 eighteen:18 nineteen:19 twenty:20 thirty:30 forty:40 fifty:50 sixty:60 seventy:70
    eighty:80 ninety:90"""
COUNTS = {word.partition(":")[0]: float(word.partition(":")[2] or 0) for word in SMALL.split()}
DIGITS = {"one": 1.0} | {word: value for word, value in COUNTS.items() if 0 < value < 10}
TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
ORDINALS = {"1st": "first", "2nd": "second", "3rd": "third"}
MORE = re.compile(r"\b(?:over|more than|at least|exceed(?:s|ed|ing)?)\s+(?:[$£€]\s?)?$", re.IGNORECASE)
AGE = re.compile(r"\b(?:his|her|their|my)\s+(?:(?:early|mid|late)[- ])?$", re.IGNORECASE)
FIGURE = re.compile(
    rf"""\b(?P<century>\d{{1,2}})(?:st|nd|rd|th)[- ]century\b
    |\b(?P<decade>\d{{3}}0|\d0)['’]?s\b
    |(?P<digits>\d[\d,]*(?:\.\d+)?)(?:\s+(?P<scale>{"|".join(SCALES)})s?\b)?
    |\b(?P<word>(?:{TENS})-(?:{"|".join(DIGITS)})|{"|".join(COUNTS)})\b(?:\s+(?P<unit>{"|".join((*SCALES, *UNITS))})s?\b)?""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure's range, and the slack below and above it that a claim with this figure allows the evidence."""

    low: float
    high: float
    below: float = 0.0
    above: float = 0.0

    def supported_by(self, other: "Figure") -> bool:
        """Whether `other`, from the evidence, lies within this figure, from a claim."""
        return self.low - self.below <= other.low and other.high <= self.high + self.above


def figures(clause: str) -> tuple[list[Figure], str]:
    """The figures of a clause, and the clause without them.

    >>> [figure.low for figure in figures("born in 1963, he had twenty-five films and 3.5 million fans")[0]]
    [1963.0, 25.0, 3500000.0]
    """
    clause = re.sub(r"\b(?:1st|2nd|3rd)\b(?![- ]century)", lambda match: ORDINALS[match[0]], clause)
    found = [_figure(match, clause[: match.start()]) for match in FIGURE.finditer(clause)]
    return found, FIGURE.sub(" ", clause)


def _figure(match: re.Match[str], before: str) -> Figure:
    if match["century"]:
        first = 100.0 * (int(match["century"]) - 1)
        return Figure(first, first + 100)
    if match["decade"]:
        start = float(match["decade"])
        start += 1900 if start < 100 and not AGE.search(before) else 0
        return Figure(start, start + 9)
    figure = _digits(match) if match["digits"] else _word(match)
    return Figure(figure.low, figure.high, figure.below, 0.5 * figure.high) if MORE.search(before) else figure


def _word(match: re.Match[str]) -> Figure:
    tens, _, digit = match["word"].lower().partition("-")
    unit = (match["unit"] or "").lower()
    value = (COUNTS[tens] + DIGITS.get(digit, 0.0)) * (SCALES | UNITS).get(unit, 1.0)
    return Figure(value, value)


def _digits(match: re.Match[str]) -> Figure:
    """Slack is 0 for a year or a small count, else one unit of the last digit that is not zero, and 5 % at most."""
    scale = SCALES.get((match["scale"] or "").lower(), 1.0)
    digits = match["digits"].replace(",", "")
    value, decimals = float(digits), len(digits.partition(".")[2])
    exact = scale == 1.0 and not decimals and (value < 100 or ("," not in match["digits"] and 1000 <= value <= 2100))
    zeros = 0 if decimals else len(digits) - len(digits.rstrip("0"))
    slack = 0.0 if exact else min(10.0 ** (zeros - decimals), 0.05 * value) * scale
    return Figure(value * scale, value * scale, slack, slack)
