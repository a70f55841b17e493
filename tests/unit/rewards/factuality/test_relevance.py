"""Which facts answer an instruction: by topic, by what they add to it, and as a reader says."""

import json
import re
from pathlib import Path

import pytest

from flame_ray.prompts.built_in import factbook_prompts
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.rewards.factuality.relevance import (
    _TOPICS,
    NAME,
    SUBJECT,
    YES_OR_NO,
    _content,
    asks_about_record,
    is_relevant,
)
from flame_ray.rewards.factuality.relevance import CAPITAL as CAPITAL_IS
from flame_ray.rewards.factuality.retrieve import Bm25Retriever
from flame_ray.rewards.factuality.text import fold
from flame_ray.types import Passage

LABELLED = Path(__file__).parents[3] / "benchmarks" / "relevance.jsonl"
FACTS = LABELLED.with_name("country_facts.jsonl")
BORDERS = "Where is Peru, and which countries, if any, share a land border with it? Answer in two sentences."
BELIEFS = "What do people in Fiji speak and believe? Name the main languages and religions in two sentences."
ECONOMY = "Which crops, natural resources and industries matter to the economy of Fiji? Answer in two sentences."
CAPITAL = "What is the capital of the Central African Republic, and what kind of government does it have?"
COAST = "Is the Solomon Islands landlocked, or does it touch a sea or an ocean? Say which in one or two sentences."
WEATHER = "What is the weather like in the Marshall Islands, and what does its land look like?"


@pytest.mark.parametrize(
    ("prompt", "fact"),
    [
        (BORDERS, "Peru lies in western South America"),
        (BORDERS, "To the south is its neighbour Chile"),
        (BELIEFS, "Most Fijians are Christian"),
        (BELIEFS, "English is an official language"),
        (ECONOMY, "Sugar and rice are grown in Fiji"),
        (ECONOMY, "Gold is mined"),
        (CAPITAL, "Bangui is the capital"),
        (CAPITAL, "It is a presidential republic"),
        (COAST, "It borders the South Pacific"),
        (COAST, "The Solomon Islands touches a sea or an ocean"),
        (COAST, "The Solomon Islands is landlocked"),
        ("is Peru landlocked?", "Peru is landlocked"),
        (CAPITAL, "The capital of the Central African Republic is located in Bangui"),
        (ECONOMY, "The economy of Fiji is heavily reliant on sugar"),
        (WEATHER, "It is hot and humid"),
        (WEATHER, "The islands are coral atolls"),
        ("Tell me about Marie Curie.", "Marie Curie was born in Warsaw"),
        ("When was the Eiffel Tower built?", "It was finished in 1889"),
        ("¿Dónde está Perú?", "Peru borders Chile"),
        ("", "Peru borders Chile"),
    ],
)
def test_a_fact_with_what_is_asked_for_is_relevant(prompt, fact):
    assert is_relevant(prompt, fact)


@pytest.mark.parametrize(
    ("prompt", "fact"),
    [
        (BORDERS, "Peru has 34 million inhabitants"),
        (ECONOMY, "Fiji is a tropical island nation located in the Pacific Ocean"),
        (BELIEFS, "Fiji lies in the Pacific Ocean"),
        (CAPITAL, "Bangui has a large market"),
        (CAPITAL, "The capital of the Central African Republic is located in the south"),
        (CAPITAL, "The Central African Republic exports diamonds"),
        (CAPITAL, "The capital is a busy place"),
        ("Which languages are common in Peru? Do not use a list.", "Peru has many languages"),
        ("Can you name the religions of Peru?", "Peru has many religions"),
        (COAST, "The Solomon Islands has 700,000 inhabitants"),
        (WEATHER, "The Marshall Islands joined the United Nations in 1991"),
        ("When was the Eiffel Tower built?", "It was built of iron"),
    ],
)
def test_a_fact_about_something_else_is_not(prompt, fact):
    assert not is_relevant(prompt, fact)


@pytest.mark.parametrize(
    "fact", ["Fiji has many different languages", "The main religions include various religions", "languages"]
)
def test_a_fact_that_adds_nothing_to_the_instruction_answers_nothing(fact):
    assert not is_relevant(BELIEFS, fact)


def test_accents_and_case_make_no_difference():
    assert is_relevant(BORDERS.upper(), "PERU BORDERS CHILE")
    asked = "Which languages are spoken in Côte d'Ivoire?"
    assert is_relevant(asked, "Baoulé is a LANGUAGE of Cote d'Ivoire")
    assert not is_relevant(asked, "Cote d'Ivoire has many languages")


def test_it_agrees_with_a_reader_on_most_facts_that_it_was_not_written_on():
    rows = [row for line in LABELLED.read_text(encoding="utf-8").splitlines() if (row := json.loads(line))["part"] == "test"]
    right = [is_relevant(row["prompt"], row["fact"]) == row["relevant"] for row in rows]
    assert len(right) == 147 and sum(right) >= 120


def test_every_question_about_a_country_of_the_factbook_asks_about_its_record():
    texts = [prompt.text for prompt in factbook_prompts()]
    found = Bm25Retriever(load_corpus("factbook")).retrieve(texts, 10)
    assert [text for text, passages in zip(texts, found, strict=True) if not asks_about_record(text, passages)] == []


def test_a_prompt_without_records_in_its_evidence_asks_about_none():
    prose = Passage("a", "Peru", "Peru is a country in South America. Its languages: Spanish and Quechua.")
    assert not asks_about_record("Which languages are spoken in Peru?", (prose,)) and not asks_about_record(BORDERS, ())


def test_what_is_kept_of_a_prompt_changes_no_answer():
    rows = [json.loads(line) for line in FACTS.read_text(encoding="utf-8").splitlines()][::3]
    pairs = [(row["prompt"], row["claim"]) for row in rows]
    prompts = [prompt for prompt, _ in pairs[::40]]
    crossed = [(prompt, fact) for prompt in ("", "Tell me about Peru.", *prompts) for _, fact in pairs[::40]]
    for prompt, fact in (*pairs, *crossed, (CAPITAL, ""), (COAST, "They do")):
        assert is_relevant(prompt, fact) == plain_relevance(prompt, fact), (prompt, fact)


def plain_relevance(prompt, fact):
    """Reads the prompt anew for each fact."""
    prompt, fact = fold(prompt), fold(fact)
    names = SUBJECT.findall(prompt)
    if all(words.search(text) for words, text in zip(_TOPICS["capital"], (prompt, fact), strict=True)):
        called = CAPITAL_IS.search(fact)
        if called and re.search(NAME, without(names, called[1])):
            return True
    prompt, fact = without(names, prompt), without(names, fact)
    repeats = not YES_OR_NO.search(prompt) and not _content(fact) - _content(prompt)
    asked = [stated for words, stated in _TOPICS.values() if words.search(prompt)]
    if not asked:
        return True
    return not repeats and any(stated.search(fact) for stated in asked)


def without(names, text):
    return re.sub(r"\b(" + "|".join(map(re.escape, names)) + r")\b", " ", text) if names else text
