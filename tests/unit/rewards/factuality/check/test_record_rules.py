"""What a record decides of a statement without a learned reader, on records made for it."""

import re

import pytest

from flame_ray.rewards.factuality.check.record_rules import decided
from flame_ray.rewards.factuality.check.record_rules.religions import largest_beside, share_of
from flame_ray.rewards.factuality.check.record_rules.world import COUNTRIES, LANGUAGES, MIDDLES
from flame_ray.rewards.factuality.check.records import record_for
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.rewards.factuality.text import fold
from flame_ray.types import Claim, Fact, Passage, VerdictLabel

SUPPORTED, CONTRADICTED, NOT_FOUND = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND


def made(title, others="", **fields):
    """A record; `_` in the name of a field is a blank, and `__` a comma."""
    lines = "\n".join(f"{name.replace('__', ', ').replace('_', ' ')}: {value}" for name, value in fields.items())
    return record_for(Claim(Fact(title, 0), (Passage(title, title, f"{title} ({others}), Geography:\n{lines}"),)))


PERU = made(
    *("Peru", "Republic of Peru; Peruvian"),
    Location="Western South America, bordering the South Pacific Ocean, between Chile and Ecuador",
    Map_references="South America",
    Coastline="2,414 km",
    Land_boundaries__border_countries="Bolivia 1,212 km; Brazil 2,659 km; Chile 168 km; Colombia 1,494 km; Ecuador 1,529 km",
    Capital__name="Lima",
    Climate="varies from tropical in east to cold on the heights",
    Languages="Spanish (official) 82.9%, Quechua (official) 13.6%, other 3.5% (2017 est.)",
    Religions="Roman Catholic 60%, Christian 14.6% (includes Evangelical 11.1%, other 3.5%), "
    "other 0.3% (includes Muslim, Hindu), none 4% (2017 est.)",
)
NEPAL = made(
    *("Nepal", "Nepali"),
    Location="Southern Asia, between China and India",
    Map_references="Asia",
    Coastline="0 km (landlocked)",
    Land_boundaries__border_countries="China 1,389 km; India 1,770 km",
    Capital__name="Kathmandu",
    Climate="varies from cool summers in north to subtropical; dry winters",
    Languages="Nepali (official) 44.9%, Maithali 11.4%, Bajjika",
    Languages__note="many in government and business also speak English",
    Religions="Hindu 81.2%, Buddhist 8.2%, Muslim 5.1%, Christian 1.8%; less than 1%: Sikh, Jewish (2021 est.)",
)
KAZAKHSTAN = made(
    *("Kazakhstan", "Kazakhstani"),
    Location="Central Asia, northwest of China",
    Map_references="Asia",
    Coastline="0 km (landlocked)",
    Coastline__note="Kazakhstan borders the Caspian Sea (1,894 km)",
)
KUWAIT = made(
    "Kuwait", "State of Kuwait; Kuwaiti", Location="Middle East", Map_references="Middle East", Capital__name="Kuwait City"
)
BURMA = made(
    "Burma", "Myanmar; Burmese", Location="Southeastern Asia", Map_references="Southeast Asia", Capital__name="Rangoon"
)
LESOTHO = made(
    *("Lesotho", "Basotho"),
    Location="Southern Africa, an enclave of South Africa",
    Map_references="Africa",
    Land_boundaries__border_countries="South Africa 1,106 km",
)


@pytest.fixture(scope="module")
def factbook():
    """The record of a title in the Factbook."""
    passages = load_corpus("factbook")
    return lambda title: record_for(Claim(Fact(title, 0), tuple(each for each in passages if each.title == title)))


def labels(record, statements):
    return {statement: decided(statement, record) for statement in statements}


def all_are(label, record, *statements):
    assert labels(record, statements) == dict.fromkeys(statements, label)


def test_a_country_with_a_coast_has_one_and_is_not_landlocked():
    bare = ("Peru has a coast", "Peru does have a coastline.", "The Republic of Peru is not landlocked")
    all_are(SUPPORTED, PERU, *bare, "Peru touches a sea or an ocean", "Peru is a coastal country")
    all_are(
        CONTRADICTED, PERU, "Peru is landlocked", "Peru is a small landlocked country in South America", "Peru has no coast"
    )
    all_are(CONTRADICTED, PERU, "Peru does not touch a sea or an ocean")
    more = ("Peru has a coast and many ports", "Peru's coast is long", "Peru has a coast on the Caribbean Sea")
    all_are(None, PERU, *more, "Peru is bordered by landlocked Bolivia", "Peru does not have a coast on the Atlantic Ocean")


