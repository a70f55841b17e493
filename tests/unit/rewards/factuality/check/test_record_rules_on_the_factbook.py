"""What the records of the Factbook decide of true statements and of false ones, side by side."""

import pytest

from flame_ray.rewards.factuality.check.record_rules import decided
from flame_ray.rewards.factuality.check.records import record_for
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.types import Claim, Fact, VerdictLabel

SUPPORTED, CONTRADICTED, NOT_FOUND = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND


@pytest.fixture(scope="module")
def factbook():
    """The record of a title."""
    passages = load_corpus("factbook")
    return lambda title: record_for(Claim(Fact(title, 0), tuple(each for each in passages if each.title == title)))


def check(factbook, label, statements, country_of):
    found = {each: decided(each, factbook(country_of(each))) for each in statements}
    assert found == dict.fromkeys(statements, label)


def first_words(statement):
    """The country of a statement that begins with its name of one word."""
    return statement.removeprefix("The ").replace("'s ", " ").split()[0]


@pytest.mark.parametrize(
    ("label", "statements"),
    [
        (
            CONTRADICTED,
            (
                "Niger is a continent located in West Africa",
                "Uzbekistan is a large continent",
                "Czechia is a small island nation",
                "Chad is a tropical archipelago",
                "Belize is a vast country",
                "Kenya is a small country in East Africa",
            ),
        ),
        (
            None,
            (
                "Australia is a continent",
                "Kenya is the continent's largest exporter of tea",
                "Ireland is an island in the North Atlantic Ocean",
                "Brunei is a country on the island of Borneo",
                "Kenya is a small producer of gold",
                "Guam is the largest island of its region",
                "Belize is a small country",
                "Chad is a partner of the island nation of Malta",
            ),
        ),
    ],
)
def test_a_country_is_no_continent_nor_an_island_with_neighbours_nor_large_against_its_area(factbook, label, statements):
    check(factbook, label, statements, first_words)


@pytest.mark.parametrize(
    ("label", "statements"),
    [
        (
            CONTRADICTED,
            (
                "Kenya is located in West Africa",
                "Ireland is a country in Eastern Europe",
                "Finland lies in the southern part of Europe",
                "Chad is a landlocked country in West Africa",
                "Botswana is located in South Africa",
                "Latvia is a country located in Estonia",
            ),
        ),
        (
            None,
            (
                "Kenya is located in East Africa",
                "Burundi is located in East Africa",
                "Angola is located in southwestern Africa",
                "Poland is located in Eastern Europe",
                "Lesotho is located in South Africa",
                "Gabon is located in the western part of Africa",
                "Turkey is located in Southern Europe",
                "Monaco is located in France",
                "Kosovo is located in Serbia",
                "Kenya is a partner of countries in West Africa",
                "Kenya is a state that leads troops in West Africa",
            ),
        ),
    ],
)
def test_a_country_lies_neither_on_the_other_side_of_its_continent_nor_in_another_country(factbook, label, statements):
    check(factbook, label, statements, first_words)


@pytest.mark.parametrize(
    ("label", "statements"),
    [
        (
            CONTRADICTED,
            (
                "Georgia is bordered by the Black Sea to the east",
                "Finland is a country in Northern Europe, bordering the Baltic Sea to the north",
                "Argentina is bordered by the South Atlantic Ocean to the west",
                "Ecuador is bordered by the Pacific Ocean to the east",
                "Syria has a coast on the Mediterranean Sea in the east",
            ),
        ),
        (
            None,
            (
                "Georgia is bordered by the Black Sea to the west",
                "Qatar is bordered by the Persian Gulf to the west",
                "Uruguay is bordered by the Atlantic Ocean to the south",
                "Suriname is bordered by the Atlantic Ocean to the north",
                "Ireland is bordered by the Irish Sea to the east",
                "Iceland is bordered by the North Atlantic Ocean to the east",
                "Indonesia is bordered by the Pacific Ocean to the northeast",
                "Georgia ships goods across the Black Sea to the east",
            ),
        ),
    ],
)
def test_a_sea_lies_on_its_side_of_the_country(factbook, label, statements):
    check(factbook, label, statements, first_words)


