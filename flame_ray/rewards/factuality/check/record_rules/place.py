"""Rules on the country itself and where it lies: neighbours, capital, continent, heights and sunshine."""

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from itertools import takewhile

from flame_ray.rewards.factuality.check.record_rules.statements import (
    CLAUSE,
    COUNTRY,
    HEDGED,
    is_on_all_of,
    names_none,
    names_of,
    says_of,
    values_of,
)
from flame_ray.rewards.factuality.check.record_rules.world import COUNTRIES, MIDDLES, Point
from flame_ray.rewards.factuality.check.records import Record
from flame_ray.rewards.factuality.text import fold

NEIGHBOURS = re.compile(
    r"\b(?:borders|bordered|bordering|border(?= with)|surrounded(?= by)|adjacent to|land borders?"
    r"|neighbou?r(?:s|ing countries)?|(?:located|situated|lies|nestled|sandwiched) between)"
    r"(?: (?:also|by|with|includes?|are))*(?: the)? (?P<what>.+)"
)
BY_SEA = re.compile(r"\bmaritime\b|\b(?:by|across the) sea\b")
ON_LAND = re.compile(r"\b(?:borders?|bordered|bordering|surrounded|adjacent)\b")
CAPITAL = re.compile(r"\bcapital(?: city)?(?: of .+?)? is (?:called )?(?P<what>.+)")
CITY = r"[A-Z][\w'-]+(?: [A-Z][\w'-]+)*"
CITY_ENDS = r"(?=$|[,;.]| (?:and|which|with|in|on|located)\b)"
CAPITAL_FIELDS = ("Capital, name", "Capital, etymology", "Capital, note")
COMMON_IN_CITIES = {"City", "San", "Santa", "Saint", "Port", "New", "The", "La", "El", "Al", "Town"}
SPELT_ALIKE = 0.7
LIES_IN = re.compile(r" (?:is |are )?(?:\w+ly )?(?:located|situated|lies?|nestled|found) (?:\w+ly )?(?:in|within) (?P<what>.+)")
BESIDE_IT = (
    r"\b(?:that|which|who|with|and|but|near|between|off|close|border\w*|link\w*|connect\w*|(?:north|south|east|west)\w* of)\b"
)
IN_CONTINENT = re.compile(
    r"\b(?:located|situated|lies?|lying|nestled|country|nation|republic|state|kingdom|island|part|continent)\b"
    rf"(?:(?!{BESIDE_IT})[^,;:.])*?"
    rf"\b(?:in|within|(?<!coast )(?<!north )(?<!south )(?<!east )(?<!west )of) (?:the )?(?:(?!{BESIDE_IT})[\w-]+ )*?"
    r"(?P<where>North America|South America|Africa|Asia|Europe|Oceania|Antarctica)\b"
)
WITHIN = {"Middle East": "Asia", "Central America": "North America", "Caribbean": "North America", "Arctic": "North America"}
BORDERS, LAND = "Land boundaries, border countries", "Land boundaries, total"
NUMBERS = {
    word: count for count, word in enumerate(["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], start=2)
}
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
LONG_BORDER = 0.45  # of the whole border
FAR = 30  # degrees between the middles of countries that are no neighbours across a sea
FARTHEST_MIDDLE = 60  # degrees of longitude: a neighbour from there has a part that lies apart, or is very large
FARTHEST_OFF = 135  # degrees between a direction and the line from middle to middle: neighbours may be long and bent
SHORT_BORDER, SHORT_BORDER_OFF = 0.4, 110  # of the whole border; a neighbour that has no more of it lies on one side
PLAIN_OFF, PLAIN_FAR = 33, 15  # degrees: where a neighbour lies is plain if it is no farther off the direction, nor away
ONE_COUNTRY = rf"(?:the )?(?:Republic of (?:the )?)?(?:{COUNTRY})"
IN_DIRECTION = r"(?: (?:to|on|in) the [a-z-]+)?"
ONLY_BORDERS = re.compile(
    r" (?:is (?:also )?bordered by|borders|shares? (?:(?:a|its) )?(?:land )?borders? with)"
    rf" (?P<what>{ONE_COUNTRY}{IN_DIRECTION}(?:(?:, and |, | and ){ONE_COUNTRY}{IN_DIRECTION})*)"
)
COUNTED = re.compile(
    r"\b(?:shares? (?:(?:an?|its) )?(?:land )?borders? with|(?:is|are) (?:also )?bordered by|borders)"
    rf" (?:a number of|(?P<count>several|many|multiple|numerous|various|{'|'.join(NUMBERS)}))"
    r" (?:(?:other|different|neighbou?ring) )*(?:countries|nations|states)\b"
)
STATED = re.compile(rf"(?P<who>{COUNTRY})(?: (?:to|on|in) the (?P<direction>[a-z-]+))?")


def _neighbours(statement: str, record: Record) -> list[str]:
    """What a statement that begins with the country's name lists as its neighbours, each with the words behind it.

    The list ends at the first item that is none: `borders Chile and exports copper to China`.
    """
    said = says_of(record, statement)
    found = None if BY_SEA.search(said) else NEIGHBOURS.search(said)
    listed = LISTED.split(CLAUSE.split(found["what"])[0]) if found else []
    return list(takewhile(BESIDE.search, listed))


def borders_itself(statement: str, record: Record) -> bool:
    itself = re.compile(rf"(?!Congo\b){names_of(record)}(?: itself)?(?=$|[,;.]| (?:to|on|in) the\b)")  # of two names
    return any(itself.match(each) for each in _neighbours(statement, record))


def borders_a_stranger(statement: str, record: Record) -> bool:
    """Whether a country stands among the neighbours that is none, and that the place of the country does not name either.

    An island has no neighbour at all. What lies between two countries, or has neighbours, may have near ones across a sea.
    """
    named = [found[1] for each in _neighbours(statement, record) if (found := NEIGHBOUR.match(each))]
    if not ON_LAND.search(statement):
        named = [each for each in named if _is_far(record, each)]
    if BORDERS not in record.fields:
        return bool(named) and record.fields.get("Land boundaries, total", "").startswith("0 km")
    place = values_of(record, PLACE_FIELDS)
    return any(names_none(place, COUNTRIES[each]) for each in named)


def counts_other_neighbours(statement: str, record: Record) -> bool:
    """Whether a statement gives the country several neighbours on land, and the record has one or none, or gives it a number of
    them that is not the record's. A neighbour there may be a town or a territory, which need not be counted.
    """
    found = COUNTED.search(says_of(record, statement))
    if found is None or BY_SEA.search(statement):
        return False
    if fold(record.fields.get(LAND, "")).startswith("0 km"):
        return True
    listed = record.fields.get(BORDERS, "").count(" km")
    if not listed:
        return False
    stated = NUMBERS.get(found["count"] or "")
    return listed < 2 if stated is None else not len(_border_lengths(record)) <= stated <= listed


def _is_far(record: Record, country: str) -> bool:
    middle = middle_of(record)
    return middle is not None and _apart(middle, MIDDLES[country]) > FAR


def _apart(middle: Point, other: Point) -> float:
    """Degrees of latitude or of longitude, whichever are more."""
    return max(abs(here - there) for here, there in zip(middle, other, strict=True))


def middle_of(record: Record) -> Point | None:
    return MIDDLES.get(fold(record.title).removeprefix("The "))


def turns_a_border(statement: str, record: Record) -> bool:
    """Whether a neighbour lies on the other side of the country. Not told of enclaves, nor of a neighbour that has much of the
    border: it lies on several sides. The less of the border it has, the less it may lie off the stated direction.
    """
    said = says_of(record, statement) if NEIGHBOURS.search(statement) else ""
    middle = middle_of(record)
    if middle is None or "enclave" in record.fields.get("Location", ""):
        return False
    lengths = _border_lengths(record)
    stated = [(found["who"], found["direction"].lower().replace("-", "")) for found in TO_THE.finditer(said)]
    return any(
        _is_off(
            middle, MIDDLES[who], BEARINGS[direction], _farthest_off(lengths.get(COUNTRIES[who], 0.0), sum(lengths.values()))
        )
        for who, direction in stated
        if direction in BEARINGS
    )


def _farthest_off(length: float, whole: float) -> float:
    """The degrees that a neighbour with this length of a border may lie off the direction in which it is said to lie."""
    if length > LONG_BORDER * whole:
        return math.inf
    return SHORT_BORDER_OFF if 0 < length <= SHORT_BORDER * whole else FARTHEST_OFF


def _border_lengths(record: Record) -> Mapping[tuple[str, ...], float]:
    """Kilometres of the border with each country, by its names."""
    found = re.findall(rf"({COUNTRY})[^;]*? ([\d,.]+) km", fold(record.fields.get(BORDERS, "")))
    return {COUNTRIES[name]: float(length.replace(",", "")) for name, length in found}


def _is_off(middle: Point, other: Point, stated: int, farthest: float) -> bool:
    return abs(middle[1] - other[1]) < FARTHEST_MIDDLE and degrees_off(middle, other, stated) > farthest


def degrees_off(middle: Point, other: Point, stated: int) -> float:
    """Degrees between a direction and the line from middle to middle."""
    north, east = (there - here for here, there in zip(middle, other, strict=True))
    bearing = math.degrees(math.atan2(east * math.cos(math.radians(middle[0] + north / 2)), north))
    return abs((bearing - stated + 180) % 360 - 180)


def only_names_its_neighbours(statement: str, record: Record) -> bool:
    """Whether a statement says no more than which countries are neighbours, and in what direction where that is plain."""
    only, middle = ONLY_BORDERS.fullmatch(says_of(record, statement)), middle_of(record)
    lengths = _border_lengths(record)
    stated = [(found["who"], found["direction"]) for found in STATED.finditer(only["what"])] if only else []
    return bool(stated) and all(
        COUNTRIES[who] in lengths and (direction is None or _lies_there(middle, MIDDLES[who], direction.replace("-", "")))
        for who, direction in stated
    )


def _lies_there(middle: Point | None, other: Point, direction: str) -> bool:
    if middle is None or direction not in BEARINGS or _apart(middle, other) > PLAIN_FAR:
        return False
    return degrees_off(middle, other, BEARINGS[direction]) <= PLAIN_OFF


def is_its_own_capital(statement: str, record: Record) -> bool:
    capital, own = CAPITAL.search(statement), fold(record.fields.get("Capital, name", ""))
    is_itself = capital is not None and re.fullmatch(names_of(record), capital["what"]) is not None
    return bool(own) and is_itself and not re.match(names_of(record), own)


@lru_cache(maxsize=512)
def _is_capital(names: str) -> re.Pattern[str]:
    """`what` or `who` is the city that a statement calls the capital of the country with these names."""
    return re.compile(
        rf"(?:(?:The )?capital(?: city)? (?:of|in) {names}|{names}'s capital(?: city)?)"
        rf" is (?:called |named |the city of )?(?P<what>{CITY}){CITY_ENDS}"
        rf"|(?P<who>{CITY}) is the capital(?: city)? of {names}$"
    )


def has_another_capital(statement: str, record: Record) -> bool:
    """Whether no part of the city's name, in any likely spelling, is in what the record says of capitals."""
    found = _is_capital(names_of(record)).match(statement)
    known = values_of(record, CAPITAL_FIELDS)
    if found is None or "Capital, name" not in record.fields:
        return False
    said = [word for word in re.findall(r"[A-Z][\w'-]+", found["what"] or found["who"]) if word not in COMMON_IN_CITIES]
    return bool(said) and not any(get_close_matches(word, re.findall(r"[\w'-]+", known), 1, SPELT_ALIKE) for word in said)


def lies_in_itself(statement: str, record: Record) -> bool:
    lies = LIES_IN.fullmatch(says_of(record, statement))
    return lies is not None and re.fullmatch(names_of(record), lies["what"]) is not None


def lies_on_another_continent(statement: str, record: Record) -> bool:
    found = IN_CONTINENT.search(re.sub(COUNTRY, "", says_of(record, statement)))
    place = values_of(record, PLACE_FIELDS)
    known = place + " ".join(continent for region, continent in WITHIN.items() if region in place)
    return found is not None and {"Location", "Map references"} <= record.fields.keys() and found["where"] not in known


HIGH = re.compile(
    r"\b(?:has|have|with|by|for|its|and|a) (?:an? |its )?high (?:\w+ )?(?:elevation|altitude)s?"
    r"(?=$|[,;.]| (?:and|of|with|which|that)\b)"
)
METRES = re.compile(r"([\d,]+) m\b")
LOW = 420  # metres of mean elevation, half of that of all land
SUNSHINE = re.compile(r"\b(?:sunny|sunshine|clear (?:blue )?skies)\b", re.IGNORECASE)
SUNNY_CLIMATE = re.compile(r"Mediterranean|arid|desert|dry|sun|clear")


def makes_up_sunshine(statement: str, record: Record) -> bool:
    climate = record.fields.get("Climate", "")
    return bool(climate and SUNSHINE.search(statement) and not HEDGED.search(statement) and not SUNNY_CLIMATE.search(climate))


def makes_up_heights(statement: str, record: Record) -> bool:
    mean = METRES.match(record.fields.get("Elevation, mean elevation", ""))
    is_high = HIGH.search(statement) is not None and is_on_all_of(record, statement)
    return mean is not None and is_high and int(mean[1].replace(",", "")) < LOW
