"""What a statement is on: the country of a record, a part of it, or something else; and how sure it is."""

import re
from functools import lru_cache

from flame_ray.rewards.factuality.check.record_rules.world import COUNTRIES
from flame_ray.rewards.factuality.check.records import Record
from flame_ray.rewards.factuality.text import fold

NEGATED = re.compile(
    r"\b(?:no|not|never|neither|nor|none|without|cannot|lacks?|lost|loses?|unlike|except|former(?:ly)?)\b|n't\b"
)
HEDGED = re.compile(
    r"\d|%|\b(?:[Ss]ome|few|widely|small|tiny|minority|minorities|partly|partially|sometimes|certain|historical(?:ly)?)\b"
)
PART = re.compile(r"\b(?:parts?|half|regions?|coast|side|provinces?|\w*(?:north|south|east|west)) $", re.IGNORECASE)
OF_ALL = re.compile(
    r"(?:In|Most|People|(?:The )?(?:main|most|average|dominant|largest|predominant|primary|majority|population|people"
    r"|religions?|terrain|elevation|climate|land|country|geography|landscape))\b"
)
CLAUSE = re.compile(
    r"[;.:]|\b(?:which|who|that|while|with|but|where|although|because|from|related|similar|derived|like|followed|than)\b"
)
COUNTRY = rf"(?:{'|'.join(sorted(map(re.escape, COUNTRIES), key=len, reverse=True))})(?![\w-])"


@lru_cache(maxsize=512)
def _names(heading: str) -> str:
    """A pattern of the names in a record's heading: those of the country, and those of its people."""
    title, _, others = fold(heading).replace("’", "'").partition(" (")
    names = {title.removeprefix("The "), *others.rstrip(")").split("; ")} - {""}
    return rf"(?:[Tt]he )?(?:{'|'.join(sorted(map(re.escape, names), key=len, reverse=True))})s?(?![\w-])"  # `Peruvians`


def names_of(record: Record) -> str:
    return _names(record.text.partition("\n")[0])


def is_about(record: Record, statement: str) -> bool:
    """Whether a statement is on the record's country, and neither on a part of it nor on several countries."""
    named = re.search(rf"(?:^(?:In |Most )?|\b(?:in|of) ){names_of(record)}(?! [A-Z])", statement)
    if named is None or PART.search(statement[: named.start()]) or statement.startswith("'s neighbo", named.end()):
        return False
    return not re.match(rf"(?:,? (?:and|or|as well as)|,) (?:the )?{COUNTRY}", statement[named.end() :])


def says_of(record: Record, statement: str) -> str:
    """What a statement that begins with the country's name says of it; empty for another statement."""
    named = re.match(rf"{names_of(record)}(?! [A-Z])", statement)
    return statement[named.end() :] if named else ""


def is_on_all_of(record: Record, statement: str) -> bool:
    """Whether its subject is the country, its people or its land, and not an island or a town of it."""
    return bool(says_of(record, statement) or OF_ALL.match(statement))


def values_of(record: Record, fields: tuple[str, ...]) -> str:
    return fold(" ".join(record.fields.get(field, "") for field in fields))


def names_none(text: str, names: tuple[str, ...]) -> bool:
    return not any(name in text for name in names)
