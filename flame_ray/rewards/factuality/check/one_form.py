"""Writes dates, times and numbers in one form, so that `15 Jan. 1967` equals `1967-01-15`, and `16 181` equals `16,181`."""

import re
from functools import partial

from flame_ray.rewards.factuality.check.figures import COUNTS, DIGITS, RANKED, TENS, count, rank
from flame_ray.rewards.factuality.text import MONTHS

NAMES = MONTHS.split("|")
_BY_START = {name[:3].lower(): name for name in NAMES}
_ROMAN_MONTHS = {
    name: at + 1 for at, name in enumerate(["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"])
}
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?"
    r"|Dec(?:ember)?)"
)
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(\d{4})"
_WEEKDAY = re.compile(
    r"\b(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? (?=(?:the )?(?:\d|[A-Z][a-z]{2,8}\.? \d))"
)
_NTH = rf"(?:{TENS})-(?:{'|'.join(RANKED)})|{'|'.join(RANKED)}|thirtieth"
DAY_OF = re.compile(rf"\b({_NTH})(?= (?:day )?of {_MONTH}\b)", re.IGNORECASE)
MONTH_DAY = re.compile(rf"\b({_MONTH}) (?:the )?({_NTH})\b", re.IGNORECASE)
DATES = (
    (re.compile(rf"\b{_YEAR}([-.])(\d{{1,2}})\2(\d{{1,2}})(?:T[\d:.]+Z?)?\b(?![-.]?\d)"), (3, 4, 1)),
    (re.compile(r"\b(\d{1,2})/([IVX]+)/(\d{4})\b"), (2, 1, 3)),
    (re.compile(r"\b(\d{1,2})/(\d{1,2})/(\d{4}|\d\d)\b"), (1, 2, 3)),
    (re.compile(rf"\b{_YEAR}/(\d{{1,2}})/(\d{{1,2}})\b"), (2, 3, 1)),
    (re.compile(rf"\b(\d{{1,2}})-({_MONTH})-(\d{{4}}|\d\d)\b"), (2, 1, 3)),
    (re.compile(r"\b(\d{1,2}) ([A-Z][a-z]{2}) (\d\d)\b(?![:\d%])"), (2, 1, 3)),
    (re.compile(rf"\b({_MONTH})\b\.? (\d{{1,2}}),? ['’](\d\d)\b"), (1, 2, 3)),
    (re.compile(r"\b(0[1-9]|1[0-2])/((?:1[5-9]|20)\d\d)\b"), (1, None, 2)),
    (re.compile(rf"\b(\d{{1,2}})\.(\d{{1,2}})\.{_YEAR}\b"), (2, 1, 3)),
    (re.compile(rf"\b(?:the )?{_DAY}(?: day)?(?: of)? ({_MONTH})\b\.?(?:,? {_YEAR}\b)?"), (2, 1, 3)),
    (re.compile(rf"\b({_MONTH})\b\.? (?:the )?{_DAY}\b(?!,\d|[.]\d| ?%)(?:,? {_YEAR}\b)?"), (1, 2, 3)),
    (re.compile(rf"\b({_MONTH})\b\.?(?: of)?,? {_YEAR}\b"), (1, None, 2)),
)
LATEST = 30  # of two digits that are a year of this century
CLOCK = re.compile(r"\b(\d{1,2})(?:[:.](\d\d))?\s?([ap])\.?m\b", re.IGNORECASE)
# `16 181`, `1'234'567`: thousands; a thin or a plain space
GROUPED = re.compile(r"(?<![\d.,])(\d{1,3})((?:[ \u00a0\u2009\u202f'’_]\d{3})+)(?![\d]|[.,]\d{3}\b)")
POWER = re.compile(r"\b(\d+(?:\.\d+)?)(?:[eE]\+?(\d{1,2})\b|\s?[×x*]\s?10(?:\^\{?(\d{1,2})\}?|([⁰¹²³⁴-⁹]{1,2})))")
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")

# --- fractions and numerals -----------------------------------------------------------------------------------------

