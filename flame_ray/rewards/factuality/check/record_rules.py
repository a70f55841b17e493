"""Decides the statements about a country that a field of its record decides, so that no learned reader has to.

Each rule is a function that tells one kind of false statement, but for one that tells true ones and two that tell statements
which the record leaves open. A rule that is unsure is false. COAST_RULES and OTHER_RULES list them with their labels.
"""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from itertools import takewhile

from flame_ray.rewards.factuality.check.records import Record
from flame_ray.rewards.factuality.check.religions import FAITHS, largest_beside, share_of
from flame_ray.rewards.factuality.check.world import COUNTRIES, LANGUAGES, MIDDLES, Point
from flame_ray.rewards.factuality.text import fold
from flame_ray.types import VerdictLabel

Rule = Callable[[str, Record], bool]


def decided(fact: str, record: Record) -> VerdictLabel | None:
    """What the record alone decides of a fact; None where it decides nothing."""
    statement = fold(fact).replace("’", "'").rstrip(" .")
    if not _is_about(record, statement):
        return None
    rules = COAST_RULES if NEGATED.search(statement) else COAST_RULES + OTHER_RULES
    return next((label for rule, label in rules if rule(statement, record)), None)


# --- of what a statement is ------------------------------------------------------------------------------------------

NEGATED = re.compile(
    r"\b(?:no|not|never|neither|nor|none|without|cannot|lacks?|lost|loses?|unlike|except|former(?:ly)?)\b|n't\b"
)
HEDGED = re.compile(
    r"\d|%|\b(?:[Ss]ome|few|widely|small|tiny|minority|minorities|partly|partially|sometimes|certain|historical(?:ly)?)\b"
)
PART = re.compile(r"\b(?:parts?|half|regions?|coast|side|provinces?|\w*(?:north|south|east|west)) $", re.IGNORECASE)
COUNTRY = rf"(?:{'|'.join(sorted(map(re.escape, COUNTRIES), key=len, reverse=True))})(?![\w-])"


@lru_cache(maxsize=512)
def _names(heading: str) -> str:
    """A pattern of the names in a record's heading: those of the country, and those of its people."""
    title, _, others = fold(heading).replace("’", "'").partition(" (")
    names = {title.removeprefix("The "), *others.rstrip(")").split("; ")} - {""}
    return rf"(?:[Tt]he )?(?:{'|'.join(sorted(map(re.escape, names), key=len, reverse=True))})(?![\w-])"


def _names_of(record: Record) -> str:
    return _names(record.text.partition("\n")[0])


def _is_about(record: Record, statement: str) -> bool:
    """Whether a statement is on the record's country, and neither on a part of it nor on several countries."""
    named = re.search(rf"(?:^(?:In )?|\b(?:in|of) ){_names_of(record)}", statement)
    if named is None or PART.search(statement[: named.start()]):
        return False
    return not re.match(rf"(?:,? (?:and|or|as well as)|,) (?:the )?{COUNTRY}", statement[named.end() :])


def _says_of(record: Record, statement: str) -> str:
    """What a statement that begins with the country's name says of it; empty for another statement."""
    named = re.match(rf"{_names_of(record)}(?! [A-Z])", statement)
    return statement[named.end() :] if named else ""


def _values(record: Record, fields: tuple[str, ...]) -> str:
    return fold(" ".join(record.fields.get(field, "") for field in fields))


def _names_none(text: str, names: tuple[str, ...]) -> bool:
    return not any(name in text for name in names)


# --- coast -----------------------------------------------------------------------------------------------------------

BARE_COAST = re.compile(
    r" (?:(?:does )?(?:indeed )?(?:has|have) (?:an? )?coast(?:line)?"
    r"|(?:is|are) (?:not landlocked|a coastal (?:country|nation|state))"
    r"|(?:does )?(?:indeed )?touch(?:es)? (?:an? |the )?(?:seas?|oceans?)(?: or (?:an? |the )?(?:sea|ocean))?)"
)
LANDLOCKED = re.compile(
    r"(?:\b(?:is|are|being|was)|,)"
    r"(?: (?!(?:not|never|almost|nearly|virtually|partly|by|with|to|for|of|and|between)\b)[\w'-]+){0,5} \"?landlocked\b"
)
NO_COAST = re.compile(
    r"(?:\b(?:has|have|with) no|\b(?:does|do)(?: not|n't) (?:have|touch)(?: an?| any| the)?) (?:direct |sea )?"
    r"(?:coast(?:line)?|sea|ocean)\b(?! (?:on|along|of|in|with|to)\b)"
)
COAST = re.compile(
    r"\b(?:has|have|having|with|features?|boasts?|shares?|includes?)(?: [\w'-]+){0,3} (?:coast(?:line)?s?|coastal)\b"
    r"|'s? (?:[\w-]+ ){0,2}coast(?:line)?\b|\b(?:is|are) (?:an? )?(?:[\w-]+ )?coastal\b"
    r"|\btouch(?:es)?(?: [\w'-]+){0,3} (?:sea|ocean)\b|\bborder(?:s|ed by|ing) (?:the )?(?:[A-Z][a-z]+ )+(?:Sea|Ocean)\b",
    re.IGNORECASE,
)
NOT_LANDLOCKED = re.compile(r"(?: not|n't)(?: (?!only\b|just\b|merely\b)[\w]+)? landlocked\b")


