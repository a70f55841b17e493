"""Extracts what the lexical checker compares: stems, names and figures of a claim, and of every window of a passage."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import Stemmer

from flame_ray.rewards.factuality.check.figures import SCALES, Figure, figures
from flame_ray.rewards.factuality.check.one_form import in_one_form
from flame_ray.rewards.factuality.text import fold
from flame_ray.types import Passage


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP = _words(
    """a an the of in on at to for from by with and or but as that this these those its it his her their they he she who
    which whom whose is are was were be been being has have had do does did will would can could may might shall should
    than then there here so if when where while also into over under about up out off it's s"""
)
# Words that say little: they weigh less, and do not tie a number to its clause.
LIGHT = _words(
    """located situated known called named use used including include includes country nation people person some many
    several various more most other such very well one new large small great main major approximately around make made
    become became part home km sq square kilometer kilometers mile miles meter meters percent est total year years long"""
)
NEGATIONS = _words("not no never none neither nor without cannot lack lacks lacked failed fails")
JOINED = _words("and or")
OF_NAMES = _words("of the")  # stand within a name
OPPOSITE_PAIRS = """north/south east/west northern/southern eastern/western northeast/southwest northwest/southeast
    increase/decrease rise/fall highest/lowest largest/smallest biggest/smallest first/last before/after male/female
    majority/minority import/export urban/rural win/lose won/lost birth/death open/closed older/younger more/fewer
    more/less best/worst early/late above/below legal/illegal begin/end began/ended start/finish success/failure
    faster/slower bigger/smaller higher/lower rose/fell grew/fell increased/fell grew/shrank grew/declined rose/declined
    increased/declined gained/lost longer/shorter taller/shorter heavier/lighter warmer/colder warmer/cooler richer/poorer
    stronger/weaker better/worse wider/narrower deeper/shallower cheaper/dearer accept/reject accepted/rejected allow/forbid
    allowed/banned true/false buy/sell bought/sold passed/failed arrived/left ally/enemy safe/dangerous rich/poor strong/weak
    deep/shallow wide/narrow fast/slow light/heavy guilty/innocent public/private minimum/maximum
    alive/dead hot/cold wet/dry long/short safer/riskier safe/unsafe expensive/cheap toxic/nontoxic legal/banned
    reduce/increase reduces/increases reduced/increased lowers/raises lower/raise lowered/raised reduces/raises
    lowers/increases improve/worsen improved/worsened improves/worsens loved/hated love/hate retreated/advanced retreat/advance
    rejected/approved reject/approve convicted/acquitted positive/negative since/until since/before until/after inside/outside
    entered/left same/different present/absent victory/defeat hired/fired married/divorced added/removed created/destroyed
    built/demolished always/rarely often/rarely often/seldom morning/evening summer/winter spring/autumn day/night
    mother/father brother/sister husband/wife son/daughter children/adults boys/girls men/women slowest/fastest edible/poisonous
    cheapest/dearest hottest/coldest youngest/oldest shortest/longest shortest/tallest poorest/richest nearest/farthest
    upheld/overturned survived/died joined/left few/all few/many stable/unstable known/unknown likely/unlikely paid/unpaid
    successful/unsuccessful married/unmarried"""
IRREGULAR = """won:win wrote:write written:write built:build began:begin begun:begin became:become bought:buy brought:bring
    caught:catch chose:choose chosen:choose fought:fight flew:fly flown:fly gave:give given:give grew:grow grown:grow held:hold
    kept:keep knew:know led:lead lost:lose made:make met:meet paid:pay ran:run rose:rise risen:rise sang:sing sold:sell
    sent:send
    spoke:speak spoken:speak spent:spend stole:steal stolen:steal swam:swim taught:teach took:take taken:take thought:think
    threw:throw thrown:throw wore:wear drew:draw drawn:draw drove:drive driven:drive ate:eat eaten:eat fell:fall fallen:fall
    broke:break broken:break sank:sink sunk:sink sought:seek beat:beat beaten:beat hid:hide hidden:hide shot:shoot
    length:long height:high tall:high width:wide depth:deep"""
REGULAR = dict(pair.split(":") for pair in IRREGULAR.split())
# Words that say what kind of thing a name names: `the Danube`, `the Danube River`.
KINDS = _words("river lake mount mountain sea ocean island islands city town county province")
NEGATED = re.compile(r"(?:un|in|im|il|ir|dis|non|mis)([^\W\d_]{5,})")  # `ineffective`, `unlocked`
TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
STEM_LENGTH = 6  # joins Brazil and Brazilian, president and presidential, but also Mauritania and Mauritius
_stemmer = Stemmer.Stemmer("english")


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return _stemmer.stemWord(REGULAR.get(word, word))[:STEM_LENGTH]


@lru_cache(maxsize=65536)
def _bare(word: str) -> str:
    """The stem of what a word negates: of `effective` for `ineffective`; empty if it has no such prefix."""
    return _stem(found[1]) if (found := NEGATED.fullmatch(word)) else ""


