"""What the model that reads records sees of a record, and of a fact."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from flame_ray.rewards.factuality.check.records import (
    ENOUGH,
    FEWEST,
    LENGTH,
    LINE,
    ORGANISATIONS,
    SEEN,
    _record,
    _spelt_out,
    nearest_passage,
    record_for,
)
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.types import Claim, Fact, Passage

GEOGRAPHY = Passage(
    "pe/geography/0",
    "Peru",
    "Peru (Republic of Peru; Peruvian), Geography:\n"
    "Location: Western South America, bordering the South Pacific Ocean\n"
    "Land boundaries, border countries: Bolivia 1,212 km; Chile 168 km\n"
    "Coastline: 2,414 km\n"
    "Natural hazards: earthquakes, tsunamis, flooding, landslides\n"
    "Sex ratio, at birth: 1.05 male(s)/female",
)
GOVERNMENT = Passage(
    "pe/government/0",
    "Peru",
    "Peru (Republic of Peru; Peruvian), Government:\n"
    "Government type: presidential republic\n"
    "Capital, name: Lima\n"
    "International organization participation: APEC, BIS, OAS (observer), UN",
)
KENYA = Passage("ke/0", "Kenya", "Kenya (Kenyan), Geography:\nLocation: Eastern Africa\nCoastline: 536 km\nClimate: arid")
PROSE = Passage("wiki/0", "Peru", "Peru is a country in South America. Its capital is Lima.")


def record(text, *passages):
    return record_for(Claim(Fact(text, 0), passages))


def test_the_main_fields_stand_in_one_order_under_all_names_of_the_title_whatever_the_order_of_the_passages():
    found = record("Peru has a coast", GEOGRAPHY, GOVERNMENT)
    assert found.text.splitlines() == [
        "Peru (Republic of Peru; Peruvian)",
        "Location: Western South America, bordering the South Pacific Ocean",
        "Land boundaries, border countries: Bolivia; Chile",
        "Coastline: 2,414 km",
        "Government type: presidential republic",
        "Capital, name: Lima",
    ]
    assert record("Peru has a coast", GOVERNMENT, GEOGRAPHY).text == found.text


def test_of_two_lines_with_one_field_the_one_of_the_first_passage_by_id_counts_whatever_their_order():
    later = Passage("pe/geography/1", "Peru", "Peru, Geography:\nCoastline: 9 km\nClimate: dry\nTerrain: flat")
    for passages in ((GEOGRAPHY, later), (later, GEOGRAPHY)):
        assert "Coastline: 2,414 km" in record("Peru has a coast", *passages).text


def test_a_value_is_cut_at_its_limit_and_loses_the_year_of_its_estimate():
    languages = "Languages: Spanish (official) 82.9%, Quechua 13.6% (2017 est.)\nReligions: " + "Catholic, " * 99
    found = record("x", Passage("pe/1", "Peru", f"Peru, People:\n{languages}\nClimate: dry"))
    assert "Languages: Spanish (official) 82.9%, Quechua 13.6%" in found.text.splitlines()
    assert len(found.text.splitlines()[-1].split()) == 1 + 24
    assert found.fields["Languages"].endswith("(2017 est.)") and len(found.fields["Religions"].split()) == 99


def test_a_fact_brings_the_line_of_another_field_that_shares_its_rare_words():
    filler = "\n".join(f"Field {number}: value {number}" for number in range(40))
    found = record("x", GEOGRAPHY, GOVERNMENT, Passage("pe/other", "Peru", f"Peru, Other:\n{filler}"))
    assert found.statement("Peru has landslides, tsunamis and earthquakes.").splitlines() == [
        "Natural hazards: earthquakes, tsunamis, flooding, landslides",
        "Statement: Peru has landslides, tsunamis and earthquakes.",
    ]
    assert found.statement("Peru has a coast") == "Statement: Peru has a coast."


@pytest.mark.parametrize(
    ("fact", "line"),
    [
        ("Peru is a member of the United Nations", "Member of: UN (United Nations); not a member of: none of them"),
        ("Peru belongs to NATO", "Member of: none of them; not a member of: NATO (North Atlantic Treaty Organization)"),
        (
            "Peru is in APEC, the OAS and the African Union",
            "Member of: APEC (Asia-Pacific Economic Cooperation); "
            "not a member of: AU (African Union), OAS (Organization of American States)",  # OAS (observer)
        ),
    ],
)
def test_an_organisation_that_a_fact_names_is_spelt_out_with_whether_the_country_is_a_member(fact, line):
    assert record(fact, GEOGRAPHY, GOVERNMENT).statement(fact).splitlines()[0] == line


def test_a_passage_of_one_long_line_is_part_of_the_record():
    long = Passage("pe/government/1", "Peru", "Peru, Government:\nInternational organization participation: NATO, UN")
    fact = "Peru is a member of NATO"
    assert record(fact, GEOGRAPHY, long).statement(fact).startswith("Member of: NATO (North Atlantic Treaty Organization);")


def test_of_several_titles_the_one_that_the_fact_names_counts_or_else_the_one_with_most_passages():
    assert record("Kenya has a coast", GEOGRAPHY, GOVERNMENT, KENYA).title == "Kenya"
    assert record("It has a coast", GEOGRAPHY, GOVERNMENT, KENYA).title == "Peru"


def test_evidence_that_is_mostly_prose_is_no_record():
    assert record("Peru has a coast", GEOGRAPHY, PROSE) is None
    assert record("Peru has a coast") is None
    assert record("Peru has a coast", GEOGRAPHY, GOVERNMENT, PROSE).title == "Peru"


def test_the_nearest_passage_shares_most_words_beside_the_title():
    claim = Claim(Fact("Lima is the capital of Peru", 0), (GEOGRAPHY, GOVERNMENT))
    assert nearest_passage(claim) == "pe/government/0"
    assert nearest_passage(Claim(Fact("Peru sings", 0), (GEOGRAPHY, GOVERNMENT))) is None


def test_records_and_statements_are_those_of_loops_over_all_lines_and_passages():
    facts = Path(__file__).parents[4] / "benchmarks" / "country_facts.jsonl"
    said = [json.loads(line)["claim"] for line in facts.read_text(encoding="utf-8").splitlines()]
    passages = tuple(load_corpus("factbook"))
    for title in ("Luxembourg", "Peru", "Haiti", "Norway"):
        of_title = tuple(passage for passage in passages if passage.title == title)
        named = [fact for fact in said if title in fact][:40]
        for fact in (*named, "It is in the EU, NATO and the C", "Kenya has debt, inflation and unemployment", ""):
            for evidence in (of_title[:12], (*of_title[:9], KENYA, PROSE), (PROSE, KENYA), (PROSE,), ()):
                found = record(fact, *evidence)
                assert found == plain_record(fact, evidence)
                assert found is None or found.statement(fact) == plain_statement(found, fact)


def plain_record(fact, passages):
    def lines(passage):
        return len(LINE.findall(passage.text)) if passage.title else 0

    titles = {passage.title for passage in passages if lines(passage) >= FEWEST}
    records = [passage for passage in passages if passage.title in titles and lines(passage)]
    if 2 * len(records) <= len(passages):
        return None
    counts = Counter(passage.title for passage in records)
    title = max(counts, key=lambda title: (title in fact, counts[title]))
    return _record(tuple(passage for passage in records if passage.title == title))


def plain_statement(record, fact):
    named = [
        short
        for short in record.member_of
        if ORGANISATIONS[short].lower() in fact.lower() or (len(short) > 1 and re.search(rf"\b{re.escape(short)}\b", fact))
    ]
    yes, no = ([short for short in named if record.member_of[short] is member] for member in (True, False))
    above = [f"Member of: {_spelt_out(yes)}; not a member of: {_spelt_out(no)}"] if named else []
    wanted = content(fact) - content(record.title)

    def shared(line):
        stems = sorted(wanted & line.stems)
        weight = sum(record.weights[stem] * (SEEN if stem in record.stems else 1) for stem in stems)
        return weight / (1 + LENGTH * len(line.text.split()))

    best = max(record.others, key=shared, default=None)
    above += [best.text] if best and shared(best) > ENOUGH else []
    return "\n".join((*above, f"Statement: {fact.rstrip('.')}."))