def test_a_landlocked_country_has_no_coast():
    all_are(CONTRADICTED, NEPAL, "Nepal has a coast", "Nepal touches a sea or an ocean", "Nepal is not landlocked")
    all_are(CONTRADICTED, NEPAL, "Nepal is a coastal country", "Nepal's coastline is long", "Nepal borders the Indian Ocean")
    all_are(SUPPORTED, NEPAL, "Nepal is landlocked", "Nepal has no coast", "Nepal does not touch a sea")
    all_are(None, NEPAL, "Nepal is not only landlocked", "Nepal has no coast and no harbour")
    all_are(None, KAZAKHSTAN, "Kazakhstan has a coast", "Kazakhstan is landlocked", "Kazakhstan touches a sea or an ocean")


def test_a_country_has_a_coast_on_the_seas_of_its_record():
    congo = made(
        "Congo", Coastline="37 km", Location="Central Africa, northeast of Angola", Elevation__lowest_point="Atlantic Ocean 0 m"
    )
    told = ("Congo has a coast on the Atlantic Ocean", "Congo has a coast, which is located in the Atlantic Ocean")
    all_are(SUPPORTED, congo, *told, "Congo touches the Atlantic Ocean")
    all_are(SUPPORTED, KAZAKHSTAN, "Kazakhstan borders the Caspian Sea", "Kazakhstan has a coastline on the Caspian Sea")
    isles = made(
        "Isles",
        Coastline="9 km",
        Climate="mild",
        Location="islands in the Atlantic Ocean; note - Isles does not border the Red Sea",
    )
    all_are(None, isles, "Isles borders the Red Sea")
    both = "Peru has a coast on the Pacific Ocean"
    all_are(SUPPORTED, PERU, both, "Peru has a long coastline along the South Pacific Ocean")
    all_are(None, PERU, f"{both} and the Caribbean Sea", f"{both}, and is rich", "Peru touches the Atlantic Ocean")
    all_are(CONTRADICTED, NEPAL, "Nepal borders the Indian Ocean")


def test_a_language_that_the_record_does_not_have_is_refuted_under_any_of_its_names():
    spoken = (
        "People in Peru speak Castilian",
        "Quechua is spoken in Peru",
        "The languages of Peru include Spanish and Quechua",
    )
    all_are(None, PERU, *spoken, "People in Peru speak Peruvian", "Peru speaks a language related to Chinese")
    all_are(CONTRADICTED, PERU, "The main languages of Peru include Spanish and French", "Most people in Peru speak Dutch")
    all_are(CONTRADICTED, PERU, "Portuguese is the official language of Peru", "Peru's main languages are English and Spanish")
    all_are(None, PERU, "Peruvian people speak Dutch", "English is a popular foreign language in Peru")  # 3.5% speak others
    all_are(
        None, PERU, "Some people in Peru speak French", "A small minority in Peru speaks French", "Peru exports French wine"
    )
    all_are(None, NEPAL, "English is spoken in Nepal")
    all_are(CONTRADICTED, NEPAL, "The main languages of Nepal include Mandarin")
    all_are(None, KAZAKHSTAN, "People in Kazakhstan speak French")  # no field


def test_a_religion_that_is_absent_rare_or_among_others_is_not_common():
    common = (
        "Christianity is practised in Peru",
        "The main religions of Peru include Catholicism",
        "Peruvians follow Islamism",
    )
    all_are(None, PERU, *common, "The religions of Peru include Protestantism", "Some people in Peru believe in Hinduism")
    all_are(CONTRADICTED, PERU, "The main religions of Peru include Islam", "Buddhism is practised in Peru")
    all_are(CONTRADICTED, NEPAL, "The common religions of Nepal are Hinduism and Judaism", "People in Nepal practice Taoism")
    all_are(None, NEPAL, "The religions of Nepal include Islam and Christianity", "The religions of Nepal include shamanism")
    all_are(None, NEPAL, "People in Nepal practice Sikhism")  # under 1%


def test_a_majority_belongs_to_the_largest_religion():
    all_are(None, PERU, "Peru is predominantly Christian", "Peru is mostly desert")
    all_are(SUPPORTED, PERU, "The majority of people in Peru are Catholic")
    all_are(CONTRADICTED, PERU, "Peru is predominantly Protestant", "Peru is a predominantly Muslim country")
    all_are(None, NEPAL, "Nepal is predominantly Hindu", "Nepal has a majority Hindu population and a mainly Muslim minority")
    all_are(
        CONTRADICTED, NEPAL, "Nepal is predominantly Hindu and Buddhist", "The majority of the population is Muslim in Nepal"
    )


