"""The sentences of a response, what each of them claims, and the names that replace its pronouns."""

import re
from collections.abc import Iterator
from itertools import zip_longest

import sentencex

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.hedges import without_hedges
from flame_ray.rewards.factuality.decompose.layout import lines
from flame_ray.rewards.factuality.decompose.leads import DATE, OPENS_LIST, is_statement, joined, on_date, with_owners
from flame_ray.rewards.factuality.decompose.verbs import first_verb

SENTENCE_ENDS = (".", "!", "?", '."', ".)", ".”", "…", "。", "！", "？", "।", "؟", "۔")


def sentences(text: str, finished: bool = True) -> tuple[str, ...]:
    """The sentences and list items of a response, without markup, citations and thought; an item with what introduces it.

    `finished=False` says that the text was cut off: a last fragment without end punctuation is left out.
    """
    found: list[str] = []
    lines_ = tuple(with_owners(lines(text)))
    for line, following in zip_longest(lines_, lines_[1:]):
        if following is not None and following.parents and following.parents[-1] == line.text:
            found += _split(line.text)[:-1] if line.text.endswith(":") else _split(line.text) if is_statement(line.text) else []
        else:
            found += [part for said in joined(line) for part in _split(said)]
    if not finished and found and not text.rstrip().endswith(SENTENCE_ENDS):
        found.pop()
    return tuple(found)


def _split(line: str) -> list[str]:
    if date := DATE_FIRST.match(line):
        line = on_date(date[1], line[date.end() :]) if is_statement(line[date.end() :]) else line
    parts = [part.strip() for part in sentencex.segment("en", line) if part.strip()]
    return [each.strip() for part in parts for each in _at_missed_ends(part)]


def _at_missed_ends(text: str) -> Iterator[str]:
    """Parts of a text that end in a single letter or a title: `passes test E.`, `called "M, P.I."`; no initials of a name."""
    begin = 0
    for match in MISSED_END.finditer(text):
        if match[1].lower() in LETTERED or match[2] in OPENERS:
            yield text[begin : match.end()]
            begin = match.end()
    yield text[begin:]


# `1535. Lima was founded`, `1535: Lima was founded`: a year, and no number of a list
DATE_FIRST = re.compile(rf"^[(\[]?((?:(?:In|On|Year) )?{DATE})(?:[.:]|[)\]]:?| [–—-])\s+(?=\D)")
MISSED_END = re.compile(r"([\w'’,-]+) (?:[\"“]\w[\w,. ]*?)?\b[A-Z]\.[\"”]?\s+(?=([A-Z][\w'’]*)(?!\.))")
# What has letters as names, such as `vitamin C`; a letter after another word may be the initial of a name.
LETTERED = vocabulary("""
    test vitamin hepatitis influenza plan type group class grade section appendix figure option step point part table
    exhibit category phase model level unit mode channel line gate terminal team series version chapter question answer
    schedule size key note string product company person site zone room building block box switch button port pin drive
    disk column row node""")
OPENERS = vocabulary("""
    It The He She They This These That In On At A An There Its His Her Their However But After Before Since As""")


def claim_of(sentence: str) -> str:
    """What a sentence claims, without hedges and its full stop; empty for a question, a greeting or a refusal."""
    if not (claim := without_hedges(_with_closing_quote(sentence))):
        return ""
    claim = OPENS_LIST.sub(r"\1 ", _SHORT_IS.sub(r"\1 is", _without_heading(claim)))
    sentence = _with_closing_quote(claim.rstrip(' .!…"”'))
    return sentence[:1].upper() + sentence[1:]


# `Peru's a country`, not `Peru's coast`
_SHORT_IS = re.compile(r"(?<=\w)()['’]s(?= (?:an?|the|also|not|located|situated|bordered|known|called)\b)")


def _without_heading(claim: str) -> str:
    """`Main exports: Peru exports copper` -> `Peru exports copper`"""
    heading, _, rest = claim.partition(": ")
    verb = first_verb(rest)
    if not verb or not verb.start() or len(heading.split()) > 4 or first_verb(heading) or "," in rest[: verb.start()]:
        return claim
    return rest


def _with_closing_quote(text: str) -> str:
    """The text with the quotation mark that its last title lost at a sentence boundary."""
    return f'{text}"' if text.count('"') % 2 else f"{text}”" if text.count("“") > text.count("”") else text
