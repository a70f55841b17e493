"""Makes labelled statements about countries from their records, in the words that answers use.

A true statement says what a field holds: `Ghana is located in West Africa` of `Western Africa, bordering ...`. A false one has
a value of another record, or one that the field excludes. The model that reads records learns from them what the fields mean.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from flame_ray.rewards.factuality.check.record_rules.religions import RELIGIONS
from flame_ray.rewards.factuality.check.records import DATES, DISTANCE, ORGANISATIONS, Record

Made = tuple[str, bool]
DIRECTIONS = {"Western": "West", "Eastern": "East", "Northern": "North", "Southern": "South", "Southeastern": "Southeast"}
CONTINENTS = ("Africa", "Asia", "Europe", "South America", "North America", "Oceania")
REGIONS = (
    *("West Africa", "East Africa", "North Africa", "Central Africa", "Western Europe", "Eastern Europe", "Central Europe"),
    *("Northern Europe", "Southern Europe", "Central America", "South Asia", "Southeast Asia", "Central Asia", "East Asia"),
    *("the Caribbean", "the Middle East", *CONTINENTS),
)
SEAS = (
    *("Pacific Ocean", "Atlantic Ocean", "Indian Ocean", "Arctic Ocean", "Caribbean Sea", "Mediterranean Sea", "Black Sea"),
    *("Baltic Sea", "North Sea", "Red Sea", "Arabian Sea", "Persian Gulf", "Adriatic Sea", "Bay of Bengal", "South China Sea"),
    *("Gulf of Guinea", "Caspian Sea"),
)
CLIMATES = (
    *("tropical", "arid", "temperate", "desert", "Mediterranean", "subtropical", "humid", "dry", "hot", "cold", "continental"),
    *("semiarid", "maritime", "rainy", "subarctic", "equatorial", "mild", "alpine"),
)
LANDS = (
    *("mountains", "plains", "deserts", "plateau", "hills", "forests", "savanna", "volcanic islands", "coral atolls", "jungle"),
    *("coastal plain", "highlands", "rivers", "valleys", "lowlands", "islands", "swamps"),
)
GOVERNMENTS = (
    *("presidential republic", "constitutional monarchy", "absolute monarchy", "parliamentary republic", "federal republic"),
    *("communist state", "military junta", "semi-presidential republic", "dictatorship", "monarchy", "republic"),
)
# Fields that list things, with the ways in which answers state one of them.
LISTS: Mapping[str, tuple[str, ...]] = {
    "Languages": (
        "{item} is spoken in {country}",
        "The main languages of {country} include {item}",
        "People in {country} speak {item}",
        "One of the languages of {country} is {item}",
    ),
    "Ethnic groups": ("{country} is home to {item} people", "The ethnic groups of {country} include {item}"),
    "Natural resources": (
        "The natural resources of {country} include {item}",
        "{country} has natural resources such as {item}",
        "{item} is a natural resource of {country}",
    ),
    "Agricultural products": (
        "The crops of {country} include {item}",
        "{country} produces {item}",
        "{item} is grown in {country}",
        "Agricultural products include {item}",
    ),
    "Industries": (
        "The main industries of {country} include {item}",
        "The economy of {country} relies on {item}",
        "The industries include {item}",
        "Industry in {country} includes {item}",
    ),
    "Exports - commodities": (
        "The main exports of {country} include {item}",
        "{country} exports {item}",
        "Exports include {item}",
        "{item} is one of the main exports of {country}",
    ),
    "Land boundaries, border countries": (
        "{country} is bordered by {item}",
        "{country} shares a land border with {item}",
        "{country} borders {item}",
        "{item} borders {country}",
        "Its neighbouring countries include {item}",
    ),
}
MOST_COMMON = ("The most common language in {country} is {item}", "{item} is the most widely spoken language in {country}")
NO_ITEM = re.compile(r"(?i)other|none|unspecified|unknown|no religion|and |unaffil|includes|mixed$")


@dataclass(frozen=True)
class Country:
    """A record with its fields, from which statements are made."""

    record: Record
    fields: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.record.title

    @cached_property
    def everything(self) -> str:
        return " ".join(self.fields.values()).lower()

    def items(self, field: str) -> list[str]:
        """The things that a field lists, without shares and remarks."""
        value = DISTANCE.sub("", self.fields.get(field, ""))
        parts = (
            re.sub(r"\(.*?\)|\(.*$|[<>~]?\s*\d[\d.,]*\s*%.*", "", part) for part in re.split(r"[;,]\s+(?![^()]*\))", value)
        )
        items = (re.sub(r"\s+", " ", part).strip(" .") for part in parts)
        return [item for item in items if 0 < len(item.split()) <= 4 and not NO_ITEM.match(item) and not re.search(r"\d", item)]


def country_of(record: Record) -> Country:
    fields = {field: re.sub(r"\s+", " ", DATES.sub("", value)).strip(" ;") for field, value in record.fields.items()}
    return Country(record, fields)


def record_statements(country: Country, others: Sequence[Country], count: int, draw: random.Random) -> list[Made]:
    """At most `count` different statements about a country, each with whether it is true."""
    made: dict[str, bool] = {}
    for _ in range(count):
        for text, supported in draw.choice(KINDS)(country, others, draw):
            made.setdefault(text[0].upper() + text[1:], supported)
    return list(made.items())


def _say(forms: Sequence[str], country: Country, supported: bool, draw: random.Random, **words: str) -> Iterator[Made]:
    subject = country.name if draw.random() < 0.75 else "the country"
    yield draw.choice(forms).format(country=subject, **words), supported


def _capital(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    forms = (
        "The capital of {country} is {item}",
        "The capital city of {country} is {item}",
        "{item} is the capital of {country}",
        "The capital city is {item}",
    )
    supported = draw.random() < 0.5
    owner = country if supported else draw.choice(others)
    item = re.sub(r"[;(,].*", "", owner.fields.get("Capital, name", "")).strip()
    if item and (supported or item.lower() not in country.everything):
        yield from _say(forms, country, supported, draw, item=item)


def _region(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    forms = ("{country} is located in {item}", "{country} is a country in {item}", "{country} lies in {item}")
    place = country.fields.get("Location", "")
    continent = country.fields.get("Map references", "")
    head = place.split(",")[0]
    short = head
    for long, brief in DIRECTIONS.items():
        short = re.sub(rf"\b{long}\b", brief, short)
    true = {head, short} | {each for each in CONTINENTS if each in head or each == continent}
    true |= {f"the {each}" for each in ("Caribbean", "Middle East") if each in place + continent}
    false = [each for each in REGIONS if each.split()[-1] not in place + continent]
    supported = draw.random() < 0.5
    pool = sorted(each for each in true if each and len(each.split()) <= 4) if supported else false
    if pool:
        yield from _say(forms, country, supported, draw, item=draw.choice(pool))


def _coast(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    has_coast = (
        "{country} has a coast",
        "{country} has a coastline",
        "{country} touches a sea or an ocean",
        "{country} is not landlocked",
    )
    has_none = ("{country} is landlocked", "{country} is a landlocked country", "{country} has no coastline")
    coast = country.fields.get("Coastline")
    if coast is not None:
        landlocked = "landlocked" in coast or coast.startswith("0 km")
        says_coast = draw.random() < 0.5
        yield from _say(has_coast if says_coast else has_none, country, says_coast != landlocked, draw)


def _sea(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    forms = ("{country} has a coast on the {item}", "{country} has a coastline on the {item}", "{country} borders the {item}")
    supported = draw.random() < 0.5
    near = [sea for sea in SEAS if sea in country.fields.get("Location", "")]
    pool = near if supported else [sea for sea in SEAS if sea.lower() not in country.everything]
    if pool:
        yield from _say(forms, country, supported, draw, item=draw.choice(pool))


def _climate(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    forms = ("{country} has a {item} climate", "The climate of {country} is {item}", "The weather in {country} is {item}")
    yield from _described(country, "Climate", CLIMATES, forms, draw)


def _land(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    forms = ("The terrain of {country} includes {item}", "The land is made up of {item}", "{country} has {item}")
    yield from _described(country, "Terrain", LANDS, forms, draw)


def _described(country: Country, field: str, words: Sequence[str], forms: Sequence[str], draw: random.Random) -> Iterator[Made]:
    value = country.fields.get(field, "").lower()
    around = " ".join(country.fields.get(each, "") for each in ("Climate", "Terrain", "Location", "Natural hazards")).lower()
    supported = draw.random() < 0.5
    true = [word for word in words if word.lower().rstrip("s") in value]
    pool = true if supported else [word for word in words if word.lower()[:5] not in around]
    if value and pool:
        yield from _say(forms, country, supported, draw, item=draw.choice(pool))


def _listed(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    field = draw.choice(tuple(LISTS))
    items = country.items(field)
    supported = draw.random() < 0.5
    pool = items if supported else _foreign(country, others, field, draw)
    if not items or not pool:
        return
    item = draw.choice(pool)
    yield from _say(LISTS[field], country, supported, draw, item=item)
    if field == "Languages" and "%" in country.fields[field]:
        yield from _say(MOST_COMMON, country, item == items[0], draw, item=item)


def _enumerated(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    field = draw.choice(tuple(LISTS))
    items = country.items(field)
    if len(items) < 2:
        return
    chosen = draw.sample(items, min(len(items), draw.choice((2, 2, 3))))
    wrong = _foreign(country, others, field, draw) if draw.random() < 0.5 else []
    if wrong:
        chosen[draw.randrange(len(chosen))] = wrong[0]
    yield from _say(LISTS[field][:1], country, not wrong, draw, item=f"{', '.join(chosen[:-1])} and {chosen[-1]}")


def _foreign(country: Country, others: Sequence[Country], field: str, draw: random.Random) -> list[str]:
    """Things that other records list in the field and this record mentions nowhere."""
    items = [item for other in draw.sample(others, min(6, len(others))) for item in other.items(field)]
    found = [item for item in items if not any(word in country.everything for word in item.lower().split() if len(word) > 4)]
    return [item for item in found if item.lower() not in country.everything and item not in country.name]


def _religion(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    forms = (
        "The main religions of {country} include {item}",
        "{item} is practised in {country}",
        "People in {country} believe in {item}",
    )
    first = ("The most common religion in {country} is {item}", "The majority of people in {country} follow {item}")
    true = _religions(country)
    known = {name for name, _ in true}
    value = country.fields.get("Religions", "")
    false = [names[0] for key, names in RELIGIONS.items() if key not in value and not known & set(names)]
    if draw.random() < 0.5 and true:
        name, place = draw.choice(true)
        yield from _say((*forms, *first) if place == 0 else forms, country, True, draw, item=name)
    elif true and false:
        yield from _say((*forms, *first), country, False, draw, item=draw.choice(false))


def _religions(country: Country) -> list[tuple[str, int]]:
    """What people call the religions of a record, each with its place among them."""
    return [
        (name, place)
        for place, each in enumerate(country.items("Religions"))
        for key, names in RELIGIONS.items()
        if key in each
        for name in names
    ]


def _together(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    """The most common language and religion in one statement. One of them alone is half true, and so not supported."""
    forms = (
        "The most common language and religion in {country} is {item}",
        "The most common languages and religions in {country} are {item}",
    )
    languages, religions = country.items("Languages"), _religions(country)
    first = [name for name, place in religions if place == 0]
    if not languages or not first or "%" not in country.fields["Languages"]:
        return
    language, religion = languages[0], draw.choice(first)
    supported = draw.random() < 0.5
    if supported:
        item = f"{language} and {religion}"
    elif foreign := _foreign(country, others, "Languages", draw):
        known = {name for name, _ in religions}
        faith = draw.choice([names[0] for names in RELIGIONS.values() if not known & set(names)] or [language])
        item = draw.choice((language, religion, f"{language} and {faith}", f"{foreign[0]} and {religion}", foreign[0]))
    else:
        return
    yield from _say(forms, country, supported, draw, item=item)


def _government(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    forms = ("{country} is a {item}", "{country} has a {item} form of government", "The government of {country} is a {item}")
    value = country.fields.get("Government type", "")
    true = [each for each in GOVERNMENTS if all(word in value for word in each.split())]
    false = [each for each in GOVERNMENTS if each not in true and (" " in each or each not in value)]
    supported = draw.random() < 0.5
    if value and (pool := true if supported else false):
        yield from _say(forms, country, supported, draw, item=draw.choice(pool))


def _membership(country: Country, others: Sequence[Country], draw: random.Random) -> Iterator[Made]:
    forms = ("{country} is a member of {item}", "{country} belongs to {item}", "{country} is part of {item}")
    supported = draw.random() < 0.5
    pool = [short for short, is_member in country.record.member_of.items() if is_member is supported and len(short) > 1]
    if pool:
        short = draw.choice(pool)
        yield from _say(forms, country, supported, draw, item=draw.choice((short, f"the {ORGANISATIONS[short]}")))


Kind = Callable[[Country, Sequence[Country], random.Random], Iterator[Made]]
KINDS: tuple[Kind, ...] = (
    *(_capital, _region, _region, _coast, _sea, _climate, _climate, _land, _religion, _religion, _government, _government),
    *(_listed, _listed, _listed, _listed, _listed, _listed, _enumerated, _enumerated, _together, _together),
    *(_membership, _membership, _membership),
)
