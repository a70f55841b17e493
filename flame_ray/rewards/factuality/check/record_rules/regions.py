"""Rules on the region that a country lies in, and on what kind of land it is."""

import re

from flame_ray.rewards.factuality.check.record_rules.place import BORDERS
from flame_ray.rewards.factuality.check.record_rules.statements import COUNTRY, names_of, says_of, values_of
from flame_ray.rewards.factuality.check.record_rules.world import COUNTRIES
from flame_ray.rewards.factuality.check.records import Record

DIRECTION = r"(?:[Nn]orth|[Ss]outh|[Cc]entral|[Mm]iddle)?-?(?:[Ee]ast|[Ww]est)?(?:ern)?"
CONTINENTS = r"Africa|Asia|Europe|North America|South America"
HEAD = re.compile(rf"(?:(?P<direction>{DIRECTION}) )?(?P<where>{CONTINENTS}|Oceania|Central America|Middle East|Caribbean)")
WORD = r"(?:(?!(?:of|for|to|with|by|among|from|between|near)\b)[\w-]+ )"  # none that leads to another place or thing
LAND = r"(?:country|nation|state|land|republic|kingdom|region|territory)"
IN_PART = re.compile(
    rf" (?:is|are|lies) (?:{WORD}{{0,5}}{LAND} )?(?:(?:that|which) (?:is|lies) )?"
    r"(?:(?:located|situated|found|lying|also|primarily|mainly|mostly|entirely) )*"
    rf"(?:in|within) (?:the )?(?P<direction>{DIRECTION})(?P<of> (?:part|region|corner) of)?"
    rf"(?: the)? (?P<where>{CONTINENTS})\b"
)
IN_COUNTRY = re.compile(
    rf" (?:is|are) (?:an? {WORD}{{0,3}}{LAND} )?(?:located|situated) in (?:the )?"
    rf"({COUNTRY})(?=$|,| and\b)"
)
INSIDE = re.compile("enclave|coast of")  # as Vatican City and Monaco are
CLAIMED = {"Greenland", "Kosovo", "Taiwan", "Western Sahara"}  # some people count them as parts of another country
OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}
CONTINENT = re.compile(rf" (?:is|are) (?:an? |the ){WORD}{{0,2}}continent\b(?!')")
ISLAND = re.compile(rf" (?:is|are) (?:an? |the ){WORD}{{0,3}}(?:island|archipelago)\b(?! of\b|')")
LARGE = re.compile(rf" is an? (?:very )?(?:large|vast|huge|massive) {WORD}{{0,2}}{LAND}\b")
SMALL = re.compile(rf" is an? (?:very )?(?:small|tiny) {WORD}{{0,2}}{LAND}\b")
SMALL_AREA, LARGE_AREA = 60_000, 400_000  # square kilometres: not large below, not small above
AREA = re.compile(r"([\d,.]+)( million)? sq km")
LAND_FIELDS = ("Location", "Terrain", "Geography - note", "Area - comparative")


def _places(record: Record) -> list[re.Match[str]]:
    """Where the first words of the record's location say that the country lies."""
    return list(HEAD.finditer(re.split("[,;(]", record.fields.get("Location", ""))[0]))


def _bare(direction: str | None) -> str:
    return re.sub("ern$", "", (direction or "").lower().replace("-", ""))


def lies_elsewhere(statement: str, record: Record) -> bool:
    """Whether a country is said to lie in another part of its continent, such as the east and not the west, or in another
    country.
    """
    said, places = says_of(record, statement), _places(record)
    other = IN_COUNTRY.match(said)
    if other is not None:
        is_itself = re.match(names_of(record), other[1]) is not None
        is_apart = record.title in COUNTRIES.keys() - CLAIMED and not INSIDE.search(record.fields.get("Location", "enclave"))
        return is_apart and not is_itself
    part = IN_PART.match(said)
    if part is None or len(places) != 1 or part["where"] != places[0]["where"]:
        return False
    stated, own = _bare(part["direction"]), _bare(places[0]["direction"])
    return stated not in ("", own) and (
        any(one in stated and far in own for one, far in OPPOSITE.items())
        or (not part["of"] and (part["where"], stated, own) == ("Africa", "west", "central"))
    )


def is_another_kind_of_land(statement: str, record: Record) -> bool:
    """Whether a country is called a continent, large or small against its area, or an island though it has neighbours on land
    and its place names no island.
    """
    said, land = says_of(record, statement), values_of(record, LAND_FIELDS)
    if CONTINENT.match(said):
        return "Location" in record.fields and "continent" not in record.fields["Location"]
    if ISLAND.match(said) and BORDERS in record.fields and "Location" in record.fields:
        return re.search("island|archipelago|atoll", land) is None
    area = _area(record)
    return area is not None and bool((area < SMALL_AREA and LARGE.match(said)) or (area > LARGE_AREA and SMALL.match(said)))


def _area(record: Record) -> float | None:
    """Square kilometres."""
    found = AREA.match(record.fields.get("Area, total", ""))
    return float(found[1].replace(",", "")) * (1e6 if found[2] else 1) if found else None
