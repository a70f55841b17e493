"""Writes dates and numbers in one form, so that `15 Jan. 1967` equals `1967-01-15`, and `16 181` equals `16,181`."""

import re
from functools import partial

from flame_ray.rewards.factuality.text import MONTHS

NAMES = MONTHS.split("|")
_BY_START = {name[:3].lower(): name for name in NAMES}
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
DATES = (
    (re.compile(rf"\b{_YEAR}-(\d{{2}})-(\d{{2}})\b(?:T[\d:.]+Z?)?"), (2, 3, 1)),
    (re.compile(rf"\b(\d{{1,2}})/(\d{{1,2}})/{_YEAR}\b"), (1, 2, 3)),
    (re.compile(rf"\b{_YEAR}/(\d{{1,2}})/(\d{{1,2}})\b"), (2, 3, 1)),
    (re.compile(rf"\b(\d{{1,2}})-({_MONTH})-{_YEAR}\b"), (2, 1, 3)),
    (re.compile(rf"\b(\d{{1,2}})\.(\d{{1,2}})\.{_YEAR}\b"), (2, 1, 3)),
    (re.compile(rf"\b(?:the )?{_DAY}(?: of)? ({_MONTH})\b\.?(?:,? {_YEAR}\b)?"), (2, 1, 3)),
    (re.compile(rf"\b({_MONTH})\b\.? (?:the )?{_DAY}\b(?!,\d|[.]\d| ?%)(?:,? {_YEAR}\b)?"), (1, 2, 3)),
    (re.compile(rf"\b({_MONTH})\b\.?(?: of)?,? {_YEAR}\b"), (1, None, 2)),
)
# `16 181`, `1'234'567`: thousands; a thin or a plain space
GROUPED = re.compile(r"(?<![\d.,])(\d{1,3})((?:[ \u00a0\u2009\u202f'’]\d{3})+)(?![\d]|[.,]\d{3}\b)")


MONEY = (
    (re.compile(r"\bUS\s?\$(?=\s?\d)|\bUSD\s?\$?(?=\d)"), "$"),
    (re.compile(r"\bEUR\s?(?=\d)"), "€"),
    (re.compile(r"\bGBP\s?(?=\d)"), "£"),
)
# Every date has one of these, and every code of money; without them, the longer patterns need not be tried.
DIGIT = re.compile(r"[0-9]")
MAY_HAVE_DATES = re.compile(r"\d[-/.]\d|Jan|Feb|Mar|Apr|May|Ju[nl]|Aug|Sep|Oct|Nov|Dec")
MAY_HAVE_MONEY = re.compile(r"US|EUR|GBP")
# A bound denies nothing, although it has the word `no`.
BOUNDS = (
    (re.compile(r"\b(?:no|not) (?:more|greater|higher|later) than\b", re.IGNORECASE), "at most"),
    (re.compile(r"\b(?:no|not) (?:less|fewer|lower|earlier) than\b", re.IGNORECASE), "at least"),
)


def in_one_form(text: str) -> str:
    """The text with each date as `January 15, 1967` and with commas between thousands.

    >>> in_one_form("born on 1967-01-15, with 16 181 others"), in_one_form("on the 15th of Jan. 1967")
    ('born on January 15, 1967, with 16,181 others', 'on January 15, 1967')
    """
    if not (DIGIT.search(text) if text.isascii() else any(map(str.isdigit, text))):
        return text
    text = _WEEKDAY.sub("", text)
    if MAY_HAVE_MONEY.search(text):
        for code, sign in MONEY:
            text = code.sub(sign, text)
    if MAY_HAVE_DATES.search(text):
        for pattern, order in DATES:
            text = pattern.sub(partial(_date, order=order), text)
    if "than" in text:
        for pattern, instead in BOUNDS:
            text = pattern.sub(instead, text)
    return GROUPED.sub(lambda match: match[1] + re.sub(r"\D", ",", match[2]), text)


def _date(match: re.Match[str], order: tuple[int, int | None, int]) -> str:
    month = match[order[0]]
    day, year = (None if place is None else match[place] for place in order[1:])
    if month.isdigit() and day is not None and int(month) > len(NAMES):
        month, day = day, month  # `15/01/1967`
    name = NAMES[int(month) - 1] if month.isdigit() and 0 < int(month) <= len(NAMES) else _BY_START.get(month[:3].lower())
    if name is None or (day is not None and not 0 < int(day) <= 31):
        return match[0]
    name = "Maymonth" if name == "May" else name  # not the verb
    return " ".join(filter(None, (name, f"{int(day)}," if day and year else day and str(int(day)), year)))