_LIGHT_STEMS = frozenset(map(_stem, LIGHT))


def _opposites() -> dict[str, frozenset[str]]:
    pairs = [tuple(map(_stem, pair.split("/"))) for pair in OPPOSITE_PAIRS.split()]
    words = {word for pair in pairs for word in pair}
    return {word: frozenset(a if b == word else b for a, b in pairs if word in (a, b)) for word in words}


OPPOSITES = _opposites()


@dataclass(frozen=True, slots=True)
class Number:
    """A figure, and the stems of the words in its clause."""

    figure: Figure
    clause: frozenset[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Stems of `Gold is heavier than silver`: of each side without those of the other, and of the word that compares them."""

    left: frozenset[str]
    right: frozenset[str]
    how: frozenset[str]


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """What is compared of a text."""

    stems: frozenset[str]
    subject: frozenset[str]  # the name at the start of the text
    names: frozenset[str]  # all other names
    weights: dict[str, float]  # of each stem
    numbers: tuple[Number, ...]
    denies: bool
    words: str = ""  # all words in order, to find them again as they stand
    bare: tuple[tuple[str, str], ...] = ()  # the stem of each word that negates another by its prefix, and the stem of that
    comparison: "Comparison | None" = None
    value: frozenset[str] = frozenset()  # of a statement `The capital of Peru is Lima`: its last words


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a passage that may support a fact."""

    passage_id: str
    own: frozenset[str]  # stems of the window
    title: frozenset[str]  # stems of the passage's title and heading
    passage: frozenset[str]  # stems of the whole passage
    is_prose: bool  # False for a line `Field: value`
    numbers: tuple[Number, ...]
    denies: bool
    words: str  # all words in order
    bare: tuple[tuple[str, str], ...] = ()
    comparison: Comparison | None = None
    is_stretch: bool = False  # several sentences


CLAUSE = re.compile(r"[,;:(]\s+|[()]")


def _features(text: str, label: str = "") -> TextFeatures:
    """`label` is the `Field: ` of a record's line, whose words belong to every number in the line."""
    subject: set[str] = set()
    names: set[str] = set()
    weights: dict[str, float] = {}
    numbers: list[Number] = []
    bare: list[tuple[str, str]] = []
    denies, opening = False, True
    binding = _binding(label)
    normal = _normal(text)
    for part in CLAUSE.split(normal):
        clause = _clause(part)
        denies = denies or clause.denies
        numbers += [Number(figure, clause.around | binding) for figure in clause.figures]
        for word in clause.words:
            if word is None:
                opening = opening and not subject
                continue
            if word.bare:
                bare.append((word.stem, word.bare))
            if word.is_name and not word.is_kind:
                (subject if opening else names).add(word.stem)
            opening = opening and word.is_name
            weights[word.stem] = word.weight
        opening = opening and not subject
    return TextFeatures(
        frozenset(weights),
        frozenset(subject),
        frozenset(names - subject),
        weights,
        tuple(numbers),
        denies,
        _in_order(normal),
        tuple(bare),
        _comparison(normal),
    )


THAN = re.compile(
    r"^(?P<left>[^.;]*?)\b(?P<how>(?:more|less|fewer)\b(?: [a-z]+)??|(?!other|rather)[a-z]{2,}er|better"
    r"|worse)(?P<what>(?: [a-z]+){0,3}?)"
    r" than (?P<right>[^.;,]*)"
)


def _comparison(normal: str) -> Comparison | None:
    found = THAN.match(normal) if " than " in normal else None
    if not found:
        return None
    left, right = (_plain_stems(found[part]) for part in ("left", "right"))
    return Comparison(
        left - right, right - left, _plain_stems(f"{found['how']} {found['what']}") or frozenset((_stem(found["how"]),))
    )


def _plain_stems(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in map(str.lower, TOKEN.findall(text)) if word not in STOP)


@lru_cache(maxsize=4096)
def _binding(label: str) -> frozenset[str]:
    return _features(label).stems - _LIGHT_STEMS if label else frozenset()


class _Word(NamedTuple):
    """A word with content."""

    stem: str
    is_name: bool
    weight: float
    bare: str = ""  # the stem of what it negates by its prefix
    is_kind: bool = False  # it says what kind of thing a name names


class _Clause(NamedTuple):
    """What a clause adds to the features of its text. None stands for words of function, at which a name at the start ends."""

    figures: tuple[Figure, ...]
    around: frozenset[str]  # stems that tie its figures to it
    words: tuple[_Word | None, ...]
    denies: bool


@lru_cache(maxsize=8192)
def _clause(text: str) -> _Clause:
    """Cached, because a clause stands in several windows: in its line, its sentence, the item, and among neighbours."""
    found, rest = figures(text)
    tokens = TOKEN.findall(rest)
    lower = [token.lower() for token in tokens]
    around = frozenset(_stem(word) for word in lower if word not in STOP) - _LIGHT_STEMS if found else frozenset()
    words: list[_Word | None] = []
    for before, token, word in zip(["", *tokens], tokens, lower, strict=False):
        if word in NEGATIONS:
            continue
        if word in JOINED or (word in STOP and word not in OF_NAMES):
            words.append(None)
        elif (word not in STOP and word not in SCALES and len(word) > 1) or _is_letter(token, before):
            is_kind = token[0].isupper() and word in KINDS
            weight = 0.1 if word in LIGHT or is_kind else 1.2 if len(word) >= 8 else 1.0
            words.append(_Word(_stem(word), token[0].isupper(), weight, _bare(word), is_kind))
    return _Clause(tuple(found), around, tuple(words), not NEGATIONS.isdisjoint(lower))


def _in_order(normal: str) -> str:
    return f" {' '.join(IN_ORDER.findall(normal.lower()))} "


IN_ORDER = re.compile(r"[^\W_]+")


def _is_letter(token: str, before: str) -> bool:
    """Whether a token is a letter that names something: `vitamin C`. The initial of a name follows a name."""
    return len(token) == 1 and token.isupper() and token not in ("A", "I") and before.islower()


VALUED = re.compile(
    r"^The (?:\w+ ){1,3}of (?:the )?[A-Z][\w' ]*? (?:is|are|was|were|include|includes) (?:the |an? )?(\S+(?: \S+){0,2})$"
)


@lru_cache(maxsize=4096)
def claim_features(text: str) -> TextFeatures:
    found = _features(text)
    valued = VALUED.match(text)
    return replace(found, value=_features(valued[1].lower()).stems & found.stems) if valued else found


def _normal(text: str) -> str:
    text = fold(in_one_form(text))
    text = text.replace("non-", "non") if "non-" in text else text
    return re.sub(r"['’]s\b", "", re.sub(r"n['’]t\b", " not", text)) if "'" in text or "’" in text else text


# --- windows --------------------------------------------------------------------------------------------------------

MAX_LINES = 6  # lines of prose in one window
LABEL = re.compile(r"^([A-Z][^.:;]{1,80}): ")
SENTENCE_END = re.compile(r"(?<=[;!?])\s+|(?<=[^\W\d_][^\W_]\.)\s+(?=[A-Z\"“(])")


class Windows:
    """All windows of some passages, found by what they have beside the title."""

    def __init__(self, passages_K: tuple[Passage, ...]):
        self.all = tuple(window for passage in passages_K for window in _windows(passage))
        self._by_stem: dict[str, list[int]] = {}
        for place, window in enumerate(self.all):
            for stem in window.own - window.title:
                self._by_stem.setdefault(stem, []).append(place)

    def shared(self, stems: frozenset[str]) -> dict[int, list[str]]:
        """By the place of a window, those of the stems that it has and its title has not; only of windows that have any."""
        found: dict[int, list[str]] = {}
        for stem in stems:
            for place in self._by_stem.get(stem, ()):
                found.setdefault(place, []).append(stem)
        return found


@lru_cache(maxsize=64)
def windows_of(passages_K: tuple[Passage, ...]) -> Windows:
    """Cached, because all facts of a prompt share their evidence."""
    return Windows(passages_K)


@lru_cache(maxsize=16384)
def _windows(passage: Passage) -> tuple[Window, ...]:
    """Every window of a passage. Cached, because the responses to a prompt share evidence.

    A first line that ends in a colon is a heading: like the title, it holds for every line below.
    """
    heading, _, rest = passage.text.partition("\n")
    about, body = (f"{passage.title} {heading}", rest) if rest and heading.endswith(":") else (passage.title, passage.text)
    lines = [list(_units(line)) for line in body.split("\n") if line.strip()]
    texts = [text for units in lines for text in units]
    stretches = dict.fromkeys(_neighbours(lines)) | dict.fromkeys(
        units[0] for units in lines if len(units) > 1 and not units[0][1]
    )
    title, whole = _features(about).stems, _features(body).stems
    return tuple(_window(passage.id, text, title, whole, text in stretches) for text in dict.fromkeys([*texts, *stretches]))


def _neighbours(lines: Sequence[Sequence[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    """Neighbouring lines of prose together, because a long claim needs several sentences."""
    for is_prose, run in groupby(lines, lambda units: LABEL.match(units[0][0]) is None):
        prose = [units[0][0] for units in run] if is_prose else []
        for size in range(2, MAX_LINES + 1):
            yield from ((" ".join(prose[i : i + size]), "") for i in range(len(prose) - size + 1))


def _window(passage_id: str, text: tuple[str, str], title: frozenset[str], whole: frozenset[str], is_stretch: bool) -> Window:
    found = _features(*text)
    return Window(
        passage_id,
        found.stems,
        title,
        whole,
        LABEL.match(text[0]) is None,
        found.numbers,
        found.denies,
        found.words,
        found.bare,
        None if is_stretch else found.comparison,
        is_stretch,
    )


def _units(line: str) -> Iterator[tuple[str, str]]:
    """A line, its sentences, and the items of a labelled list, each with the line's label.

    Results and parentheses are removed from a whole list, because each belongs to one item and not to its neighbours.
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
