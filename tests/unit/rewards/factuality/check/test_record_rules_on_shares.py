"""What records decide of the largest and the official language, religion and people, on records made for it."""

import math

import pytest

from flame_ray.rewards.factuality.check.record_rules import decided
from flame_ray.rewards.factuality.check.record_rules.languages import is_official, largest_language_beside, speakers_of
from flame_ray.rewards.factuality.check.record_rules.peoples import largest_people_beside, share_of_people
from flame_ray.rewards.factuality.check.records import record_for
from flame_ray.types import Claim, Fact, Passage, VerdictLabel

SUPPORTED, CONTRADICTED = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED


def made(title, others, **fields):
    """A record; `__` in the name of a field is a comma and a blank."""
    fields = {"Location": "Europe", "Climate": "temperate", "Terrain": "hills"} | fields
    lines = "\n".join(f"{name.replace('__', ', ').replace('_', ' ')}: {value}" for name, value in fields.items())
    return record_for(Claim(Fact(title, 0), (Passage(title, title, f"{title} ({others}), People:\n{lines}"),)))


ARLAND = made(
    *("Arland", "Arlander"),
    Languages="French (official) 61.5%, Swahili 22%, Arabic (official in the north) 9%, English 3%, other 4.5%",
    Religions="Roman Catholic 34.6%, Protestant 25.7%, Muslim 36.8%, Buddhist 2%, other 0.9% (includes Jewish)",
    Ethnic_groups="Maru 55%, Tolo 20.5%, East Tolo 9%, mixed (Maru, Tolo) 8%, other 7.5%",
)
UNTOLD = made(
    *("Untold", "Untolder"),
    Languages="French, Wolof",
    Languages__note="English is the official language",
    Religions="Roman Catholic, Muslim",
    Ethnic_groups="Maru, Tolo",
)
SWISS = made(
    "Zelia", "Zelian", Languages="German 91%, Italian 4%", Religions="Muslim 99%", Ethnic_groups="Zelian 60%, German 8%"
)


def all_are(label, record, *statements):
    assert {each: decided(each, record) for each in statements} == dict.fromkeys(statements, label)


def test_what_fewer_have_than_another_is_not_the_largest():
    all_are(
        CONTRADICTED, ARLAND, "Islam is the main religion of Arland", "The most widely spoken language in Arland is Swahili"
    )
    all_are(
        CONTRADICTED,
        ARLAND,
        "Arland has three languages, including Swahili, which is the most widely spoken language in Arland",
    )
    all_are(CONTRADICTED, ARLAND, "The Tolo are the largest ethnic group in Arland", "Arland's main religion is Buddhism")
    plural = ("The main religions of Arland include Islam", "Islam is one of the main religions of Arland")
    all_are(
        None, ARLAND, *plural, "Islam is the main religion of northern Arland", "The Tolo are the largest ethnic group in Peru"
    )
    all_are(None, UNTOLD, "Islam is the main religion of Untold", "The main language of Untold is Wolof")


def test_what_is_the_largest_is_supported_where_no_more_is_said():
    all_are(SUPPORTED, ARLAND, "Christianity is the main religion of Arland", "The most common language in Arland is French")
    all_are(SUPPORTED, ARLAND, "The Maru are the largest ethnic group in Arland", "Most people in Arland speak French")
    more = "Christianity is the main religion of Arland, which has many churches"
    all_are(None, ARLAND, more, "Most Arlanders are Maru and live in towns")
    all_are(None, UNTOLD, "Christianity is the main religion of Untold", "Most people in Untold speak French")


def test_what_fewer_have_than_another_is_not_that_of_most():
    all_are(CONTRADICTED, ARLAND, "Most people in Arland are Muslim", "The majority of Arlanders speak Swahili")
    all_are(CONTRADICTED, ARLAND, "Most Arlanders are Tolo", "English is spoken by most people in Arland")
    all_are(None, ARLAND, "Most visitors to Arland are Muslim", "Most people in Arland who pray are Muslim")
    all_are(None, UNTOLD, "Most people in Untold are Muslim", "Most Untolders are Tolo")


def test_people_who_speak_a_language_are_not_a_people_of_that_name():
    all_are(CONTRADICTED, SWISS, "Most people in Zelia are German")
    all_are(SUPPORTED, SWISS, "Most people in Zelia speak German", "Most Zelians are Muslims")


def test_a_language_is_official_only_where_the_record_says_so():
    all_are(CONTRADICTED, ARLAND, "The official language of Arland is Swahili", "English is an official language of Arland")
    all_are(CONTRADICTED, ARLAND, "Arland speaks Swahili, which is the official language of the country")
    all_are(CONTRADICTED, UNTOLD, "French is the official language of Untold")
    all_are(None, ARLAND, "French is the official language of Arland", "The official language of Arland is Arabic")
    all_are(None, UNTOLD, "English is the official language of Untold")
    all_are(None, SWISS, "German is the official language of Zelia")  # the record calls none official


def test_a_religion_is_no_language_nor_both_at_once():
    all_are(CONTRADICTED, ARLAND, "The most common language and religion in Arland is French", "People in Arland speak Islam")
    all_are(CONTRADICTED, ARLAND, "The main language and religion of Arland are Islam and Christianity")
    all_are(
        None, ARLAND, "The main language and religion of Arland are French and Islam", "Arland speaks and believes in Islam"
    )
    all_are(None, ARLAND, "The most common languages and religions in Arland are French")


@pytest.mark.parametrize(
    ("value", "note", "language", "share", "beside", "official"),
    [
        ("Spanish (official) 80%, Aymara 1.6%, other 2% (includes Dutch)", "", "Spanish", 80, 1.6, True),
        ("Spanish (official) 80%, Aymara 1.6%, other 2% (includes Dutch)", "", "Dutch", 0, 80, False),
        ("Spanish (official) and Guarani (official) 46.3%, only Guarani 34%", "", "Guarani", 46.3, 0, True),
        ("Nepali (official) 44.9%, Urdu 1.4%", "many also speak English", "English", math.nan, 44.9, False),
        (
            "English 78%, Spanish 13%",
            "English is the official language; Hawaiian is official in Hawaii",
            "English",
            78,
            13,
            True,
        ),
        ("French, Wolof", "", "Wolof", math.nan, 0, None),
        ("Serbian 42.9%, Montenegrin (official) 37%", "", "Serbian", 42.9, 37, False),
        ("Serbian 42.9%, Montenegrin (official) 37%", "", "Croatian", 42.9, 0, True),
        ("Dutch (official), Frisian (official in Fryslan province)", "", "Frisian", math.nan, 0, None),
    ],
)
def test_how_many_speak_a_language_and_whether_it_is_official(value, note, language, share, beside, official):
    record = made("Arland", "Arlander", Languages=value, **({"Languages__note": note} if note else {}))
    assert speakers_of(language, record) == pytest.approx(share, nan_ok=True)
    assert largest_language_beside(language, record) == beside
    assert is_official(language, record) is official


def test_the_share_of_a_people_is_that_of_all_items_with_its_name():
    assert share_of_people("Tolo", ARLAND) == share_of_people("Tolos", ARLAND) == 29.5
    assert largest_people_beside("Tolo", ARLAND) == 55
    assert math.isnan(share_of_people("Greek", ARLAND))
    assert math.isnan(
        share_of_people("Arab", made("Arland", "Arlander", Ethnic_groups="Arlander 30%, other Arab 27%, Asian 40%"))
    )
