"""Texts as the lexical checker reads them: stems, names and figures of a claim, and of every stretch of a passage.

In: a claim, or passages. Out: what of them can be compared. Knows no score.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import Stemmer

from flame_ray.rewards.factuality.check.figures import SCALES, Figure, figures
from flame_ray.rewards.factuality.text import fold
from flame_ray.types import Passage


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP = _words(
    """a an the of in on at to for from by with and or but as that this these those its it his her their they he she who
    which whom whose is are was were be been being has have had do does did will would can could may might shall should
    than then there here so if when where while also into over under about up out off it's s"""
)
# Words that carry little: they count less towards coverage, and bind no number to a clause.
LIGHT = _words(
    """located situated known called named use used including include includes country nation people person some many
    several various more most other such very well one new large small great main major approximately around make made
    become became part home km sq square kilometer kilometers mile miles meter meters percent est total year years long"""
)
NEGATIONS = _words("not no never none neither nor without cannot lack lacks lacked failed fails")
JOINED = _words("and or")
OPPOSITE_PAIRS = """north/south east/west northern/southern eastern/western northeast/southwest northwest/southeast
    increase/decrease rise/fall highest/lowest largest/smallest biggest/smallest first/last before/after male/female
    majority/minority import/export urban/rural win/lose won/lost birth/death open/closed older/younger more/fewer
    more/less best/worst early/late above/below legal/illegal begin/end began/ended start/finish success/failure
    alive/dead hot/cold wet/dry long/short"""
TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
STEM_LENGTH = 6  # Brazil and Brazilian, president and presidential; also, alas, Mauritania and Mauritius
_stemmer = Stemmer.Stemmer("english")


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return _stemmer.stemWord(word)[:STEM_LENGTH]


_LIGHT_STEMS = frozenset(map(_stem, LIGHT))


def _opposites() -> dict[str, frozenset[str]]:
    pairs = [tuple(map(_stem, pair.split("/"))) for pair in OPPOSITE_PAIRS.split()]
    words = {word for pair in pairs for word in pair}
    return {word: frozenset(a if b == word else b for a, b in pairs if word in (a, b)) for word in words}


OPPOSITES = _opposites()


@dataclass(frozen=True, slots=True)
class Number:
    """A figure, and the words of its clause."""

    figure: Figure
    clause: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as the checker sees it."""

    stems: frozenset[str]
    subject: frozenset[str]  # the name that opens the text, the first of a list
    names: frozenset[str]  # the other names
    weights: dict[str, float]
    numbers: tuple[Number, ...]
    denies: bool


@dataclass(frozen=True, slots=True)
class Window:
    passage_id: str
    own: frozenset[str]
    title: frozenset[str]
    passage: frozenset[str]
    is_prose: bool
    numbers: tuple[Number, ...]
    denies: bool


def _read(text: str, label: str = "") -> Reading:
    subject: set[str] = set()
    names: set[str] = set()
    weights: dict[str, float] = {}
    numbers: list[Number] = []
    denies, opening = False, True
    binding = _read(label).stems - _LIGHT_STEMS if label else frozenset()
    for clause in re.split(r"[,;:(]\s+|[()]", _normal(text)):
        found, rest = figures(clause)
        tokens = TOKEN.findall(rest)
        words = [token.lower() for token in tokens]
        around = frozenset(_stem(word) for word in words if word not in STOP) - _LIGHT_STEMS | binding
        numbers += [Number(figure, around) for figure in found]
        for token, word in zip(tokens, words, strict=True):
            if word in NEGATIONS:
                denies = True
            elif word in JOINED:
                opening = opening and not subject
            elif word not in STOP and word not in SCALES and len(word) > 1:
                stem = _stem(word)
                is_name = token[0].isupper()
                if is_name:
                    (subject if opening else names).add(stem)
                opening = opening and is_name
                weights[stem] = 0.1 if word in LIGHT else 1.2 if len(word) >= 8 else 1.0
        opening = opening and not subject
    return Reading(frozenset(weights), frozenset(subject), frozenset(names - subject), weights, tuple(numbers), denies)


read_claim = lru_cache(maxsize=4096)(_read)


def _normal(text: str) -> str:
    return re.sub(r"['’]s\b", "", re.sub(r"n['’]t\b", " not", fold(text)))


# --- windows --------------------------------------------------------------------------------------------------------

STRETCH = 6
LABEL = re.compile(r"^([A-Z][^.:;]{1,80}): ")
SENTENCE_END = re.compile(r"(?<=[;!?])\s+|(?<=[^\W\d_][^\W_]\.)\s+(?=[A-Z\"“(])")


@lru_cache(maxsize=64)
def windows_of(passages_K: tuple[Passage, ...]) -> tuple[Window, ...]:
    return tuple(window for passage in passages_K for window in _windows(passage))


@lru_cache(maxsize=16384)
def _windows(passage: Passage) -> tuple[Window, ...]:
    """Every stretch of a passage on which a fact may stand; cached, because the responses to a prompt share evidence.

    A first line that ends in a colon is a heading: it holds for each line below, as the title does.
    """
    heading, _, rest = passage.text.partition("\n")
    about, body = (f"{passage.title} {heading}", rest) if rest and heading.endswith(":") else (passage.title, passage.text)
    lines = [list(_units(line)) for line in body.split("\n") if line.strip()]
    texts = [text for units in lines for text in units] + list(_stretches(lines))
    title, whole = _read(about).stems, _read(body).stems
    return tuple(_window(passage.id, text, title, whole) for text in dict.fromkeys(texts))


def _stretches(lines: Sequence[Sequence[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    """Neighbouring lines of prose, up to STRETCH together: a long claim rests on several sentences."""
    for is_prose, run in groupby(lines, lambda units: LABEL.match(units[0][0]) is None):
        prose = [units[0][0] for units in run] if is_prose else []
        for size in range(2, STRETCH + 1):
            yield from ((" ".join(prose[i : i + size]), "") for i in range(len(prose) - size + 1))


def _window(passage_id: str, text: tuple[str, str], title: frozenset[str], whole: frozenset[str]) -> Window:
    reading = _read(*text)
    return Window(passage_id, reading.stems, title, whole, LABEL.match(text[0]) is None, reading.numbers, reading.denies)


def _units(line: str) -> Iterator[tuple[str, str]]:
    """A line whole, then its sentences, and the items of a labelled list, each under the line's label.

    A list whole keeps no numbers and no parentheses: each belongs to its own item, not to its neighbours.
    """
    match = LABEL.match(line)
    label, body = (f"{match[1]}: ", line[match.end() :]) if match else ("", line)
    sentences = [part for part in SENTENCE_END.split(body) if part]
    for part in [body, *sentences] if len(sentences) > 1 else sentences:
        items = re.split(r"(?<=;) |, (?!\d{4}\b)", part) if label else [part]
        if len(items) > 1:
            yield label + re.sub(r"\d[\d,.]*|\([^)]*\)", "", part), ""
            yield from ((label + item, label) for item in items)
        else:
            yield label + part, label
