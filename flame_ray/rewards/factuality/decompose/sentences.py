"""The sentences of a response, what each of them claims, and the names that replace its pronouns."""

import re

import sentencex

from flame_ray.rewards.factuality.decompose.hedges import without_hedges
from flame_ray.rewards.factuality.decompose.verbs import first_verb

SENTENCE_ENDS = (".", "!", "?", '."', ".)", ".”", "…", "。", "！", "？", "।", "؟", "۔")
BULLET = re.compile(r"^\s*(?:[-*•–]+|\d{1,3}[.)]|[a-z]\))\s+")
MARKUP = re.compile(r"[*_#`]{1,6}")
ANNOUNCED = re.compile(  # `here are the countries that border Peru:` announces a list; each item under it is a claim
    r"^(?:\w+, )?here (?:is|are) (?:(?:an?|the|some|all|\d+|lists? of) )*(\w.* (?:that|which|who) .+)$", re.IGNORECASE
)  # `These countries border Peru:`
POINTED_AT = re.compile(r"^(?:the following|these) ([a-z]+s) (?!are$)([a-z]+ .+)$", re.IGNORECASE)


def sentences(text: str, finished: bool = True) -> tuple[str, ...]:
    """Sentences and list items without markup. A short item follows the line with a colon that introduces its list.

    `finished=False` says that the text was cut off: a last fragment without end punctuation is left out.
    """
    found: list[str] = []
    lead = ""
    for line in text.splitlines():
        is_item = bool(BULLET.match(line))
        line = " ".join(MARKUP.sub("", BULLET.sub("", line)).split())
        if not line:
            continue
        if line.endswith(":"):
            *before, lead = _split(line[:-1]) or [""]
            lead = _introduction(lead)
            found += before
        elif lead and is_item and len(line.split()) <= 6:
            found.append(f"{lead} {line}")
        else:
            lead = lead if is_item else ""
            found += _split(line)
    if not finished and found and not found[-1].endswith(SENTENCE_ENDS):
        found.pop()
    return tuple(found)


def _introduction(lead: str) -> str:
    """What stands before each item: `Here are the cities that lie in Peru` -> `The cities that lie in Peru include`"""
    if announced := ANNOUNCED.match(lead):
        return f"The {announced[1]} include"
    if pointed := POINTED_AT.match(lead):
        return f"The {pointed[1]} that {pointed[2]} include"
    return lead


def _split(line: str) -> list[str]:
    return [part.strip() for part in sentencex.segment("en", line) if part.strip()]


def claim_of(sentence: str) -> str:
    """What a sentence claims, without hedges and its full stop; empty for a question, a greeting or a refusal."""
    if not (claim := without_hedges(_with_closing_quote(sentence))):
        return ""
    claim = _SHORT_IS.sub(r"\1 is", _without_heading(claim))
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