def test_a_neighbour_lies_in_the_stated_direction_or_beside_it():
    right = ("Peru is bordered by Brazil to the east", "Peru is bordered by Chile to the south-east and Ecuador to the north")
    all_are(None, PERU, *right, "Peru borders Brazil to the north-east", "Peru is bordered by the Pacific Ocean to the west")
    all_are(CONTRADICTED, PERU, "Peru is bordered by Brazil to the west", "Peru is bordered by Chile to the north-west")
    all_are(CONTRADICTED, PERU, "Peru is bordered by Brazil to the east and Ecuador to the south")
    all_are(None, LESOTHO, "Lesotho is bordered by South Africa to the east")


def test_a_country_borders_only_its_neighbours_and_not_itself():
    all_are(None, PERU, "Peru is bordered by Bolivia and the Pacific Ocean", "Peru lies between Chile and Ecuador")
    all_are(CONTRADICTED, PERU, "Peru is bordered by Chile and Mexico", "Peru lies between Kenya and Chile")
    all_are(CONTRADICTED, PERU, "Peru shares a border with Mexico", "Peru is surrounded by Kenya", "Peru is adjacent to Mexico")
    itself = (
        "Peru is bordered by Peru",
        "Peru borders Chile, Peru and Bolivia",
        "Peru is bordered by the Republic of Peru to the north",
    )
    all_are(CONTRADICTED, PERU, *itself)
    all_are(CONTRADICTED, BURMA, "Burma is bordered by Myanmar to the east")
    all_are(None, PERU, "Peru is bordered by the Peruvian Sea")
    all_are(None, KUWAIT, "Kuwait is bordered by Mexico")  # no field


def test_a_country_is_not_its_own_capital_unless_the_capital_has_its_name():
    all_are(CONTRADICTED, PERU, "The capital of Peru is Peru", "The capital city of Peru is the Republic of Peru")
    all_are(CONTRADICTED, PERU, "Peru's capital is Peru")
    all_are(None, PERU, "The capital of Peru is Peruvian Lima")
    all_are(None, KUWAIT, "The capital of Kuwait is Kuwait City", "The capital of Kuwait is Kuwait")


def test_a_capital_has_its_name_in_some_spelling():
    all_are(
        CONTRADICTED, PERU, "The capital of Peru is Cusco", "Peru's capital city is Santa Rosa", "Cusco is the capital of Peru"
    )
    all_are(None, PERU, "The capital of Peru is Lima", "The capital of Peru is Limma, a port", "Cusco was the capital of Peru")
    all_are(None, PERU, "The capital of Bolivia in Peru is Cusco", "The historical capital of Peru is Cusco")
    all_are(None, NEPAL, "The capital of Nepal is Katmandu")


def test_a_country_has_as_many_neighbours_as_its_record():
    all_are(CONTRADICTED, LESOTHO, "Lesotho is bordered by several countries", "Lesotho borders two countries")
    all_are(CONTRADICTED, PERU, "Peru shares a land border with three countries", "Peru is bordered by six other nations")
    all_are(None, PERU, "Peru is bordered by several other countries", "Peru shares its land borders with five countries")
    fields = {"Location": "Oceania", "Map_references": "Oceania", "Coastline": "1,129 km", "Land_boundaries__total": "0 km"}
    island = made("Fiji", "Fijian", **fields)
    all_are(
        CONTRADICTED, island, "Fiji shares its land border with several countries", "Fiji is bordered by a number of states"
    )
    all_are(None, island, "Fiji shares maritime borders with several countries")
    all_are(None, KUWAIT, "Kuwait shares a land border with several countries")


def test_an_island_borders_no_country():
    island = made("Cuba", "Cuban", Location="Caribbean", Map_references="Caribbean", Land_boundaries__total="0 km")
    all_are(CONTRADICTED, island, "Cuba is bordered by Mexico to the west", "Cuba shares a land border with Haiti")
    all_are(None, island, "Cuba has a maritime border with Mexico", "Cuba lies between Mexico and Haiti")


def test_a_sea_is_no_ocean():
    black = made("Romania", "Romanian", Location="Europe, bordering the Black Sea", Map_references="Europe", Coastline="225 km")
    all_are(None, black, "Romania touches an ocean", "Romania does not touch an ocean")
    all_are(SUPPORTED, black, "Romania touches a sea", "Romania touches a sea or an ocean")
    all_are(CONTRADICTED, black, "Romania does not touch a sea")
    all_are(SUPPORTED, PERU, "Peru touches an ocean")