GLYPHS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅛": "1/8"}
GLYPH = re.compile(rf"(?<=(\d))?\s?([{''.join(GLYPHS)}])")
_TIME = r"hour|day|week|month|year|decade|century|mile|kilometer|kilometre|pound|dozen|million|billion"
_PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4} | {word: int(at) for word, at in RANKED.items() if at > 3}
_PART = "|".join(_PARTS)
AND_A_HALF = re.compile(rf"\b(?:an? ({_TIME})|({'|'.join((*COUNTS, 'one'))}|\d+)) and a half\b( {_TIME})?", re.IGNORECASE)
HALF_A = re.compile(rf"\bhalf an? ({_TIME})\b", re.IGNORECASE)
MIXED = re.compile(r"\b(\d+)[ -](\d)/(\d)\b")
# `two thirds of`, `half of`, `3/4 of`; not `the first half of`
FRACTION = re.compile(
    rf"(?:(?<![\w-])(?:(?P<many>a|one|{'|'.join(DIGITS)})[- ](?P<part>{_PART})s?|(?P<top>\d{{1,2}})/(?P<under>\d{{1,2}}))"
    r"|(?:^|(?<=\b(?:is|of) )|(?<=\b(?:about|under|least|since|cover) )|(?<=\b(?:than|over|only|most|have|just) )"
    r"|(?<=\b(?:and|for|has) )|(?<=\bcovers )|(?<=\bnearly )|(?<=\balmost )|(?<=\broughly ))half)(?= of\b| the\b"
    r"| its\b| all\b)",
    re.IGNORECASE,
)
# `World War II`, `Henry VIII`, `type II`; a single letter only after a name
_ROMAN = r"(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_BEFORE = r"(?:(?:King|Queen|Pope|Emperor|Empress|Tsar|Sultan|Shah) )?(?:[A-Z][\w’'-]+ )?[A-Z][\w’'-]+|[a-z]+"
NUMERAL = re.compile(rf"\b({_BEFORE})( |-)((?=[XVIL]{{2,}}\b|[IV]\b){_ROMAN})(?<=[XVIL])\b(?!['’.]\w|-)")
PRONOUN = re.compile(r" (?!of\b|and\b)[a-z]")  # after an `I` that is one, as in `In Paris I saw`
RANKED_NAME = re.compile(r"(?:King|Queen|Pope|Emperor|Empress|Tsar|Sultan|Shah) |.*War$")
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50}
# `Henry the Eighth`, `Second World War`, inside a sentence
_CAPITAL_RANK = "|".join(word.title() for word in RANKED)
NAME_THE_NTH = re.compile(rf"\b([A-Z][a-z]+) the ({_CAPITAL_RANK})\b")
NTH_NAME = re.compile(rf"\b(?<=[Tt]he )({_CAPITAL_RANK}) ((?:[A-Z][a-z]+ )+[A-Z][a-z]+)\b")

MONEY = (
    (re.compile(r"\bUS\s?\$(?=\s?\d)|\bUSD\s?\$?(?=\d)"), "$"),
    (re.compile(r"\bEUR\s?(?=\d)"), "€"),
    (re.compile(r"\bGBP\s?(?=\d)"), "£"),
)
# Every date has one of these, and every code of money; without them, the longer patterns need not be tried.
DIGIT = re.compile(r"[0-9]")
MAY_HAVE_DATES = re.compile(r"\d[-/.]\d|\d/[IVX]|Jan|Feb|Mar|Apr|May|Ju[nl]|Aug|Sep|Oct|Nov|Dec")
MAY_HAVE_MONEY = re.compile(r"US|EUR|GBP")
MAY_HAVE_PARTS = re.compile(rf"[{''.join(GLYPHS)}]|\d/\d|\b(?:half|halves|quarters?|(?:{'|'.join(RANKED)})s?)\b", re.IGNORECASE)
MAY_HAVE_NUMERALS = re.compile(rf"\b[IVXL]+\b|\b(?:{_CAPITAL_RANK})\b")
# A bound denies nothing, although it has the word `no`.
BOUNDS = (
    (re.compile(r"\b(?:no|not) (?:more|greater|higher|later) than\b", re.IGNORECASE), "at most"),
    (re.compile(r"\b(?:no|not) (?:less|fewer|lower|earlier) than\b", re.IGNORECASE), "at least"),
    (re.compile(r"(?<![\w<>=-])> ?(?=[$£€]?\d)"), "more than "),
    (re.compile(r"(?<![\w<>=-])< ?(?=[$£€]?\d)"), "less than "),
    (re.compile(r"[≥] ?(?=[$£€]?\d)"), "at least "),
    (re.compile(r"[≤] ?(?=[$£€]?\d)"), "at most "),
)
MAY_BOUND = re.compile(r"than|[<>≤≥]")
ERA = re.compile(r"\b(B)\.?C\.?(?:E\b\.?)?(?=[\s,;:)]|$)|(?<=\d )C\.?E\b\.?|(?<=century )C\.?E\b\.?")


