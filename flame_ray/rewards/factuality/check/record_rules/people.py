"""Rules on what a country is a member of, what its people speak, and what they believe in."""

import re

from flame_ray.rewards.factuality.check.record_rules.religions import FAITHS, is_named, largest_beside, share_of
from flame_ray.rewards.factuality.check.record_rules.statements import (
    CLAUSE,
    HEDGED,
    is_on_all_of,
    names_none,
    says_of,
    values_of,
)
from flame_ray.rewards.factuality.check.record_rules.world import LANGUAGES
from flame_ray.rewards.factuality.check.records import Record

# `a candidate for the EU`, `the EU's single market`
NO_MEMBERSHIP = re.compile(
    r"\b(?:and|or) (?:an? |the )?(?:\w+ )*?(?:candidate|partner|observer|applicant)\b.*"
    r"|\b[A-Z]{2,}(?:'s|(?= (?:[A-Z]|single|customs)))[^,]*"
)
MEMBER = re.compile(
    r" (?:belongs to|is (?:(?:also|currently|an?|the|founding|full|active|proud|key|important) )*member"
    r"(?: (?:state|country|nation))? of) (?P<what>.+)"
)


def joins_others(statement: str, record: Record) -> bool:
    """Whether the country is said to be a member of an organisation that its list of memberships does not have."""
    found = MEMBER.match(says_of(record, statement))
    named = record.organisations(NO_MEMBERSHIP.sub("", CLAUSE.split(found["what"])[0])) if found else []
    return any(not record.member_of[short] for short in named)


def _stated(noun: str, verbs: str, done: str) -> re.Pattern[str]:
    """`what` follows a verb, or the noun and `is` or `include`; `who` stands before `is done` or `is the noun`."""
    return re.compile(
        rf"\b(?:{noun}s?\b[^,;:]*?(?:\b(?:is|are|includes?|including|such as)\b|:)|(?:{verbs})\b) (?P<what>.+)"
        r"|^(?:In [^,]+, )?(?P<who>[\w, ]+?) (?:is|are) (?:also |\w+ly )*"
        rf"(?:{done}|(?:the|an?|one of the) (?:[\w-]+ ){{0,3}}{noun}s?)\b"
    )


SPOKEN = _stated("language", "speaks?", "spoken")
PRACTISED = _stated("religion", "practi[cs]es?|follows?|believes? in|adheres? to", "practi[cs]ed")
LEARNT = re.compile(r"\b(?:foreign|second|taught|learn\w*|stud(?:y|ied|ies))\b")
OTHERS = re.compile(r"\b(?:other|indigenous|native|local|dialects|more than|over \d)\b")
LANGUAGE_FIELDS = ("Languages", "Languages, note", "Ethnic groups", "Demographic profile")
NAME_ENDS = r"(?=$|[,;./()]| (?:and|or|as|is|are|in|languages?|dialects?)\b)"
LANGUAGE_ALONE = rf"\b(?:{'|'.join(sorted(LANGUAGES, key=len, reverse=True))})\b"
LANGUAGE = re.compile(rf"\b(?:{'|'.join(LANGUAGES)}){NAME_ENDS}")
FAITH = rf"\b(?:{'|'.join(sorted(FAITHS, key=len, reverse=True))})(?=s?\b(?! Jud| Jew))"
MOSTLY = re.compile(
    r"\b(?:predominantly|mainly|mostly|primarily|largely"
    r"|majority(?: of (?:the |its )?\w+)?(?: (?:is|are|being|follows?|practi[cs]es?))*)(?: (?:an?|the))? "
    rf"(?P<what>{FAITH}s?(?:(?:, | and |/)(?:predominantly )?{FAITH}s?)*)(?!\W+(?:\w+ )?minorit)"
)
MAIN = re.compile(
    r"\b(?:main|[Mm]ost|common|major|majority|dominant|predominant|official|largest|primary|popular|national|state)\b"
)
LEAST = 1.0  # percent of people who follow a main religion of a country


def _said(pattern: re.Pattern[str], statement: str) -> str:
    found = pattern.search(statement)
    if found is None:
        return ""
    said = CLAUSE.split(found["what"] or found["who"])[0]
    until = found.end() if found["who"] else found.start()
    return "" if HEDGED.search(statement[:until] + said) else said


def makes_up_a_language(statement: str, record: Record) -> bool:
    spoken = values_of(record, LANGUAGE_FIELDS)
    named = LANGUAGE.findall(_said(SPOKEN, statement))
    is_open = LEARNT.search(statement) or (OTHERS.search(record.fields.get("Languages", "")) and not MAIN.search(statement))
    return "Languages" in record.fields and not is_open and any(names_none(spoken, LANGUAGES[each]) for each in named)


def makes_up_a_religion(statement: str, record: Record) -> bool:
    """Whether the record has no such religion, or has few who follow one that is said to be a main one."""
    named = {FAITHS[faith] for faith in re.findall(FAITH, _said(PRACTISED, statement))}
    is_main = MAIN.search(statement) is not None
    return any(share_of(each, record) < LEAST and (is_main or not is_named(each, record)) for each in named)


def makes_up_a_majority(statement: str, record: Record) -> bool:
    mostly = MOSTLY.search(statement)
    if mostly is None or not is_on_all_of(record, statement) or HEDGED.search(statement[: mostly.end()]):
        return False
    named = {FAITHS[faith] for faith in re.findall(FAITH, mostly["what"])}
    return any(share_of(each, record) < max(LEAST, largest_beside(each, record)) for each in named)
