"""Which facts are duplicates."""

from flame_ray.rewards.factuality.decompose.dedup import SeenFacts, content


def test_content_is_what_evidence_could_refute():
    assert content("It is a beautiful country with a rich history") == frozenset()
    assert content("Peru has 1,285,216 km of land") == {"peru", "1,285,216", "km"}
    assert content("Peru borders Chile") == content("CHILE is bordered by Peru's")


def test_a_fact_is_a_duplicate_if_an_earlier_one_contains_all_of_it():
    seen = SeenFacts()
    texts = ("Peru exports copper and gold", "Peru exports gold", "Peru exports zinc", "Peru does not export gold", "It is", "")
    assert [seen.add(content(text)) for text in texts] == [True, False, True, True, False, False]