def in_one_form(text: str) -> str:
    """The text with each date as `January 15, 1967`, commas between thousands, shares as percentages and Arabic numerals.

    >>> in_one_form("born on 1967-01-15, with 16 181 others"), in_one_form("on the 15th of Jan. 1967")
    ('born on January 15, 1967, with 16,181 others', 'on January 15, 1967')
    >>> in_one_form("half of the men of World War II"), in_one_form("at 3:30 p.m.")
    ('50.000% of the men of World War 2', 'at 15:30.')
    """
    if MAY_HAVE_NUMERALS.search(text):
        text = NTH_NAME.sub(lambda found: f"{found[2]} {rank(found[1]):.0f}", text)
        text = NAME_THE_NTH.sub(lambda found: f"{found[1]} {rank(found[2]):.0f}", text)
        text = NUMERAL.sub(_numeral, text)
    if MAY_HAVE_PARTS.search(text):
        text = _with_fractions(text)
    if not (DIGIT.search(text) if text.isascii() else any(map(str.isdigit, text))):
        return text
    text = _WEEKDAY.sub("", text)
    if MAY_HAVE_MONEY.search(text):
        for code, sign in MONEY:
            text = code.sub(sign, text)
    if MAY_HAVE_DATES.search(text):
        for pattern, order in DATES:
            text = pattern.sub(partial(_date, order=order), text)
    if MAY_BOUND.search(text):
        for pattern, instead in BOUNDS:
            text = pattern.sub(instead, text)
    text = ERA.sub(lambda found: "BC" if found[1] else "AD", CLOCK.sub(_clock, text))
    text = POWER.sub(_power, text)
    return GROUPED.sub(lambda match: match[1] + re.sub(r"\D", ",", match[2]), text)


def _date(match: re.Match[str], order: tuple[int, int | None, int]) -> str:
    month = match[order[0]]
    day, year = (None if place is None else match[place] for place in order[1:])
    if month.isdigit() and day is not None and int(month) > len(NAMES):
        month, day = day, month  # `15/01/1967`
    number = int(month) if month.isdigit() else _ROMAN_MONTHS.get(month, 0)
    name = NAMES[number - 1] if 0 < number <= len(NAMES) else _BY_START.get(month[:3].lower())
    if name is None or (day is not None and not 0 < int(day) <= 31):
        return match[0]
    if year is not None and len(year) == 2:
        year = f"{20 if int(year) <= LATEST else 19}{year}"
    name = "Maymonth" if name == "May" else name  # not the verb
    return " ".join(filter(None, (name, f"{int(day)}," if day and year else day and str(int(day)), year)))


def _clock(found: re.Match[str]) -> str:
    """`3:30 pm` -> `15:30`"""
    hour = int(found[1])
    if not 0 < hour <= 12:
        return found[0]
    return f"{hour % 12 + 12 * (found[3].lower() == 'p')}:{found[2] or '00'}"


def _power(found: re.Match[str]) -> str:
    """`3.2e9`, `3.2×10^9` -> `3,200,000,000`"""
    power = int(found[2] or found[3] or found[4].translate(RAISED))
    return f"{float(found[1]) * 10.0**power:,.0f}"


def _numeral(found: re.Match[str]) -> str:
    """`World War II` -> `World War 2`; a letter after a small word is none, and neither is a pronoun."""
    if len(found[3]) == 1 and not (found[1][0].isupper() and len(found[1]) > 2):
        return found[0]
    if found[3] == "I" and PRONOUN.match(found.string, found.end()) and not RANKED_NAME.match(found[1]):
        return found[0]
    values = [_ROMAN_DIGITS[letter] for letter in found[3]]
    signed = (-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))
    return f"{found[1]} {sum(signed)}"


def _with_fractions(text: str) -> str:
    """`2½`, `two and a half` -> `2.5`; `two thirds of` -> `66.667% of`; `the fourth of July` -> `the 4th of July`"""
    text = GLYPH.sub(lambda found: f"{' ' if found[1] else ''}{GLYPHS[found[2]]}", text)
    text = MIXED.sub(lambda found: f"{int(found[1]) + int(found[2]) / (int(found[3]) or 1):g}", text)
    text = AND_A_HALF.sub(_and_a_half, text)
    text = HALF_A.sub(r"0.5 \1s", text)
    text = FRACTION.sub(_fraction, text)
    return DAY_OF.sub(
        lambda found: f"{rank(found[1]):.0f}th", MONTH_DAY.sub(lambda found: f"{found[1]} {rank(found[2]):.0f}", text)
    )


def _and_a_half(found: re.Match[str]) -> str:
    if found[1]:
        return f"1.5 {found[1]}s"
    value = float(found[2]) if found[2].isdigit() else 1.0 if found[2].lower() == "one" else count(found[2])
    return f"{value + 0.5:g}{found[3] or ''}"


def _fraction(found: re.Match[str]) -> str:
    if found["top"]:
        top, under = int(found["top"]), int(found["under"])
    elif found["part"]:
        top, under = int(({"a": 1.0} | DIGITS)[found["many"].lower()]), _PARTS[found["part"].lower()]
    else:
        top, under = 1, 2
    return f"{100 * top / under:.3f}%" if 0 < top < under else found[0]