def test_that_a_country_lies_in_itself_under_another_name_says_nothing():
    all_are(VerdictLabel.SAYS_NOTHING, BURMA, "Burma is located in Myanmar", "Burma lies in Burma")
    all_are(None, BURMA, "Burma is located in Burmese hands", "Burma lies in Southeast Asia")


def test_a_country_lies_on_its_continent():
    all_are(None, PERU, "Peru is located in South America", "Peru is a country in the Americas", "Peru exports gold to Africa")
    all_are(CONTRADICTED, PERU, "Peru is located in Africa", "Peru is a small country in southern Europe")
    all_are(
        None,
        KUWAIT,
        "Kuwait is a country in Western Asia",
        "Kuwait is a country beside South Africa",
        "Kuwait lies east of Africa",
    )
    all_are(None, NEPAL, "Nepal is not located in Africa")


def test_a_country_is_a_member_only_of_what_its_record_lists():
    listed = "AU, C, EU (candidate country), UN, WTO"
    record = made(
        "Kenya", "Kenyan", Location="Eastern Africa", Map_references="Africa", International_organization_participation=listed
    )
    all_are(CONTRADICTED, record, "Kenya is a member of the European Union", "Kenya is a founding member of the UN and NATO")
    all_are(None, record, "Kenya is a member of the African Union", "Kenya is a member state of the Commonwealth of Nations")
    all_are(None, record, "Kenya is a member of a club", "Kenya is a partner of NATO", "Kenya is not a member of NATO")
    all_are(None, record, "Kenya borders Uganda, which is a member of NATO")
    all_are(None, NEPAL, "Nepal is a member of NATO")  # no field


@pytest.mark.parametrize(
    ("title", "statement"),
    [
        ("Finland", "Finland is bordered by Norway to the north"),
        ("Argentina", "Argentina is bordered by Chile to the south"),
        ("Switzerland", "Switzerland is a mediator between Iran and the United States"),
        ("Peru", "Peru borders Chile and exports copper to China, Japan and Mexico"),
        ("Jordan", "Jordan is almost landlocked"),
        ("Chile", "Chile is a transit country for landlocked Bolivia"),
        ("Bolivia", "Bolivia has lost its coastline to Chile"),
        ("China", "China is a country that invests heavily in Africa"),
        ("Germany", "English is widely spoken in Germany"),
        ("Vietnam", "In Vietnam, coffee is grown at high altitudes"),
        ("Peru", "Peru is an associate member of Mercosur"),
        ("Kenya", "Kenya is a member of the G77"),
        ("Turkey", "Turkey is a member of the European Union Customs Union"),
        ("Turkey", "Turkey is a member of NATO and a candidate for the European Union"),
        ("Norway", "Norway is a member of the EU's single market"),
        ("Indonesia", "Indonesia became a member of OPEC in 1962"),
        ("Bangladesh", "Bangladesh is bordered by India to the east"),
        ("Kazakhstan", "Kazakhstan is bordered by Russia to the west"),
        ("Lithuania", "Lithuania is bordered by Russia to the southwest"),
        ("India", "India's neighbours include Sri Lanka"),
        ("Vietnam", "Vietnam shares maritime borders with the Philippines and Malaysia"),
        ("Denmark", "Denmark is located between Germany and Sweden"),
        ("Malta", "Malta is an island in the Mediterranean Sea between Africa and Europe"),
        ("Panama", "Panama is a country in Central America that links North and South America"),
        ("Barbados", "Barbados is an island country in the Caribbean northeast of South America"),
        ("Tanzania", "Tanzania is a transit route serving landlocked countries"),
        ("Rwanda", "Rwanda shares a border with coastal Tanzania"),
        ("Zambia", "Zambia relies on Tanzania's coast"),
        ("Peru", "Peru's neighbour Bolivia is landlocked"),
        ("Iraq", "Iraq is practically landlocked"),
        ("Canada", "Judaism is practised in Canada"),
        ("South Africa", "South Africa is predominantly Protestant"),
        ("Botswana", "Roman Catholicism is practised in Botswana"),
        ("Armenia", "Armenia is predominantly Orthodox Christian"),
        ("Sweden", "English is the most common second language in Sweden"),
        ("United States", "French is spoken in the United States"),
        ("Indonesia", "Bali is a predominantly Hindu island of Indonesia"),
        ("Poland", "The Tatra Mountains in Poland have a high elevation"),
        ("Guinea", "The official language of Guinea Bissau is Portuguese"),
        ("Democratic Republic of the Congo", "The Democratic Republic of the Congo is bordered by Congo to the west"),
    ],
)
def test_what_a_field_does_not_decide_is_left_to_the_reader(factbook, title, statement):
    assert decided(statement, factbook(title)) is None


