"""Rules on coasts."""

import re

from flame_ray.rewards.factuality.check.record_rules.statements import COUNTRY, NEGATED, says_of, values_of
from flame_ray.rewards.factuality.check.records import Record

BARE_COAST = re.compile(
    r" (?:(?:does )?(?:indeed )?(?:has|have) (?:an? )?coast(?:line)?"
    r"|(?:is|are) (?:not landlocked|a coastal (?:country|nation|state))"
    r"|(?:does )?(?:indeed )?touch(?:es)? (?:an? |the )?(?:seas?|oceans?)(?: or (?:an? |the )?(?:sea|ocean))?)"
)
LANDLOCKED = re.compile(
    r"(?:\b(?:is|are|being)|,)(?: (?!(?:not|never|almost|nearly|virtually|partly|mostly|largely|mainly|practically"
    r"|essentially|effectively|by|with|to|for|of|and|between|serv\w+|border\w*)\b)[\w'-]+){0,5}"
    rf" \"?landlocked\b(?! (?:{COUNTRY}|countries|neighbou?rs|nations|states))"
)
NO_COAST = re.compile(
    r"(?:\b(?:has|have|with) no|\b(?:does|do)(?: not|n't) (?:have|touch)(?: an?| any| the)?) (?:direct |sea )?"
    r"(?:coast(?:line)?|(?:sea|ocean)(?: or (?:an? |the )?(?:sea|ocean))?)\b(?! (?:on|along|of|in|with|to)\b)"
)
COAST = re.compile(
    r"\b(?:has|have|having|with|features?|boasts?|includes?)(?: [\w'-]+){0,3} (?:coast(?:line)?s?|coastal)\b"
    r"|\bshares? (?:an? |its |the )?(?:[a-z-]+ )?coast(?:line)?\b"
    r"|^'s? (?:[\w-]+ ){0,2}coast(?:line)?\b|\b(?:is|are) (?:an? )?(?:[\w-]+ )?coastal\b"
    r"|\btouch(?:es)?(?: [\w'-]+){0,3} (?:sea|ocean)\b|\bborder(?:s|ed by|ing) (?:the )?(?:[A-Z][a-z]+ )+(?:Sea|Ocean)\b",
    re.IGNORECASE,
)
OTHERS_COAST = re.compile(rf"\bcoast of (?:the )?{COUNTRY}|\bcoastal [A-Z]|[a-z]'s coast|\bLake\b")
BARE_LANDLOCKED = re.compile(
    r" (?:(?:is|are) (?:an? )?landlocked(?: (?:country|nation|state))?|(?:has|have) no coast(?:line)?"
    r"|(?:does not|doesn't|do not) (?:have an? coast(?:line)?|touch an? (?:sea|ocean)(?: or an? (?:sea|ocean))?)"
    r"|(?:is|are) not a coastal (?:country|nation|state))"
)
WATER = r"(?:the )?(?P<water{}>(?:[A-Z][a-z]+ )+(?:Sea|Ocean|Gulf))"
ITS_SEA = re.compile(
    r" (?:does )?(?:(?:has|have) an? (?:\w+ )?coast(?:line)?(?:,? which is(?: located)? (?:in|on|along)"
    rf"|,? which is the coast of| on| along)|touch(?:es)?|borders?|is bordered by|lies on)"
    rf" {WATER.format('')}(?: and {WATER.format('_too')})?"
)
SEA_FIELDS = ("Location", "Coastline", "Coastline, note", "Elevation, lowest point")
NOTE = re.compile(r"; note -[^;]*")  # `although The Bahamas does not border the Caribbean Sea`
NOT_LANDLOCKED = re.compile(r"(?: not|n't)(?: (?!only\b|just\b|merely\b)[\w]+)? landlocked\b")


def _has_coast(record: Record) -> bool | None:
    """None where the record does not say, or says in a note that the country lies on a sea without an outlet."""
    length = record.fields.get("Coastline", "")
    if "landlocked" in length:
        return None if "Coastline, note" in record.fields else False
    return True if re.match(r"[\d,.]*[1-9]", length) else None


def _is_water_of(record: Record, said: str) -> bool:
    """Whether the record's place has the water that is said, if that is a sea alone or an ocean alone: one is not the other."""
    named = set(re.findall("sea|ocean", said))
    return len(named) != 1 or named <= set(re.findall("sea|ocean", record.fields.get("Location", "").lower()))


def only_says_that_it_has_its_coast(statement: str, record: Record) -> bool:
    said = says_of(record, statement)
    return _has_coast(record) is True and BARE_COAST.fullmatch(said) is not None and _is_water_of(record, said)


def only_says_what_sea_it_touches(statement: str, record: Record) -> bool:
    """Whether a statement says no more than that the country has a coast on seas that the record names. A sea without an outlet
    counts where the record names it, though it calls the country landlocked.
    """
    found, named = ITS_SEA.fullmatch(says_of(record, statement)), NOTE.sub("", values_of(record, SEA_FIELDS))
    waters = [water for water in found.groupdict().values() if water] if found else []
    return bool(waters) and all(water in named for water in waters)


def only_says_that_it_has_no_coast(statement: str, record: Record) -> bool:
    return _has_coast(record) is False and BARE_LANDLOCKED.fullmatch(says_of(record, statement)) is not None


def denies_its_coast(statement: str, record: Record) -> bool:
    said = says_of(record, statement)
    denied = NO_COAST.search(said)
    return _has_coast(record) is True and bool(
        LANDLOCKED.search(said) or (denied is not None and _is_water_of(record, denied[0]))
    )


def makes_up_a_coast(statement: str, record: Record) -> bool:
    said = says_of(record, statement)
    affirmed = COAST.search(said) and not NEGATED.search(said) and not OTHERS_COAST.search(said)
    return _has_coast(record) is False and bool(affirmed or NOT_LANDLOCKED.search(said))
