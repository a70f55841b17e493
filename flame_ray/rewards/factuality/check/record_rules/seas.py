"""A rule on the side of a country on which a sea lies."""

import re
from collections.abc import Mapping

from flame_ray.rewards.factuality.check.record_rules.place import BEARINGS, BORDERS, degrees_off, middle_of
from flame_ray.rewards.factuality.check.record_rules.statements import says_of, values_of
from flame_ray.rewards.factuality.check.record_rules.world import Point
from flame_ray.rewards.factuality.check.records import Record

# The middles of waters that lie on one side of most countries beside them, in degrees north and east.
MIDDLES: Mapping[str, Point] = {
    "Adriatic Sea": (43, 15),
    "Andaman Sea": (10, 96),
    "Arabian Sea": (14, 65),
    "Baltic Sea": (57, 19.5),
    "Bay of Bengal": (15, 88),
    "Black Sea": (43.3, 34),
    "Caribbean Sea": (15, -75),
    "Caspian Sea": (42, 51),
    "Gulf of Aden": (12.5, 48),
    "Gulf of Oman": (25, 58),
    "Gulf of Thailand": (10, 102),
    "Indian Ocean": (-15, 75),
    "Mediterranean Sea": (35, 18),
    "North Sea": (56, 3),
    "Persian Gulf": (27, 51),
    "Red Sea": (20, 38.5),
    "South China Sea": (13, 114),
}
AMERICAS = -30  # degrees east: they lie west of it
ATLANTIC, WEST_OF_AMERICA, EAST_OF_ASIA = -35, -130, 170  # degrees east
FARTHEST_OFF = 110  # degrees between a direction and the line from the middle of the country to that of the water
SHORT_NAME = {"Mediterranean": "Mediterranean Sea", "Caribbean": "Caribbean Sea"}
ON_ITS_BORDER = re.compile(r"\b(?:border\w*|bounded|surrounded|coast\w*|touch\w*)\b")
TO_THE = re.compile(
    rf"\b(?P<water>{'|'.join(MIDDLES)}|Mediterranean|Caribbean|(?:(?:North|South) )?(?:Atlantic|Pacific) Ocean)"
    r" (?:to|on|in|along) (?:the|its) (?P<direction>[A-Za-z-]+?)(?:ern)?(?: (?:coast|side|border|shore))?(?=$|[,;.]| and\b)"
)


def turns_a_sea(statement: str, record: Record) -> bool:
    """Whether a water of the country's location is said to be on its other side. Not told of islands."""
    middle, location = middle_of(record), values_of(record, ("Location",)).partition("note")[0]
    if middle is None or BORDERS not in record.fields or not ON_ITS_BORDER.search(statement):
        return False
    stated = [(found["water"], found["direction"].lower()) for found in TO_THE.finditer(says_of(record, statement))]
    return any(
        degrees_off(middle, _middle_of(water, middle), BEARINGS[direction]) > FARTHEST_OFF
        for water, direction in stated
        if water in location and direction in BEARINGS
    )


def _middle_of(water: str, middle: Point) -> Point:
    """For the Atlantic and the Pacific, a point on the latitude of the country."""
    north, east = middle
    if water.endswith("Atlantic Ocean"):
        return north, ATLANTIC
    if water.endswith("Pacific Ocean"):
        return north, WEST_OF_AMERICA if east < AMERICAS else EAST_OF_ASIA
    return MIDDLES[SHORT_NAME.get(water, water)]
