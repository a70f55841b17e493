"""A statement with one thing changed, so that its passage no longer bears it out. Pure.

In: a true statement, what stands around it, and a source of chance. Out: a false one of the same build: a name of the same
passage or another one in place of a name, two names exchanged, a figure, an opposite, another of its kind, a denial.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from flame_ray.checker_training.paraphrase import COUNT, YEAR, exchanged, limited, rounded
from flame_ray.rewards.factuality.check.vocabulary import OPPOSITES, SIBLINGS, VERBS, families, pairs

NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][\w'’-]+(?: (?:of |the |de |von |van )?[A-Z][\w'’-]+)*")
NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
AUXILIARY = re.compile(r"\b(is|was|are|were|has|had|can|will)\b(?! not\b)")
_BASE = dict(pairs(VERBS))
VERB = re.compile(rf"^(.{{3,40}}?) ({'|'.join(_BASE)})\b")
LIFE = re.compile(r"\b(?:was born|died)(?= (?:in|on|at) )")
DENIALS = ("did not {}", "refused to {}", "failed to {}", "was unable to {}", "did not {}")
_OPPOSITE = {a: b for pair in pairs(OPPOSITES) for a, b in (pair, reversed(pair))}
_FAMILY = {word: family for family in families(SIBLINGS) for word in family}


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a statement: its passage, names of the whole corpus, and what other articles say their topic is."""

    passage: str
    names: Sequence[str]
    classes: Sequence[str]


Change = Callable[[str, Around, random.Random], str | None]


def falsified(statement: str, around: Around, draw: random.Random) -> str | None:
    """The statement with one thing changed; None where there is nothing to change."""
    changes: list[Change] = [
        name,
        name,
        name,
        roles,
        number,
        number,
        past,
        opposite,
        opposite,
        sibling,
        sibling,
        denial,
        class_,
    ]
    draw.shuffle(changes)
    found = (change(statement, around, draw) for change in changes)
    return next((twin for twin in found if twin is not None and twin != statement), None)


def name(statement: str, around: Around, draw: random.Random) -> str | None:
    """Two times in three a name of the same passage: that it stands there tells nothing."""
    places = list(NAME.finditer(statement))
    if not places:
        return None
    place = draw.choice(places)
    near = [each for each in NAME.findall(around.passage) if each not in statement and place[0] not in each]
    far = [each for each in draw.sample(around.names, min(20, len(around.names))) if each not in around.passage]
    other = draw.choice(near) if near and draw.random() < 2 / 3 else draw.choice(far) if far else None
    return None if other is None else _put(statement, place, other)


def roles(statement: str, around: Around, draw: random.Random) -> str | None:
    """Two of the statement's names in each other's place, where a verb or a preposition gives them different parts."""
    places = list(re.finditer(r"\b[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*", statement))
    neighbours = [(a, b) for a, b in pairwise(places) if _apart(statement[a.end() : b.start()])]
    if not neighbours:
        return None
    a, b = draw.choice(neighbours)
    return statement[: a.start()] + b[0] + statement[a.end() : b.start()] + a[0] + statement[b.end() :]


def number(statement: str, around: Around, draw: random.Random) -> str | None:
    """Another figure; past a limit, as in `more than 500`, another one may be as true."""
    places = [place for place in NUMBER.finditer(statement) if not limited(statement, place)]
    if not places:
        return None
    place = draw.choice(places)
    near = [each for each in NUMBER.findall(around.passage) if len(each) == len(place[0]) and each not in statement]
    other = draw.choice(near) if near and draw.random() < 0.5 else other_number(place[0], draw)
    return None if other == place[0] else _put(statement, place, other)


def past(statement: str, around: Around, draw: random.Random) -> str | None:
    """A year or a count on the wrong side of another: `before 1850`, `more than 900`."""
    if match := re.search(rf"\bin ({YEAR.pattern})(?!\s*[-–])", statement):
        year, away = int(match[1]), draw.randint(3, 60)
        wrong = (
            f"before {year - away}",
            f"after {year + away}",
            f"in the {(year + draw.choice((-20, -10, 10, 20))) // 10 * 10}s",
        )
        return _put(statement, match, draw.choice(wrong))
    if (match := COUNT.search(statement)) is None or limited(statement, match):
        return None
    value = int(match[0].replace(",", ""))
    words = (f"more than {rounded(value * draw.uniform(1.1, 2)):,}", f"fewer than {rounded(value * draw.uniform(0.5, 0.9)):,}")
    return _put(statement, match, draw.choice(words))


def opposite(statement: str, around: Around, draw: random.Random) -> str | None:
    if (match := LIFE.search(statement)) and "century" not in statement and draw.random() < 0.5:
        return _put(statement, match, "died" if match[0] == "was born" else "was born")
    return exchanged(statement, _OPPOSITE, draw)


def sibling(statement: str, around: Around, draw: random.Random) -> str | None:
    """Another of the same kind, which the passage does not name: a poet in place of a painter."""
    words = [word for word in re.findall(r"[\w-]+", statement) if word in _FAMILY]
    if not words:
        return None
    word = draw.choice(words)
    others = [each for each in _FAMILY[word] if each not in statement and each.lower() not in around.passage.lower()]
    return exchanged(statement, {word: draw.choice(others)}, draw) if others else None


def denial(statement: str, around: Around, draw: random.Random) -> str | None:
    if (match := VERB.match(statement)) is not None:
        denied = draw.choice([f"never {match[2]}", *(each.format(_BASE[match[2]]) for each in DENIALS)])
        return f"{match[1]} {denied}{statement[match.end() :]}"
    if (match := AUXILIARY.search(statement)) is None:
        return None
    return f"{statement[: match.end()]} {draw.choice(('not', 'not', 'never', 'not'))}{statement[match.end() :]}"


def class_(statement: str, around: Around, draw: random.Random) -> str | None:
    """What another article says that its topic is."""
    match = re.match(r"^(.{2,50}?) (?:is|was|are|were) (?:an?|the) ", statement)
    others = [each for each in draw.sample(around.classes, min(8, len(around.classes))) if not _known(each, around.passage)]
    return f"{match[1]} {others[0]}" if match and others else None


def other_number(number: str, draw: random.Random) -> str:
    value = float(number.replace(",", "")) if number.replace(",", "").replace(".", "", 1).isdigit() else 0.0
    if YEAR.fullmatch(number):
        return str(int(value) + draw.choice((-100, -30, -20, -10, -7, -3, -2, -1, 1, 2, 3, 5, 10, 20, 50)))
    if not value.is_integer():
        return f"{value * draw.choice((0.5, 0.7, 1.4, 2)):.1f}"
    return f"{max(1, int(value * draw.choice((0.3, 0.5, 0.7, 1.5, 2, 3)) + draw.choice((0, 1)))):,}"


def _apart(between: str) -> bool:
    """Whether what stands between two names sets them apart: `A and B` says the same as `B and A`."""
    return len(between.split()) > 1 and not re.fullmatch(r"\W*(?:and|or|with)\W*", between)


def _known(class_: str, passage: str) -> bool:
    return any(word.lower() in passage.lower() for word in class_.split()[2:] if len(word) > 3)


def _put(statement: str, place: re.Match[str], other: str) -> str:
    return statement[: place.start()] + other + statement[place.end() :]