def _has_coast(record: Record) -> bool | None:
    """None where the record does not say, or says in a note that the country lies on a sea without an outlet."""
    length = record.fields.get("Coastline", "")
    if "landlocked" in length:
        return None if "Coastline, note" in record.fields else False
    return True if re.match(r"[\d,.]*[1-9]", length) else None


def _only_says_that_it_has_its_coast(statement: str, record: Record) -> bool:
    return _has_coast(record) is True and BARE_COAST.fullmatch(_says_of(record, statement)) is not None


def _denies_its_coast(statement: str, record: Record) -> bool:
    said = _says_of(record, statement)
    return _has_coast(record) is True and bool(LANDLOCKED.search(said) or NO_COAST.search(said))


def _makes_up_a_coast(statement: str, record: Record) -> bool:
    said = _says_of(record, statement)
    affirmed = COAST.search(said) and not NEGATED.search(said)
    return _has_coast(record) is False and bool(affirmed or NOT_LANDLOCKED.search(said))


COAST_RULES: tuple[tuple[Rule, VerdictLabel], ...] = (
    (_only_says_that_it_has_its_coast, VerdictLabel.SUPPORTED),
    (_denies_its_coast, VerdictLabel.CONTRADICTED),
    (_makes_up_a_coast, VerdictLabel.CONTRADICTED),
)


# --- the country itself, and where it lies ---------------------------------------------------------------------------

NEIGHBOURS = re.compile(
    r"\b(?:borders|bordered|bordering|land borders?|neighbou?r(?:s|ing countries)?"
    r"|(?:located|situated|lies|nestled|sandwiched) between)"
    r"(?: (?:also|by|with|includes?|are))*(?: the)? (?P<what>.+)"
)
CAPITAL = re.compile(r"\bcapital(?: city)?(?: of .+?)? is (?:called )?(?P<what>.+)")
LIES_IN = re.compile(r" (?:is |are )?(?:\w+ly )?(?:located|situated|lies?|nestled|found) (?:\w+ly )?(?:in|within) (?P<what>.+)")
IN_CONTINENT = re.compile(
    r"\b(?:located|situated|lies?|lying|nestled|country|nation|republic|state|kingdom|island|part|continent)\b"
    r"(?:(?!\b(?:that|which|who|with|and|but)\b)[^,;:.])*?"
    r"\b(?:in|within|(?<!coast )(?<!north )(?<!south )(?<!east )(?<!west )of) (?:the )?(?:[\w-]+ )*?"
    r"(?P<where>North America|South America|Africa|Asia|Europe|Oceania|Antarctica)\b"
)
WITHIN = {"Middle East": "Asia", "Central America": "North America", "Caribbean": "North America", "Arctic": "North America"}
BORDERS = "Land boundaries, border countries"
PLACE_FIELDS = ("Location", "Map references", "Geographic overview", BORDERS, "Background")
LISTED = re.compile(r"(?:, (?:and )?| (?:and|by|with) |: )(?:the )?")
NEIGHBOUR = re.compile(rf"({COUNTRY})(?=$| (?:itself|to|on|in)\b)")
BESIDE = re.compile(r"^[A-Z]|\b(?:countries|nations)\b")
TO_THE = re.compile(
    r"(?:\b(?:by|with|and|borders|bordering|includes?|including|are)|[,:]) (?:the )?(?:Republic of )?(?:the )?"
    rf"(?P<who>{COUNTRY}) (?:to|on|in) (?:the|its) (?P<direction>[NSEWnsew][a-z-]+)(?=$|[,;.]| and\b)"
)
DIRECTIONS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
BEARINGS = {direction: 45 * place for place, direction in enumerate(DIRECTIONS)}
FARTHEST_OFF = 135  # degrees between a direction and the line from middle to middle: neighbours may be long and bent


