"""Evidence: the country that an instruction names comes first, and the same query always gives the same passages."""

import pytest

from flame_ray.rewards.corpus import load_corpus
from flame_ray.rewards.retrieve import Bm25Retriever
from flame_ray.types import Passage


@pytest.fixture(scope="module")
def factbook():
    return Bm25Retriever(load_corpus("factbook"))


@pytest.mark.parametrize(
    "country",
    [
        *("Peru", "Niger", "Nigeria", "Guinea", "Guinea-Bissau", "Equatorial Guinea", "Dominica", "Dominican Republic"),
        *("The Bahamas", "Republic of the Congo", "Democratic Republic of the Congo", "Sudan", "South Sudan", "Côte d'Ivoire"),
    ],
)
def test_the_country_that_a_prompt_names_fills_the_evidence(factbook, country):
    passages = factbook.retrieve([f"In two sentences, describe the climate of {country}."], 20)[0]
    assert {passage.title for passage in passages} == {country}


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("Which countries border Peru?", "Land boundaries, border countries: Bolivia"),
        ("Describe the government of Kenya", "Government type: presidential republic"),
        ("In two sentences, describe the climate of Niger", "Climate: desert"),
        ("Which religions do people in France follow?", "Religions: "),
    ],
)
def test_the_passage_that_answers_comes_among_the_first(factbook, query, line):
    assert any(line in passage.text for passage in factbook.retrieve([query], 5)[0])


def test_both_countries_of_a_comparison_are_found(factbook):
    assert {passage.title for passage in factbook.retrieve(["Compare the economy of Peru with that of Chile."], 20)[0]} == {
        "Peru",
        "Chile",
    }


@pytest.mark.parametrize(
    ("query", "title"),
    [("the peruvian capital", "Peru"), ("the climate of Myanmar", "Burma"), ("the Ivory Coast", "Côte d'Ivoire")],
)
def test_other_names_find_the_country(factbook, query, title):
    assert title in [passage.title for passage in factbook.retrieve([query], 5)[0]]


def test_a_prompt_that_asks_for_nothing_in_particular_gets_the_first_sections(factbook):
    sections = {passage.id.split("/")[1] for passage in factbook.retrieve(["Mongolia"], 20)[0]}
    assert {"introduction", "geography"} <= sections


def test_a_query_without_a_known_word_finds_nothing(factbook):
    assert factbook.retrieve(["", "zzxqy", "?!"], 5) == [(), (), ()]


def test_ties_keep_the_order_of_the_corpus():
    passages = [Passage(str(i), "Peru", "the same words") for i in range(8)]
    assert [passage.id for passage in Bm25Retriever(passages).retrieve(["same words"], 5)[0]] == ["0", "1", "2", "3", "4"]


def test_a_corpus_smaller_than_k_gives_what_there_is():
    assert len(Bm25Retriever([Passage("a", "", "Lima is a city")]).retrieve(["Lima"], 20)[0]) == 1
