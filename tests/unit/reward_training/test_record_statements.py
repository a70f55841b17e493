"""Statements about countries that are made from their records are labelled as the record says."""

import random

from flame_ray.reward_training.record_statements import country_of, record_statements
from flame_ray.rewards.factuality.check.records import record_for
from flame_ray.types import Claim, Fact, Passage


def country(title, **fields):
    lines = "\n".join(f"{field.replace('_', ' ')}: {value}" for field, value in fields.items())
    passages = (Passage(f"{title}/0", title, f"{title} (Republic of {title}), Geography:\n{lines}"),)
    return country_of(record_for(Claim(Fact(title, 0), passages)))


GHANA = country(
    "Ghana",
    Location="Western Africa, bordering the Gulf of Guinea",
    Coastline="539 km",
    Climate="tropical; warm and dry",
    Languages="Asante 16%, Ewe 14%, other 31.2% (2010 est.)",
    Religions="Christian 71.3%, Muslim 19.9%",
    International_organization_participation="AU, NATO (observer)",
)
NEPAL = country(
    "Nepal", Location="Southern Asia", Coastline="0 km (landlocked)", Languages="Nepali 44.9%, Maithali 11.4%", Terrain="plains"
)


def made(subject, other, count=6000):
    return dict(record_statements(subject, [other], count, random.Random(0)))


def test_true_and_false_statements_follow_the_record():
    statements = made(GHANA, NEPAL)
    expected = {
        "Ghana is located in West Africa": True,
        "Ghana is a country in Africa": True,
        "Ghana has a coast": True,
        "Ghana is landlocked": False,
        "Ghana has a coast on the Gulf of Guinea": True,
        "Asante is spoken in Ghana": True,
        "The most common language in Ghana is Asante": True,
        "The most common language in Ghana is Ewe": False,
        "The main languages of Ghana include Nepali": False,
        "The most common religion in Ghana is Christianity": True,
        "Islam is practised in Ghana": True,
        "Ghana is a member of AU": True,
        "Ghana is a member of NATO": False,
        "The most common language and religion in Ghana is Asante and Christianity": True,
        "The most common language and religion in Ghana is Asante": False,
        "The most common language and religion in Ghana is Christianity": False,
        "The most common languages and religions in Ghana are Nepali and Christianity": False,
    }
    assert {text: statements.get(text) for text in expected} == expected
    assert "The most common religion in Ghana is Islam" not in statements
    assert made(NEPAL, GHANA)["Nepal is landlocked"] is True


def test_no_statement_about_a_field_that_the_record_lacks():
    assert not any("religion" in text or "believe" in text for text in made(NEPAL, GHANA))


def test_a_statement_is_never_true_in_one_draw_and_false_in_another():
    draws = [dict(record_statements(GHANA, [NEPAL], 500, random.Random(seed))) for seed in range(6)]
    for text in set().union(*draws):
        assert len({draw[text] for draw in draws if text in draw}) == 1, text


def test_what_is_most_common_is_only_said_where_the_record_tells_it():
    fields = {"Languages": "French, Arabic", "Religions": "Christian 71.3%, Muslim 19.9%"}
    without_shares = country("Chad", Location="Central Africa", **fields)
    unknown_first = country("Japan", Location="Eastern Asia", Languages="Japanese 99%", Religions="Shinto 48.6%, Christian 1%")
    for each in (without_shares, unknown_first):
        assert not any("language and religion" in text or "languages and religions" in text for text in made(each, GHANA))


def test_the_same_draw_makes_the_same_statements():
    assert made(GHANA, NEPAL, 30) == made(GHANA, NEPAL, 30)