def _neighbours(statement: str, record: Record) -> list[str]:
    """What a statement that begins with the country's name lists as its neighbours, each with the words behind it.

    The list ends at the first item that is none: `borders Chile and exports copper to China`.
    """
    found = NEIGHBOURS.search(_says_of(record, statement))
    listed = LISTED.split(CLAUSE.split(found["what"])[0]) if found else []
    return list(takewhile(BESIDE.search, listed))


def _borders_itself(statement: str, record: Record) -> bool:
    itself = re.compile(rf"{_names_of(record)}(?: itself)?(?=$|[,;.]| (?:to|on|in) the\b)")
    return any(itself.match(each) for each in _neighbours(statement, record))


def _borders_a_stranger(statement: str, record: Record) -> bool:
    """Whether a country stands among the neighbours that is none, and that the place of the country does not name either."""
    place = _values(record, PLACE_FIELDS)
    named = [found[1] for each in _neighbours(statement, record) if (found := NEIGHBOUR.match(each))]
    return BORDERS in record.fields and any(_names_none(place, COUNTRIES[each]) for each in named)


def _turns_a_border(statement: str, record: Record) -> bool:
    """Whether a neighbour lies on the other side of the country. Not told of enclaves, which a neighbour surrounds."""
    said = _says_of(record, statement) if NEIGHBOURS.search(statement) else ""
    middle = MIDDLES.get(fold(record.title).removeprefix("The "))
    if middle is None or "enclave" in record.fields.get("Location", ""):
        return False
    stated = [(MIDDLES[found["who"]], found["direction"].lower().replace("-", "")) for found in TO_THE.finditer(said)]
    return any(_is_off(middle, other, BEARINGS[direction]) for other, direction in stated if direction in BEARINGS)


def _is_off(middle: Point, other: Point, stated: int) -> bool:
    north, east = (there - here for here, there in zip(middle, other, strict=True))
    bearing = math.degrees(math.atan2(east * math.cos(math.radians(middle[0] + north / 2)), north))
    return abs((bearing - stated + 180) % 360 - 180) > FARTHEST_OFF


def _is_its_own_capital(statement: str, record: Record) -> bool:
    capital, own = CAPITAL.search(statement), fold(record.fields.get("Capital, name", ""))
    is_itself = capital is not None and re.fullmatch(_names_of(record), capital["what"]) is not None
    return bool(own) and is_itself and not re.match(_names_of(record), own)


def _lies_in_itself(statement: str, record: Record) -> bool:
    lies = LIES_IN.fullmatch(_says_of(record, statement))
    return lies is not None and re.fullmatch(_names_of(record), lies["what"]) is not None


def _lies_on_another_continent(statement: str, record: Record) -> bool:
    found = IN_CONTINENT.search(re.sub(COUNTRY, "", _says_of(record, statement)))
    place = _values(record, PLACE_FIELDS)
    known = place + " ".join(continent for region, continent in WITHIN.items() if region in place)
    return found is not None and {"Location", "Map references"} <= record.fields.keys() and found["where"] not in known


MEMBER = re.compile(
    r" (?:is|became) (?:(?:also|currently|an?|the|founding|full|active|proud|key|important) )*member"
    r"(?: (?:state|country|nation))? of (?P<what>.+)"
)


def _joins_others(statement: str, record: Record) -> bool:
    """Whether the country is said to be a member of an organisation that its list of memberships does not have."""
    found = MEMBER.match(_says_of(record, statement))
    named = record.organisations(CLAUSE.split(found["what"])[0]) if found else []
    return any(not record.member_of[short] for short in named)


# --- languages and religions -----------------------------------------------------------------------------------------


def _stated(noun: str, verbs: str, done: str) -> re.Pattern[str]:
    """`what` follows a verb, or the noun and `is` or `include`; `who` stands before `is done` or `is the noun`."""
    return re.compile(
        rf"\b(?:{noun}s?\b[^,;:]*?(?:\b(?:is|are|includes?|including|such as)\b|:)|(?:{verbs})\b) (?P<what>.+)"
        r"|^(?:In [^,]+, )?(?P<who>[\w, ]+?) (?:is|are) (?:also |\w+ly )*"
        rf"(?:{done}|(?:the|an?|one of the) (?:[\w-]+ ){{0,3}}{noun}s?)\b"
    )


