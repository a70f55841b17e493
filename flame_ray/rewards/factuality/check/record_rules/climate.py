"""Rules on a country's climate."""

import re

from flame_ray.rewards.factuality.check.record_rules.place import middle_of
from flame_ray.rewards.factuality.check.record_rules.statements import COUNTRY, names_of, values_of
from flame_ray.rewards.factuality.check.records import Record

FAR_NORTH_OR_SOUTH = 24  # degrees: beyond the tropics
ON_CLIMATE = re.compile(
    r"\b(?:climate|weather)\b|\bmix of\b|\b(?:is|are) an? (?:[\w-]+ ){0,2}(?:tropical|subtropical|arid|desert)\b"
)
OTHER_PLACES = re.compile(
    rf"\b(?:countries|neighbou?rs?|nations|imports?|exports?|tourists|visitors|than|compared)\b|{COUNTRY}"
)
TROPICAL = re.compile(r"\btropical\b(?! (?:storm|cyclone|rainforest|fruit|crop|product|disease|plant))")
SUBTROPICAL = re.compile(r"\bsub-?tropical\b")
MEDITERRANEAN = re.compile(
    r"(?:climate|weather)\b[^,;]*\bMediterranean\b(?! (?:Sea|coast|region|island))"
    r"|\bMediterranean(?:-type|-like)?(?: and \w+)? (?:climate|weather)"
)
DESERT = re.compile(r"\b(?:desert|arid|semi-?arid|semi-?desert)\b")
DRY_AND_HUMID = re.compile(r"\b(?:dry|arid)\b[^;]*\bhigh humidity|\btropical and dry\b")
HUMID = re.compile(r"\bhigh humidity\b|\bhumid\b")
WARM = re.compile(r"\b(?:warm|hot)\b(?! (?:springs?|welcome|hospitality|waters?|people|culture|drinks?))")
# What of a record's climate leaves each of these open.
MAY_BE_TROPICAL = re.compile("tropic|equatorial|monsoon")
MAY_BE_SUBTROPICAL = re.compile("sub-?tropic|varies|temperate|cool|mild|moderat|divers|altitude|highland")
MAY_BE_MEDITERRANEAN = re.compile("Mediterranean|dry")
MAY_BE_DRY = re.compile(r"desert|arid|\bdry|drought|steppe|savanna")
MAY_BE_HUMID = re.compile("humid|tropic|damp|rain|wet|cloud|marine|maritim|moist|monsoon|equator|snow")
MAY_BE_WARM = re.compile("hot|warm|tropic|equator|desert|arid|Mediterranean|sun|monsoon|mild winter|varie")
HIGH_LATITUDE = re.compile(r"\bhigh latitudes?\b")
HIGHEST_LOW_LATITUDE = 35  # degrees
WARMTH = {
    "hot": 4,
    "warm": 3,
    "mild": 2,
    "moderate": 2,
    "cool": 1,
    "cold": 0,
    "severe": 0,
    "harsh": 0,
    "freezing": 0,
    "snowy": 0,
}
FAR_IN_WARMTH = 2
SEASON = {
    season: re.compile(rf"((?:(?!summer|winter)[\w-]+,? (?:and |to |but )?){{1,4}}){season}s?\b", re.IGNORECASE)
    for season in ("summer", "winter")
}
DRY_FIELDS = ("Climate", "Terrain", "Natural hazards", "Environmental issues", "Background", "Geography - note")


def makes_up_a_climate(statement: str, record: Record) -> bool:
    """Whether a kind of climate is stated that is far from what the record tells of it."""
    climate = record.fields.get("Climate", "")
    if not climate or not ON_CLIMATE.search(statement) or OTHER_PLACES.search(re.sub(names_of(record), "", statement)):
        return False
    return (
        (TROPICAL.search(statement) is not None and _lies_far_from_the_tropics(record) and not MAY_BE_TROPICAL.search(climate))
        or _is_out(SUBTROPICAL, MAY_BE_SUBTROPICAL, statement, climate)
        or _is_out(MEDITERRANEAN, MAY_BE_MEDITERRANEAN, statement, values_of(record, ("Climate", "Location")))
        or _is_out(WARM, MAY_BE_WARM, statement, climate)
        or _is_out(DESERT, MAY_BE_DRY, statement, values_of(record, DRY_FIELDS))
        or _is_out(HUMID, MAY_BE_HUMID, statement, climate)
        or (HIGH_LATITUDE.search(statement) is not None and _is_low(record))
        or any(_is_turned(season, statement, climate.partition("note")[0]) for season in SEASON)
        or (DRY_AND_HUMID.search(statement) is not None and not ("humid" in climate and MAY_BE_DRY.search(climate)))
    )


def _is_out(stated: re.Pattern[str], may_be: re.Pattern[str], statement: str, told: str) -> bool:
    return stated.search(statement) is not None and may_be.search(told) is None


def _is_low(record: Record) -> bool:
    middle = middle_of(record)
    return middle is not None and abs(middle[0]) < HIGHEST_LOW_LATITUDE


def _is_turned(season: str, statement: str, climate: str) -> bool:
    """Whether all that a statement says of a season's warmth is far from all that the record says of it."""
    stated, told = _warmth(season, statement), _warmth(season, climate)
    return bool(stated and told) and min(abs(one - other) for one in stated for other in told) >= FAR_IN_WARMTH


def _warmth(season: str, text: str) -> set[int]:
    words = " ".join(SEASON[season].findall(text)).lower()
    return {WARMTH[word] for word in re.findall(r"[a-z]+", words) if word in WARMTH}


def _lies_far_from_the_tropics(record: Record) -> bool:
    middle = middle_of(record)
    return middle is not None and abs(middle[0]) > FAR_NORTH_OR_SOUTH