def test_a_low_country_has_no_high_elevation():
    low = made("Latvia", "Latvian", Location="Eastern Europe", Map_references="Europe", Elevation__mean_elevation="87 m")
    all_are(CONTRADICTED, low, "Latvia has a temperate climate with a high elevation", "Latvia is known for its high altitude")
    all_are(None, low, "Latvia has a low elevation", "Latvia has no high elevation", "Latvia has a mean elevation of 87 m")
    high = made(
        "Peru", "Peruvian", Location="South America", Map_references="South America", Elevation__mean_elevation="1,555 m"
    )
    all_are(None, high, "Peru has a tropical climate with a high elevation")
    all_are(None, PERU, "Peru has a high elevation")  # no field


def test_a_sunny_climate_is_not_found_where_the_record_tells_of_none():
    all_are(NOT_FOUND, PERU, "The weather in Peru is warm and sunny", "Peru has clear skies")
    all_are(None, NEPAL, "The weather in Nepal is warm and sunny")  # dry
    all_are(None, PERU, "The weather in Peru is tropical", "Peru is sometimes sunny")
    all_are(None, KUWAIT, "The weather in Kuwait is warm and sunny")  # no field


@pytest.mark.parametrize(
    "statement",
    [
        "Bolivia is landlocked",  # another country
        "It is landlocked",
        "The northern part of Peru is landlocked",
        "Northern Peru is mostly Muslim",
        "In the south of Peru, people speak Dutch",
        "Peru and Chile are landlocked",
        "Peruvian Lima is landlocked",
        "People in Peru do not speak Dutch",
        "Peru is not predominantly Muslim",
        "About 2 % of people in Peru follow Islam",
        "",
    ],
)
def test_no_rule_reads_a_statement_on_something_else_a_denial_or_a_part_of_the_people(statement):
    assert decided(statement, PERU) is None


@pytest.mark.parametrize(
    ("value", "religion", "share"),
    [
        ("Muslim 80-85% (predominantly Sunni), Jewish 12-14%", "Muslim", 85),
        ("Roman Catholic 40%, Protestant 30% (Anglican 20%, other 10%), Orthodox 5%", "Christian", 75),
        ("Christian 93% (Roman Catholic 29.9%, Protestant 26.7%)", "Catholic", 29.9),
        ("Hindu <1%, Buddhist 90%", "Hindu", 0),
        ("Muslim 99%, other (includes Christian 0.5%, Jewish) 1%", "Christian", 0),
        ("Muslim 99%, other Christian 1%", "Christian", 1),
        ("Shia 60%, Sunni 30%", "Muslim", 90),
        ("Catholic 60%; less than 1%: Buddhist, Islam", "Buddhist", 0),
        ("Sunni Muslim, small Christian minority", "Muslim", pytest.approx(float("nan"), nan_ok=True)),
        ("Sunni Muslim, small Christian minority", "Hindu", 0),
    ],
)
def test_the_share_of_a_religion_is_that_of_its_items_or_of_those_in_brackets(value, religion, share):
    assert share_of(religion, made("Peru", "Peruvian", Coastline="9 km", Climate="dry", Religions=value)) == share


def test_a_religion_of_which_only_a_note_tells_is_unknown():
    noted = made(
        "Peru", "Peruvian", Climate="dry", Religions="none 90%, Hindu 9%", Religions__note="many are culturally Buddhist"
    )
    assert str(share_of("Buddhist", noted)) == "nan" and share_of("Muslim", noted) == 0
    assert largest_beside("Muslim", noted) == 9 and largest_beside("Hindu", noted) == 0


def test_the_languages_and_the_places_of_countries_are_those_of_the_factbook():
    passages = load_corpus("factbook")
    text = fold("\n".join(passage.text for passage in passages))
    assert [names for names in LANGUAGES.values() if not re.search(rf"Languages\b.*\b(?:{'|'.join(names)})\b", text)] == []
    written = re.compile(r"^Geographic coordinates: (\d+) (\d+) ([NS]), (\d+) (\d+) ([EW])", re.MULTILINE)
    found = {fold(each.title).removeprefix("The "): match for each in passages if (match := written.search(each.text))}
    for names in set(COUNTRIES.values()) - {("France",)}:  # France has overseas parts
        north, more_north, north_or_south, east, more_east, east_or_west = found[names[0]].groups()
        middle = (int(north) + int(more_north) / 60, int(east) + int(more_east) / 60)
        signs = (-1 if north_or_south == "S" else 1, -1 if east_or_west == "W" else 1)
        assert MIDDLES[names[0]] == pytest.approx([sign * each for sign, each in zip(signs, middle, strict=True)], abs=0.06)
