"""Changes one thing in a true statement, so that its passage no longer supports it.

The change is another name, two names swapped, another figure, an opposite, another thing of the same kind, a negation,
or another description of the topic. Each change returns None if it finds nothing to change.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from flame_ray.reward_training.paraphrase import COUNT, YEAR, limited, put, replace_word, round_to_two_digits
from flame_ray.reward_training.vocabulary import OPPOSITES, SIBLINGS, VERBS, families, pairs

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
class Context:
    """Where a statement comes from."""

    passage: str
    names: Sequence[str]  # of the whole corpus
    descriptions: Sequence[str]  # what articles of the corpus say that their topics are: `is a film`


Change = Callable[[str, Context, random.Random], str | None]


def perturb(statement: str, context: Context, draw: random.Random) -> str | None:
    """The statement with one thing changed; None if there is nothing to change."""
    changes: list[Change] = [
        *(name, name, name, swapped_names, number, number, wrong_side),
        *(opposite, opposite, sibling, sibling, negation, description),
    ]
    draw.shuffle(changes)
    found = (change(statement, context, draw) for change in changes)
    return next((changed for changed in found if changed is not None and changed != statement), None)


def name(statement: str, context: Context, draw: random.Random) -> str | None:
    """Another name, two times in three of the same passage, so that standing in the passage proves nothing."""
    places = list(NAME.finditer(statement))
    if not places:
        return None
    place = draw.choice(places)
    near = [each for each in NAME.findall(context.passage) if each not in statement and place[0] not in each]
    far = [each for each in draw.sample(context.names, min(20, len(context.names))) if each not in context.passage]
    other = draw.choice(near) if near and draw.random() < 2 / 3 else draw.choice(far) if far else None
    return None if other is None else put(statement, place, other)


def swapped_names(statement: str, context: Context, draw: random.Random) -> str | None:
    """Swaps two of the statement's names, if a verb or a preposition gives them different roles."""
    places = list(re.finditer(r"\b[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*", statement))
    neighbours = [(a, b) for a, b in pairwise(places) if _distinguishes(statement[a.end() : b.start()])]
    if not neighbours:
        return None
    a, b = draw.choice(neighbours)
    return statement[: a.start()] + b[0] + statement[a.end() : b.start()] + a[0] + statement[b.end() :]


def number(statement: str, context: Context, draw: random.Random) -> str | None:
    """Another figure. A limit, as in `more than 500`, stays, because another one may also be true."""
    places = [place for place in NUMBER.finditer(statement) if not limited(statement, place)]
    if not places:
        return None
    place = draw.choice(places)
    near = [each for each in NUMBER.findall(context.passage) if len(each) == len(place[0]) and each not in statement]
    other = draw.choice(near) if near and draw.random() < 0.5 else other_number(place[0], draw)
    return None if other == place[0] else put(statement, place, other)


def wrong_side(statement: str, context: Context, draw: random.Random) -> str | None:
    """A year or a count on the wrong side of a limit: `before 1850`, `more than 900`."""
    if match := re.search(rf"\bin ({YEAR.pattern})(?!\s*[-–])", statement):
        year, away = int(match[1]), draw.randint(3, 60)
        wrong = (
            f"before {year - away}",
            f"after {year + away}",
            f"in the {(year + draw.choice((-20, -10, 10, 20))) // 10 * 10}s",
        )
        return put(statement, match, draw.choice(wrong))
    if (match := COUNT.search(statement)) is None or limited(statement, match):
        return None
    value = int(match[0].replace(",", ""))
    higher, lower = (round_to_two_digits(value * factor) for factor in (draw.uniform(1.1, 2), draw.uniform(0.5, 0.9)))
    return put(statement, match, draw.choice((f"more than {higher:,}", f"fewer than {lower:,}")))


def opposite(statement: str, context: Context, draw: random.Random) -> str | None:
    if (match := LIFE.search(statement)) and "century" not in statement and draw.random() < 0.5:
        return put(statement, match, "died" if match[0] == "was born" else "was born")
    return replace_word(statement, _OPPOSITE, draw)


def sibling(statement: str, context: Context, draw: random.Random) -> str | None:
    """Another thing of the same kind, which the passage does not name: a poet in place of a painter."""
    words = [word for word in re.findall(r"[\w-]+", statement) if word in _FAMILY]
    if not words:
        return None
    word = draw.choice(words)
    others = [each for each in _FAMILY[word] if each not in statement and each.lower() not in context.passage.lower()]
    return replace_word(statement, {word: draw.choice(others)}, draw) if others else None


def negation(statement: str, context: Context, draw: random.Random) -> str | None:
    if (match := VERB.match(statement)) is not None:
        denied = draw.choice([f"never {match[2]}", *(each.format(_BASE[match[2]]) for each in DENIALS)])
        return f"{match[1]} {denied}{statement[match.end() :]}"
    if (match := AUXILIARY.search(statement)) is None:
        return None
    return f"{statement[: match.end()]} {draw.choice(('not', 'not', 'never', 'not'))}{statement[match.end() :]}"


def description(statement: str, context: Context, draw: random.Random) -> str | None:
    """The description of another article's topic."""
    match = re.match(r"^(.{2,50}?) (?:is|was|are|were) (?:an?|the) ", statement)
    drawn = draw.sample(context.descriptions, min(8, len(context.descriptions)))
    others = [each for each in drawn if not _known(each, context.passage)]
    return f"{match[1]} {others[0]}" if match and others else None


def other_number(number: str, draw: random.Random) -> str:
    value = float(number.replace(",", "")) if number.replace(",", "").replace(".", "", 1).isdigit() else 0.0
    if YEAR.fullmatch(number):
        return str(int(value) + draw.choice((-100, -30, -20, -10, -7, -3, -2, -1, 1, 2, 3, 5, 10, 20, 50)))
    if not value.is_integer():
        return f"{value * draw.choice((0.5, 0.7, 1.4, 2)):.1f}"
    return f"{max(1, int(value * draw.choice((0.3, 0.5, 0.7, 1.5, 2, 3)) + draw.choice((0, 1)))):,}"


def _distinguishes(between: str) -> bool:
    """Whether the words between two names give them different roles: `A and B` says the same as `B and A`."""
    return len(between.split()) > 1 and not re.fullmatch(r"\W*(?:and|or|with)\W*", between)


def _known(description: str, passage: str) -> bool:
    return any(word.lower() in passage.lower() for word in description.split()[2:] if len(word) > 3)
