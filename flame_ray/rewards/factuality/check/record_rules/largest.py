"""Rules on the language, the religion or the people that is the largest of a country, or that of most, or official."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from flame_ray.rewards.factuality.check.record_rules.languages import is_official, largest_language_beside, speakers_of
from flame_ray.rewards.factuality.check.record_rules.people import FAITH, LANGUAGE_ALONE
from flame_ray.rewards.factuality.check.record_rules.peoples import largest_people_beside, share_of_people
from flame_ray.rewards.factuality.check.record_rules.religions import FAITHS, comes_first, largest_beside, share_of
from flame_ray.rewards.factuality.check.record_rules.statements import names_of
from flame_ray.rewards.factuality.check.records import Record

MOST = 50.0  # percent of people
ENDS = r"(?=$|[,;.]| (?:and|with|which|who|while|but|followed)\b)"
DEGREE = (
    r"(?:main|largest|biggest|dominant|predominant|primary|principal"
    r"|most (?:common|popular|prevalent|(?:commonly |widely )?(?:spoken|practi[cs]ed|followed)))"
)
MAJORITY = r"(?:[Mm]ost(?: of)?|(?:[Tt]he |[Aa] )?(?:(?:vast|large|great|overwhelming) )?majority of)"


@dataclass(frozen=True, slots=True)
class Kind:
    """How statements speak of a kind of thing that people share."""

    noun: str
    name: str
    done: str  # `is spoken`
    does: str  # `people speak`


LANGUAGE = Kind("language", LANGUAGE_ALONE, "spoken|used", "speaks?")
RELIGION = Kind(
    "(?:religion|faith)",
    rf"{FAITH}s?",
    "practi[cs]ed|followed",
    "(?:are|is|identify as|practi[cs]es?|follows?|believes? in|adheres? to|belongs? to)",
)
PEOPLE = Kind("ethnic group", r"(?:[A-Z][\w'-]+|mestizo|white|black|mixed)s?", "present", "(?:are|is)")


@lru_cache(maxsize=1024)
def _largest(kind: Kind, names: str) -> re.Pattern[str]:
    """`what` or `who` is called the largest of its kind in a country with these names."""
    here = rf"(?: (?:{kind.done}))?(?: (?:in|of) (?:{names}|the country))?"
    which = rf"(?:the|its|{names}'s?) {DEGREE} {kind.noun}{here}"
    return re.compile(
        rf"^(?:In {names}, )?(?:[Tt]he |{names}'s? ){DEGREE} {kind.noun}{here}(?: is|:) (?:the )?(?P<what>{kind.name})"
        rf"(?: language)?{ENDS}"
        rf"|^(?:In {names}, )?(?:[Tt]he )?(?P<who>{kind.name})(?: language)? (?:is|are) (?:also )?{which}{ENDS}"
        rf"|\b(?P<which>{kind.name})(?:, which (?:is|are)|,? being) (?:also )?{which}{ENDS}"
    )


@lru_cache(maxsize=1024)
def _most(kind: Kind, names: str) -> re.Pattern[str]:
    """`what` or `who` is said to be what most people in a country with these names have."""
    people = (
        rf"(?:(?:the |its )?(?:people|population|citizens|inhabitants|residents|{names}s?(?: people)?)"
        rf"(?: (?:in|of) (?:{names}|the country))?)"
    )
    return re.compile(
        rf"^(?:In {names}, )?{MAJORITY} {people} {kind.does} (?:an? |the )?(?P<what>{kind.name}){ENDS}"
        rf"|^(?:In {names}, )?(?P<who>{kind.name})(?: language)? is (?:{kind.done}) by {MAJORITY} {people}{ENDS}"
        rf"|^{people} (?:mostly {kind.does}|{kind.does} mostly) (?P<which>{kind.name}){ENDS}"
    )


@lru_cache(maxsize=512)
def _official(names: str) -> re.Pattern[str]:
    """`what` or `who` are called official languages of a country with these names."""
    listed = rf"{LANGUAGE_ALONE}(?:(?:, and |, | and ){LANGUAGE_ALONE})*"
    here = rf"(?: (?:in|of) (?:{names}|the country))?"
    return re.compile(
        rf"^(?:In {names}, )?(?:[Tt]he |{names}'s? )official languages?{here}(?: is| are| includes?|:) (?P<what>{listed}){ENDS}"
        rf"|^(?:In {names}, )?(?:[Tt]he )?(?P<who>{listed})(?: language)? (?:is|are) (?:also )?(?:the |an |its )?"
        rf"official languages?{here}{ENDS}"
        rf"|\b(?P<which>{LANGUAGE_ALONE}), which is (?:also )?(?:the |an |its )?official language{here}{ENDS}"
    )


@dataclass(frozen=True, slots=True)
class Share:
    """Percentages of people, of one thing and of the largest other; NaN where the record does not say."""

    own: float
    beside: float
    comes_first: bool


def _share(kind: Kind, name: str, record: Record) -> Share:
    if kind is RELIGION:
        religion = FAITHS[name if name in FAITHS else name.removesuffix("s")]
        return Share(share_of(religion, record), largest_beside(religion, record), comes_first(religion, record))
    if kind is LANGUAGE:
        own, beside = speakers_of(name, record), largest_language_beside(name, record)
    else:
        own, beside = share_of_people(name, record), largest_people_beside(name, record)
    return Share(own, beside, own > beside)


def _stated(wording: re.Pattern[str], name: str, statement: str) -> tuple[list[str], bool]:
    """The names that a wording states, and whether they are all that the statement says."""
    found = wording.search(statement)
    if found is None:
        return [], False
    said = next(group for group in found.groupdict().values() if group)
    return [each[0] for each in re.finditer(name, said)], (found.start(), found.end()) == (0, len(statement))


def _shares(wording_of: Callable[[Kind, str], re.Pattern[str]], statement: str, record: Record) -> Iterator[tuple[Share, bool]]:
    for kind in (LANGUAGE, RELIGION, PEOPLE):
        names, is_all = _stated(wording_of(kind, names_of(record)), kind.name, statement)
        yield from ((_share(kind, name, record), is_all) for name in names)
        if names:  # `Most people are Protestant` is on no people
            return


def makes_up_the_largest(statement: str, record: Record) -> bool:
    """Whether more people have another thing than the one that is called the largest."""
    return any(share.own < share.beside for share, _ in _shares(_largest, statement, record))


def makes_up_most_people(statement: str, record: Record) -> bool:
    """Whether more people have another thing than the one that most are said to have."""
    return any(share.own < share.beside for share, _ in _shares(_most, statement, record))


def only_names_the_largest(statement: str, record: Record) -> bool:
    """Whether a statement says no more than what is the largest, or what most people have, and is right."""
    largest = list(_shares(_largest, statement, record))
    most = list(_shares(_most, statement, record))
    return bool(largest or most) and all(
        [is_all and (share.own > MOST or (share.comes_first and share.own >= share.beside)) for share, is_all in largest]
        + [is_all and share.own > MOST for share, is_all in most]
    )


def makes_up_an_official_language(statement: str, record: Record) -> bool:
    """Whether the record calls other languages official, and not this one."""
    names, _ = _stated(_official(names_of(record)), LANGUAGE_ALONE, statement)
    return any(is_official(name, record) is False for name in names)
