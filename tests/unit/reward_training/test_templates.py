"""Records as statements: which lines count, how they are stated, and whose values replace theirs."""

import random

from flame_ray.reward_training.templates import FieldValue, field_values, values_by_field, with_other_value
from flame_ray.types import Passage

KENYA = Passage(
    "ke",
    "Kenya",
    "Kenya (Republic of Kenya), Geography:\nArea, total: 580,367 sq km\nNatural resources: limestone, salt\n"
    "Land boundaries, border countries: Ethiopia 867 km; Uganda 814 km\nBackground: " + "a long story " * 9,
)
PERU = Passage("pe", "Peru", "Area, total: 1,285,216 sq km\nNatural resources: copper, salt\nClimate: tropical (in the east)")


def test_every_short_value_of_a_record_is_found():
    assert [(each.field, each.value) for each in field_values(KENYA)] == [
        ("Area, total", "580,367 sq km"),
        ("Natural resources", "limestone"),
        ("Natural resources", "salt"),
        ("Land boundaries, border countries", "Ethiopia 867 km"),
        ("Land boundaries, border countries", "Uganda 814 km"),
    ]
    assert field_values(PERU)[-1] == FieldValue("Peru", "Climate", "tropical")


def test_prose_has_none_and_neither_has_what_has_no_title():
    assert field_values(Passage("x", "Plato", "The Republic: a dialogue.\nIt is long. Meno: another one.")) == []
    assert field_values(Passage("x", "", PERU.text)) == []


def test_a_value_is_stated_with_its_owner():
    draw = random.Random(0)
    found = {FieldValue("Kenya", "Area, total", "580,367 sq km").statement(draw) for _ in range(200)}
    assert {"The total area of Kenya is 580,367 sq km", "Kenya has 580,367 sq km as area"} <= found
    assert all("Kenya" in each and "580,367 sq km" in each for each in found)


def test_a_value_is_exchanged_for_one_of_the_same_field_that_its_own_record_lacks():
    values = values_by_field([KENYA, PERU])
    salt = FieldValue("Kenya", "Natural resources", "salt")
    found = {with_other_value(salt, values, KENYA.text, random.Random(seed)) for seed in range(50)}
    assert found - {None} == {FieldValue("Kenya", "Natural resources", "copper")}
    assert with_other_value(FieldValue("Peru", "Climate", "tropical"), values, PERU.text, random.Random(0)) is None
