"""Is a fact true, by the evidence? A verdict for each claim, from the words that it shares with the passages.

In: claims. Out: verdicts in their order. Knows nothing of responses, prompts or retrieval.

The lexical checker compares a fact with every small window of evidence (a line, a sentence, an item of a list, each with
its passage's title): how much of its plain words, names and numbers the window bears out, and what conflicts. A logistic
model of those few features gives the score; the best window decides. It reads no meaning: a paraphrase without shared
words is not found, and a fact with its two sides exchanged looks like the fact.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import Stemmer

from flame_ray.rewards.text import fold
from flame_ray.types import Claim, Fact, Passage, Verdict, VerdictLabel


class Features(NamedTuple):
    """What one window says of one claim. Shares are in [0, 1]; the other fields count, up to a limit."""

    plain: float  # share of plain words (neither names, numbers nor the title's), by weight; 1 when there are none
    no_plain: float  # 1 when there are plain words and the window has none of them
    pairs: float  # share of neighbouring words that are neighbours in the window too
    names_missed: float
    names_absent: float  # not in the whole passage either
    subject_missed: float  # share of the names that open the claim and are not in the window
    numbers_missed: float
    numbers_elsewhere: float  # the figure is there, but in a clause that shares no word with the claim
    opposites: float
    denial: float  # one side denies, the other does not
    plain_absent: float  # share of plain words that are not in the whole passage
    matched: float  # log(1 + words in the window, title aside): ten words of twelve say more than two of three


# Fitted on one half of each development set of tests/benchmarks/lexical_checker.py: the rounded mean of five random searches
# on balanced accuracy, with signs fixed and with a wrong number or a denial made decisive. Nothing rewards length itself: a
# feature for it gained two points on WiCE, and let generic sentences pass on any country's evidence.
INTERCEPT = -3.0
COEFFICIENTS = Features(
    plain=2.1,
    no_plain=-0.1,
    pairs=0.3,
    names_missed=-0.3,
    names_absent=-2.4,
    subject_missed=-1.7,
    numbers_missed=-4.0,
    numbers_elsewhere=-0.5,
    opposites=-1.8,
    denial=-3.6,
    plain_absent=-1.8,
    matched=2.4,
)
THRESHOLD = 0.5
VERSION = 1  # of the words, windows and coefficients below and above: raise it with any change, and cached verdicts are new
ABOUT = 0.5  # share of plain words from which a window that conflicts is about the same thing


class LexicalChecker:
    """Word coverage against conflicts: under a millisecond a fact, no model to load.

    >>> passage = Passage("pe/0", "Peru", "Capital, name: Lima")
    >>> [v.label.value for v in LexicalChecker().check((Claim(Fact("The capital of Peru is Cuzco", 0), (passage,)),))]
    ['contradicted']
    """

    def __init__(self, threshold: float | None = None):
        self.threshold = THRESHOLD if threshold is None else threshold

    @property
    def identity(self) -> str:
        return f"lexical/{VERSION}/{self.threshold}"

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        return tuple(self._check(claim.fact, _windows_of(claim.passages_K)) for claim in claims)

    def _check(self, fact: Fact, windows: Sequence["_Window"]) -> Verdict:
        features, window = best_window(fact.text, windows)
        if features is None or window is None:
            return Verdict(fact, VerdictLabel.NOT_FOUND, 0.0, None)
        score = _score(features)
        if score >= self.threshold:
            return Verdict(fact, VerdictLabel.SUPPORTED, score, window.passage_id)
        if features.plain >= ABOUT and _conflicts(features):
            return Verdict(fact, VerdictLabel.CONTRADICTED, score, window.passage_id)
        return Verdict(fact, VerdictLabel.NOT_FOUND, score, None)


def best_window(claim: str, windows: Sequence["_Window"]) -> tuple[Features | None, "_Window | None"]:
    """The window that supports the claim best, among those that share with it more than the title."""
    reading = _read_claim(claim)
    best, found, decided = -math.inf, None, None
    for window in windows:
        if reading.stems.isdisjoint(window.own) and not reading.numbers:
            continue
        features = _compare(reading, window)
        logit = _logit(features)
        if logit > best:
            best, found, decided = logit, features, window
    return found, decided


def _logit(features: Features) -> float:
    return INTERCEPT + sum(weight * value for weight, value in zip(COEFFICIENTS, features, strict=True))


def _score(features: Features) -> float:
    return 1 / (1 + math.exp(-_logit(features)))


def _conflicts(features: Features) -> bool:
    return any((features.names_missed, features.numbers_missed, features.opposites, features.denial))


# --- reading --------------------------------------------------------------------------------------------------------


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
    become became part home km sq square kilometer kilometers mile miles meter meters percent est total year years"""
)
NEGATIONS = _words("not no never none neither nor without cannot lack lacks lacked failed fails")
SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
# "one" is left out: it is more often a pronoun than a count.
COUNTS = {"zero": 0, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
OPPOSITE_PAIRS = """north/south east/west northern/southern eastern/western northeast/southwest northwest/southeast
    increase/decrease rise/fall highest/lowest largest/smallest biggest/smallest first/last before/after male/female
    majority/minority import/export urban/rural win/lose won/lost birth/death open/closed older/younger more/fewer
    more/less best/worst early/late above/below legal/illegal begin/end began/ended start/finish success/failure
    alive/dead hot/cold wet/dry long/short"""
TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)?")
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
class _Number:
    """A figure, how far another may be and still round to it, and the words of its clause."""

    value: float
    slack: float
    clause: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text as the checker sees it. `order` are its content stems as they stand."""

    order: tuple[str, ...]
    stems: frozenset[str]
    subject: frozenset[str]  # the names that open the text
    names: frozenset[str]  # the other names
    weights: dict[str, float]
    numbers: tuple[_Number, ...]
    denies: bool


@dataclass(frozen=True, slots=True)
class _Window:
    passage_id: str
    own: frozenset[str]
    title: frozenset[str]
    passage: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    numbers: tuple[_Number, ...]
    denies: bool


def _read(text: str, label: str = "") -> _Reading:
    order: list[str] = []
    subject: set[str] = set()
    names: set[str] = set()
    weights: dict[str, float] = {}
    numbers: list[_Number] = []
    denies, opening = False, True
    binding = _read(label).stems - _LIGHT_STEMS if label else frozenset()
    for clause in re.split(r"[,;:(]\s+|[()]", _normal(text)):
        tokens = TOKEN.findall(clause)
        words = [token.lower() for token in tokens]
        around = frozenset(_stem(word) for word in words if word not in STOP and not word[0].isdigit()) - _LIGHT_STEMS | binding
        for token, word, following in zip(tokens, words, [*words[1:], ""], strict=False):
            if word in COUNTS or word[0].isdigit():
                numbers.append(_number(word, following, around))
            elif word in NEGATIONS:
                denies = True
            elif word not in STOP and word not in SCALES and len(word) > 1:
                stem = _stem(word)
                order.append(stem)
                is_name = token[0].isupper()
                if is_name:
                    (subject if opening else names).add(stem)
                opening = opening and is_name
                weights[stem] = 0.1 if word in LIGHT else 1.2 if len(word) >= 8 else 1.0
    return _Reading(
        tuple(order), frozenset(order), frozenset(subject), frozenset(names - subject), weights, tuple(numbers), denies
    )


_read_claim = lru_cache(maxsize=4096)(_read)


def _normal(text: str) -> str:
    return re.sub(r"['’]s\b", "", re.sub(r"n['’]t\b", " not", fold(text)))


def _number(word: str, following: str, clause: frozenset[str]) -> _Number:
    """Slack: none for a year or a small count, else one unit of the last digit that is not zero, 5 % at most."""
    scale = SCALES.get(following, 1.0)
    if word in COUNTS:
        return _Number(COUNTS[word] * scale, 0.0, clause)
    digits = word.replace(",", "")
    value = float(digits)
    decimals = len(digits.partition(".")[2])
    if scale == 1.0 and not decimals and (value < 100 or ("," not in word and 1000 <= value <= 2100)):
        return _Number(value, 0.0, clause)
    zeros = 0 if decimals else len(digits) - len(digits.rstrip("0"))
    return _Number(value * scale, min(10.0 ** (zeros - decimals), 0.05 * value) * scale, clause)


# --- windows --------------------------------------------------------------------------------------------------------

LABEL = re.compile(r"^([A-Z][^.:;]{1,80}): ")
SENTENCE_END = re.compile(r"(?<=[;!?])\s+|(?<=[^\W\d_][^\W_]\.)\s+(?=[A-Z\"“(])")


@lru_cache(maxsize=64)
def _windows_of(passages_K: tuple[Passage, ...]) -> tuple["_Window", ...]:
    return tuple(window for passage in passages_K for window in _windows(passage))


@lru_cache(maxsize=16384)
def _windows(passage: Passage) -> tuple[_Window, ...]:
    """Every stretch of a passage on which a fact may stand; cached, because the responses to a prompt share evidence.

    A first line that ends in a colon is a heading: it holds for each line below, as the title does.
    """
    heading, _, rest = passage.text.partition("\n")
    about, body = (f"{passage.title} {heading}", rest) if rest and heading.endswith(":") else (passage.title, passage.text)
    lines = [list(_units(line)) for line in body.split("\n") if line.strip()]
    texts = [text for units in lines for text in units]
    texts += [(f"{a[0][0]} {b[0][0]}", "") for a, b in pairwise(lines) if not (LABEL.match(a[0][0]) or LABEL.match(b[0][0]))]
    title, whole = _read(about).stems, _read(body).stems
    return tuple(_window(passage.id, _read(*text), title, whole) for text in dict.fromkeys(texts))


def _window(passage_id: str, reading: _Reading, title: frozenset[str], whole: frozenset[str]) -> _Window:
    pairs = frozenset(pairwise(reading.order))
    return _Window(passage_id, reading.stems, title, whole, pairs, reading.numbers, reading.denies)


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


# --- comparing ------------------------------------------------------------------------------------------------------


def _compare(claim: _Reading, window: _Window) -> Features:
    missed = claim.stems - window.own - window.title
    plain = claim.stems - claim.names - claim.subject - window.title
    plain_total = math.fsum(claim.weights[stem] for stem in plain)
    plain_got = math.fsum(claim.weights[stem] for stem in plain - missed)
    names = claim.names & missed
    ordered = list(pairwise(claim.order))
    pairs = sum(pair in window.pairs for pair in ordered) / len(ordered) if ordered else 0.0
    numbers_missed, numbers_elsewhere = _compare_numbers(claim, window)
    return Features(
        plain=plain_got / plain_total if plain_total else 1.0,
        no_plain=float(plain_total > 0 and plain_got == 0),
        pairs=pairs,
        names_missed=min(3, len(names)),
        names_absent=min(3, len(names - window.passage)),
        subject_missed=len(claim.subject & missed) / len(claim.subject) if claim.subject else 0.0,
        numbers_missed=min(2, numbers_missed),
        numbers_elsewhere=min(2, numbers_elsewhere),
        opposites=float(any(not OPPOSITES[stem].isdisjoint(window.own) for stem in missed if stem in OPPOSITES)),
        denial=float(claim.denies != window.denies),
        plain_absent=math.fsum(claim.weights[stem] for stem in plain - window.passage) / plain_total if plain_total else 0.0,
        matched=math.log1p(len(claim.stems - missed - window.title)),
    )


def _compare_numbers(claim: _Reading, window: _Window) -> tuple[int, int]:
    missed = elsewhere = 0
    for number in claim.numbers:
        clauses = [other.clause for other in window.numbers if abs(number.value - other.value) <= number.slack]
        if not clauses:
            missed += 1
        elif all(claim.stems.isdisjoint(clause - window.title) for clause in clauses):
            elsewhere += 1
    return missed, elsewhere