@pytest.mark.parametrize(
    ("label", "statements"),
    [
        (
            SUPPORTED,
            (
                "Nepal has no coast",
                "Chad is a landlocked country",
                "Serbia doesn't touch a sea or a ocean",
                "Bolivia does not have a coastline",
                "Zambia is not a coastal country",
            ),
        ),
        (CONTRADICTED, ("Peru has no coast", "Kenya is a landlocked country")),
        (
            None,
            (
                "Kazakhstan is landlocked",
                "Jordan has no coast on the Mediterranean Sea",
                "Nepal has no coast and no desert",
                "Azerbaijan does not touch a sea or an ocean",
                "Chad is a landlocked country full of lakes",
            ),
        ),
    ],
)
def test_a_country_without_a_coast_has_none(factbook, label, statements):
    check(factbook, label, statements, first_words)


@pytest.mark.parametrize(
    ("label", "statements"),
    [
        (
            SUPPORTED,
            (
                "Portugal is bordered by Spain to the east",
                "Guinea shares a border with Mali and the Republic of Sierra Leone",
                "Czechia borders Austria, Germany and Slovakia",
                "Kenya is bordered by Uganda to the west and Tanzania to the south",
            ),
        ),
        (
            CONTRADICTED,
            (
                "Portugal is bordered by Spain and Italy",
                "Belgium is bordered by Luxembourg to the west",
                "Kenya is bordered by Uganda to the east",
                "Serbia is bordered by Croatia to the east",
                "Belarus is bordered by Ukraine to the west",
                "Czechia is bordered by Slovakia to the north",
            ),
        ),
        (
            None,
            (
                "Belgium is surrounded by France",
                "Nepal is bordered by China to the east",
                "Portugal is bordered by Spain, which has many visitors",
                "Finland is bordered by Norway to the north",
                "Portugal is bordered by the Atlantic Ocean and Spain",
            ),
        ),
    ],
)
def test_neighbours_alone_or_in_a_plain_direction_need_no_reader(factbook, label, statements):
    check(factbook, label, statements, first_words)


@pytest.mark.parametrize(
    ("label", "statements"),
    [
        (
            NOT_FOUND,
            (
                "The main exports of Fiji include coal",
                "The main exports of Latvia include gold, which is a major commodity",
                "Fiji's main exports are fish and diamonds",
                "In Mongolia, the main exports include products such as bananas",
            ),
        ),
        (
            None,
            (
                "The main exports of Fiji include sugar",
                "Nigeria's main exports are oil and natural gas",
                "The main exports and industries of Fiji include coal",
                "The main exports of Fiji include fine arts",
                "Fiji's main imports and exports include coal",
                "The main exports of Haiti include textiles",
                "The main exports of Fiji do not include gold",
            ),
        ),
    ],
)
def test_an_export_that_no_list_and_no_overview_names_is_not_found(factbook, label, statements):
    known = ("Fiji", "Latvia", "Mongolia", "Nigeria", "Haiti")
    check(factbook, label, statements, lambda each: next(name for name in known if name in each))


@pytest.mark.parametrize(
    ("label", "statements"),
    [
        (
            CONTRADICTED,
            (
                "The climate of Finland is tropical and humid",
                "Fiji has a mix of tropical and subtropical climate",
                "The weather in Latvia is mostly Mediterranean",
                "The climate of Ireland is arid",
                "The weather in Qatar is tropical and dry",
                "The climate of Egypt is hot, with high humidity",
                "Czechia has a temperate climate with mild winters and cool summers",
                "Tajikistan has a climate with cool summers",
                "Kenya has a tropical climate with a high latitude",
                "Finland is known for its warm climate",
                "The weather in Latvia is generally warm and humid",
            ),
        ),
        (
            None,
            (
                "The climate of Fiji is tropical",
                "The weather in Georgia is Mediterranean",
                "Kenya has an arid climate",
                "Finland is known for research on tropical diseases",
                "The climate of Mozambique is subtropical",
                "Czechia has a temperate climate with cold winters and cool summers",
                "Tajikistan has hot summers and mild winters",
                "Qatar has very hot, humid summers",
                "Finland is a country at a high latitude",
                "Finland imports fruit from countries with a tropical climate",
                "The climate of Spain is Mediterranean",
                "The weather in Latvia is wet, and its people give a warm welcome",
                "The climate of Czechia is temperate, with warm springs",
                "The weather in Georgia is warm",
            ),
        ),
    ],
)
def test_a_climate_far_from_the_recorded_one_is_refuted(factbook, label, statements):
    known = (
        "Finland",
        "Fiji",
        "Latvia",
        "Ireland",
        "Qatar",
        "Egypt",
        "Czechia",
        "Tajikistan",
        "Kenya",
        "Georgia",
        "Mozambique",
        "Spain",
    )
    check(factbook, label, statements, lambda each: next(name for name in known if name in each))
