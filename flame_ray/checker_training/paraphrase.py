"""The same said in other words, or less of it: true of whatever the statement is true of. Pure.

In: a statement and a source of chance. Out: another statement that it entails, or None where there is nothing to reword. What
says less than a false statement may be true again: a false one is only restated.
"""

import random
import re
from collections.abc import Callable, Mapping

from flame_ray.rewards.factuality.check.vocabulary import KINDS, PHRASES, SYNONYMS, pairs

YEAR = re.compile(r"\b(?:1\d|20)\d\d\b")
COUNT = re.compile(r"(?<![-–/\d])\b\d{1,3}(?:,\d{3})+\b|(?<![-–/\d.,])\b\d{2,3}\b(?![-–/.,]\d)(?= [a-z])")
LIMIT = re.compile(
    r"\b(?:than|over|under|least|most|to|before|after|since|until|till|by|about|around|circa|c|nearly|almost|roughly"
    r"|approximately|some)\W+$",
    re.IGNORECASE,
)
TAIL = re.compile(r"^(.{25,}?), (?:which|who|where|and|with|including|known|such)\b.*$")
OPENING = re.compile(r"^(In|During|After|Before|From|At|On) ([^,]{3,40}), ([A-Z].{15,})$")
BRACKET = re.compile(r" \([^)]*\)")
_SAME = dict(pair for word, other in pairs(SYNONYMS) for pair in ((word, other), (other, word)))
_KIND = dict(pairs(KINDS))
Rewording = Callable[[str, random.Random], str | None]


def reworded(statement: str, draw: random.Random, changes: int = 3) -> str:
    """Up to `changes` of its parts said otherwise or less exactly; now and then none."""
    return _changed(statement, draw, [*_equal(), *_shorter(), kind, loose_year, bound], changes)


def shortened(statement: str, draw: random.Random) -> str:
    """Perhaps without a clause or a bracket."""
    return _changed(statement, draw, _shorter(), 1)


def restated(statement: str, draw: random.Random, changes: int = 2) -> str:
    """Up to `changes` of its parts in words that say as much: what is false stays false."""
    return _changed(statement, draw, _equal(), changes)


def _equal() -> list[Rewording]:
    return [same_words, same_words, phrase, opening_last]


def _shorter() -> list[Rewording]:
    return [shorter, unbracketed]


def _changed(statement: str, draw: random.Random, kinds: list[Rewording], changes: int) -> str:
    for change in draw.sample(kinds, min(len(kinds), draw.randint(0, changes))):
        statement = change(statement, draw) or statement
    return statement


def same_words(statement: str, draw: random.Random) -> str | None:
    return exchanged(statement, _SAME, draw)


def kind(statement: str, draw: random.Random) -> str | None:
    """`She was a chemist` -> `She was a scientist`; a denial would not stay true."""
    return None if re.search(r"\b(?:not|no|never|only|first)\b", statement) else exchanged(statement, _KIND, draw)


def phrase(statement: str, draw: random.Random) -> str | None:
    found = [old for old in PHRASES if re.search(old, statement)]
    return re.sub(old := draw.choice(found), PHRASES[old], statement, count=1) if found else None


def shorter(statement: str, draw: random.Random) -> str | None:
    """Without its last clause."""
    match = TAIL.match(statement)
    return match[1] if match else None


def opening_last(statement: str, draw: random.Random) -> str | None:
    """`In 1891, she moved` -> `She moved in 1891`."""
    match = OPENING.match(statement)
    return f"{match[3]} {match[1].lower()} {match[2]}" if match else None


def loose_year(statement: str, draw: random.Random) -> str | None:
    """A year as its decade, its century, or as later or earlier than another year."""
    match = re.search(rf"\bin ({YEAR.pattern})(?!\s*[-–])", statement)
    return None if match is None else _at(statement, match, draw.choice(loose_years(int(match[1]), draw)))


def loose_years(year: int, draw: random.Random) -> tuple[str, ...]:
    """What is true of something that was in that year."""
    away = draw.randint(2, 40)
    decade, century = f"in the {year // 10 * 10}s", f"in the {ordinal((year - 1) // 100 + 1)} century"
    return (decade, century, f"after {year - away}", f"before {year + away}")


def bound(statement: str, draw: random.Random) -> str | None:
    """A count as more or fewer than another, rounder one."""
    match = COUNT.search(statement)
    if match is None or limited(statement, match):
        return None
    value = int(match[0].replace(",", ""))
    lower, upper = (rounded(value * factor) for factor in (draw.uniform(0.6, 0.95), draw.uniform(1.05, 1.6)))
    words = [f"{word} {lower:,}" for word in ("more than", "over", "at least") if lower < value]
    words += [f"{word} {upper:,}" for word in ("fewer than", "less than", "under") if upper > value]
    return _at(statement, match, draw.choice(words)) if words else None


def limited(statement: str, figure: re.Match[str]) -> bool:
    """Whether the figure is a limit or rough: `more than 500`, `after 1900`, `about 20`."""
    return LIMIT.search(statement[: figure.start()]) is not None


def unbracketed(statement: str, draw: random.Random) -> str | None:
    return BRACKET.sub("", statement) if BRACKET.search(statement) else None


def exchanged(statement: str, table: Mapping[str, str], draw: random.Random) -> str | None:
    """One word of the table in place of another; None where there is none.

    >>> exchanged("He was a singer", {"singer": "actor"}, random.Random(0))
    'He was an actor'
    """
    words = [word for word in dict.fromkeys(re.findall(r"[\w-]+", statement)) if word in table]
    if not words:
        return None
    word = draw.choice(words)
    return re.sub(rf"(\b[Aa]n? )?(?<![\w-]){word}(?![\w-])", lambda match: _article(match[1], table[word]), statement, count=1)


def _article(article: str | None, word: str) -> str:
    """The word after `a` or `an`, whichever its first letter asks for."""
    return word if not article else f"{article[0]}{'n' * (word[0] in 'aeiouAEIO')} {word}"


def rounded(value: float) -> int:
    """To two significant digits."""
    digits = max(0, len(str(int(value))) - 2)
    return round(int(value) / 10**digits) * 10**digits


def ordinal(number: int) -> str:
    """
    >>> [ordinal(number) for number in (1, 12, 20, 21)]
    ['1st', '12th', '20th', '21st']
    """
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _at(statement: str, match: re.Match[str], words: str) -> str:
    return statement[: match.start()] + words + statement[match.end() :]