SPOKEN = _stated("language", "speaks?", "spoken")
PRACTISED = _stated("religion", "practi[cs]es?|follows?|believes? in|adheres? to", "practi[cs]ed")
LANGUAGE_FIELDS = ("Languages", "Languages, note", "Ethnic groups", "Demographic profile")
CLAUSE = re.compile(
    r"[;.:]|\b(?:which|who|that|while|with|but|where|although|because|from|related|similar|derived|like|followed|than)\b"
)
NAME_ENDS = r"(?=$|[,;./()]| (?:and|or|as|is|are|in|languages?|dialects?)\b)"
LANGUAGE = re.compile(rf"\b(?:{'|'.join(LANGUAGES)}){NAME_ENDS}")
FAITH = rf"\b(?:{'|'.join(sorted(FAITHS, key=len, reverse=True))})(?=s?\b(?! Jud| Jew))"
MOSTLY = re.compile(
    r"\b(?:predominantly|mainly|mostly|primarily|largely"
    r"|majority(?: of (?:the |its )?\w+)?(?: (?:is|are|being|follows?|practi[cs]es?))*)(?: (?:an?|the))? "
    rf"(?P<what>{FAITH}s?(?:(?:, | and |/)(?:predominantly )?{FAITH}s?)*)(?!\W+(?:\w+ )?minorit)"
)
LEAST = 1.0  # percent of people who follow a religion of a country
HIGH = re.compile(
    r"\b(?:has|have|with|by|for|its|and|a) (?:an? |its )?high (?:\w+ )?(?:elevation|altitude)s?"
    r"(?=$|[,;.]| (?:and|of|with|which|that)\b)"
)
METRES = re.compile(r"([\d,]+) m\b")
LOW = 420  # metres of mean elevation, half of that of all land
SUNSHINE = re.compile(r"\b(?:sunny|sunshine|clear (?:blue )?skies)\b", re.IGNORECASE)
SUNNY_CLIMATE = re.compile(r"Mediterranean|arid|desert|dry|sun|clear")


def _said(pattern: re.Pattern[str], statement: str) -> str:
    found = pattern.search(statement)
    if found is None:
        return ""
    said = CLAUSE.split(found["what"] or found["who"])[0]
    until = found.end() if found["who"] else found.start()
    return "" if HEDGED.search(statement[:until] + said) else said


def _makes_up_a_language(statement: str, record: Record) -> bool:
    spoken = _values(record, LANGUAGE_FIELDS)
    named = LANGUAGE.findall(_said(SPOKEN, statement))
    return "Languages" in record.fields and any(_names_none(spoken, LANGUAGES[each]) for each in named)


def _makes_up_a_religion(statement: str, record: Record) -> bool:
    return any(share_of(FAITHS[faith], record) < LEAST for faith in re.findall(FAITH, _said(PRACTISED, statement)))


def _makes_up_a_majority(statement: str, record: Record) -> bool:
    mostly = MOSTLY.search(statement)
    if mostly is None or HEDGED.search(statement[: mostly.end()]):
        return False
    named = {FAITHS[faith] for faith in re.findall(FAITH, mostly["what"])}
    return any(share_of(each, record) < max(LEAST, largest_beside(each, record)) for each in named)


def _makes_up_sunshine(statement: str, record: Record) -> bool:
    climate = record.fields.get("Climate", "")
    return bool(climate and SUNSHINE.search(statement) and not HEDGED.search(statement) and not SUNNY_CLIMATE.search(climate))


def _makes_up_heights(statement: str, record: Record) -> bool:
    mean = METRES.match(record.fields.get("Elevation, mean elevation", ""))
    return mean is not None and HIGH.search(statement) is not None and int(mean[1].replace(",", "")) < LOW


OTHER_RULES: tuple[tuple[Rule, VerdictLabel], ...] = (
    (_borders_itself, VerdictLabel.CONTRADICTED),
    (_is_its_own_capital, VerdictLabel.CONTRADICTED),
    (_lies_in_itself, VerdictLabel.SAYS_NOTHING),
    (_lies_on_another_continent, VerdictLabel.CONTRADICTED),
    (_borders_a_stranger, VerdictLabel.CONTRADICTED),
    (_turns_a_border, VerdictLabel.CONTRADICTED),
    (_joins_others, VerdictLabel.CONTRADICTED),
    (_makes_up_a_language, VerdictLabel.CONTRADICTED),
    (_makes_up_a_religion, VerdictLabel.CONTRADICTED),
    (_makes_up_a_majority, VerdictLabel.CONTRADICTED),
    (_makes_up_heights, VerdictLabel.CONTRADICTED),
    (_makes_up_sunshine, VerdictLabel.NOT_FOUND),
)
