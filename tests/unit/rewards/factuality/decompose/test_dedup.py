"""Which facts are duplicates."""

import json
import re
from pathlib import Path

from flame_ray.rewards.factuality.decompose.dedup import _EMPTY_STEMS, NEGATIONS, SeenFacts, _stem, content


def test_content_is_what_evidence_could_refute():
    assert content("It is a beautiful country with a rich history") == frozenset()
    assert content("Peru has 1,285,216 km of land") == {"peru", "1,285,216", "km"}
    assert content("Peru borders Chile") == content("CHILE is bordered by Peru's")


def test_a_fact_is_a_duplicate_if_an_earlier_one_contains_all_of_it():
    seen = SeenFacts()
    texts = ("Peru exports copper and gold", "Peru exports gold", "Peru exports zinc", "Peru does not export gold", "It is", "")
    assert [seen.add(content(text)) for text in texts] == [True, False, True, True, False, False]


def test_a_fact_that_adds_only_a_slight_word_to_an_earlier_one_is_a_duplicate():
    seen = SeenFacts()
    texts = (
        "Fiji is a tropical island nation located in the Pacific Ocean",
        "Fiji is a small tropical island country in the Pacific Ocean",
        "Fiji is known as a beautiful tropical island in the Pacific Ocean",
        "Fiji is not a tropical island nation in the Pacific Ocean",
        "Fiji is a tropical island nation in the Atlantic Ocean",
    )
    assert [seen.add(content(text)) for text in texts] == [True, False, False, True, True]


def test_the_content_of_a_text_is_that_of_each_word_stemmed_anew():
    facts = Path(__file__).parents[4] / "benchmarks" / "country_facts.jsonl"
    said = [json.loads(line)["claim"] for line in facts.read_text(encoding="utf-8").splitlines()]
    for text in (*said[::5], "", "'s", "Peru’s s's 1,8's people's's"):
        words = re.findall(r"\d[\d.,]*\d|\w+(?:['’]\w+)?", text.lower())
        stems = [_stem(re.sub(r"['’]s$", "", word)) for word in words]
        assert content(text) == frozenset(stem for stem in stems if stem not in _EMPTY_STEMS or stem in NEGATIONS)
