"""Records as statements: which lines count, how they are said, and whose values they are exchanged for."""

import random

from flame_ray.checker_training.templates import Entry, entries, exchanged_value, values_by_field
from flame_ray.types import Passage

KENYA = Passage(
    "ke",
    "Kenya",
    "Kenya (Republic of Kenya), Geography:\nArea, total: 580,367 sq km\nNatural resources: limestone, salt\n"
    "Land boundaries, border countries: Ethiopia 867 km; Uganda 814 km\nBackground: " + "a long story " * 9,
)
PERU = Passage("pe", "Peru", "Area, total: 1,285,216 sq km\nNatural resources: copper, salt\nClimate: tropical (in the east)")


def test_every_short_value_of_a_record_is_an_entry():
    assert [(each.field, each.value) for each in entries(KENYA)] == [
        ("Area, total", "580,367 sq km"),
        ("Natural resources", "limestone"),
        ("Natural resources", "salt"),
        ("Land boundaries, border countries", "Ethiopia 867 km"),
        ("Land boundaries, border countries", "Uganda 814 km"),
    ]
    assert entries(PERU)[-1] == Entry("Peru", "Climate", "tropical")


def test_prose_has_none_and_neither_has_what_has_no_title():
    assert entries(Passage("x", "Plato", "The Republic: a dialogue.\nIt is long. Meno: another one.")) == []
    assert entries(Passage("x", "", PERU.text)) == []


def test_an_entry_is_said_of_its_owner_with_its_value():
    draw = random.Random(0)
    found = {Entry("Kenya", "Area, total", "580,367 sq km").said(draw) for _ in range(200)}
    assert {"The total area of Kenya is 580,367 sq km", "Kenya has 580,367 sq km as area"} <= found
    assert all("Kenya" in each and "580,367 sq km" in each for each in found)


def test_a_value_is_exchanged_for_one_of_the_same_field_that_its_own_record_lacks():
    values = values_by_field([KENYA, PERU])
    entry = Entry("Kenya", "Natural resources", "salt")
    found = {exchanged_value(entry, values, KENYA.text, random.Random(seed)) for seed in range(50)}
    assert found - {None} == {Entry("Kenya", "Natural resources", "copper")}
    assert exchanged_value(Entry("Peru", "Climate", "tropical"), values, PERU.text, random.Random(0)) is None
