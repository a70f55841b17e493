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
