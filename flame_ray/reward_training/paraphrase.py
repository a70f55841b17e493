"""Rewrites a statement so that it says the same, or less: a true statement stays true.

A false statement that says less may become true, so false ones are only restated. Each rewrite returns None if it finds nothing
to change.
"""

import random
import re
from collections.abc import Callable, Mapping

from flame_ray.reward_training.vocabulary import KINDS, PHRASES, SYNONYMS, pairs

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
Rewrite = Callable[[str, random.Random], str | None]


def paraphrase(statement: str, draw: random.Random, changes: int = 3) -> str:
    """Rewrites up to `changes` of its parts in other words or less exactly, and sometimes none."""
    return _rewrite(statement, draw, [*_equal_meaning(), *_less_meaning(), hypernym, loose_year, bound], changes)


def shorten(statement: str, draw: random.Random) -> str:
    """Removes a clause or brackets, or nothing."""
    return _rewrite(statement, draw, _less_meaning(), 1)


def restate(statement: str, draw: random.Random) -> str:
    """Rewrites up to two of its parts in words that say just as much, so that a false statement stays false."""
    return _rewrite(statement, draw, _equal_meaning(), 2)


def _equal_meaning() -> list[Rewrite]:
    return [synonym, synonym, set_phrase, opening_moved]


def _less_meaning() -> list[Rewrite]:
    return [without_last_clause, without_brackets]


def _rewrite(statement: str, draw: random.Random, rewrites: list[Rewrite], changes: int) -> str:
    for rewrite in draw.sample(rewrites, min(len(rewrites), draw.randint(0, changes))):
        statement = rewrite(statement, draw) or statement
    return statement


def synonym(statement: str, draw: random.Random) -> str | None:
    return replace_word(statement, _SAME, draw)


def hypernym(statement: str, draw: random.Random) -> str | None:
    """`She was a chemist` -> `She was a scientist`; a negation is left alone, because it would not stay true."""
    return None if re.search(r"\b(?:not|no|never|only|first)\b", statement) else replace_word(statement, _KIND, draw)


def set_phrase(statement: str, draw: random.Random) -> str | None:
    found = [old for old in PHRASES if re.search(old, statement)]
    return re.sub(old := draw.choice(found), PHRASES[old], statement, count=1) if found else None


def without_last_clause(statement: str, draw: random.Random) -> str | None:
    """Removes the last clause."""
    match = TAIL.match(statement)
    return match[1] if match else None


def opening_moved(statement: str, draw: random.Random) -> str | None:
    """`In 1891, she moved` -> `She moved in 1891`."""
    match = OPENING.match(statement)
    return f"{match[3]} {match[1].lower()} {match[2]}" if match else None


def loose_year(statement: str, draw: random.Random) -> str | None:
    """A year as its decade or century, or as after or before another year."""
    match = re.search(rf"\bin ({YEAR.pattern})(?!\s*[-–])", statement)
    return None if match is None else put(statement, match, draw.choice(loose_year_phrases(int(match[1]), draw)))


def loose_year_phrases(year: int, draw: random.Random) -> tuple[str, ...]:
    """Phrases that are true of something that happened in that year."""
    away = draw.randint(2, 40)
    decade, century = f"in the {year // 10 * 10}s", f"in the {ordinal((year - 1) // 100 + 1)} century"
    return (decade, century, f"after {year - away}", f"before {year + away}")


def bound(statement: str, draw: random.Random) -> str | None:
    """A count as more or fewer than a rounder one."""
    match = COUNT.search(statement)
    if match is None or limited(statement, match):
        return None
    value = int(match[0].replace(",", ""))
    lower, upper = (round_to_two_digits(value * factor) for factor in (draw.uniform(0.6, 0.95), draw.uniform(1.05, 1.6)))
    words = [f"{word} {lower:,}" for word in ("more than", "over", "at least") if lower < value]
    words += [f"{word} {upper:,}" for word in ("fewer than", "less than", "under") if upper > value]
    return put(statement, match, draw.choice(words)) if words else None


def limited(statement: str, figure: re.Match[str]) -> bool:
    """Whether the figure is a limit or an estimate: `more than 500`, `after 1900`, `about 20`."""
    return LIMIT.search(statement[: figure.start()]) is not None


def without_brackets(statement: str, draw: random.Random) -> str | None:
    return BRACKET.sub("", statement) if BRACKET.search(statement) else None


def replace_word(statement: str, table: Mapping[str, str], draw: random.Random) -> str | None:
    """Replaces one word that the table has; None if there is none.

    >>> replace_word("He was a singer", {"singer": "actor"}, random.Random(0))
    'He was an actor'
    """
    words = [word for word in dict.fromkeys(re.findall(r"[\w-]+", statement)) if word in table]
    if not words:
        return None
    word = draw.choice(words)
    return re.sub(rf"(\b[Aa]n? )?(?<![\w-]){word}(?![\w-])", lambda match: _article(match[1], table[word]), statement, count=1)


def _article(article: str | None, word: str) -> str:
    """The word, after `a` or `an` as its first letter requires."""
    return word if not article else f"{article[0]}{'n' * (word[0] in 'aeiouAEIO')} {word}"


def round_to_two_digits(value: float) -> int:
    """Rounds to two significant digits."""
    digits = max(0, len(str(int(value))) - 2)
    return round(int(value) / 10**digits) * 10**digits


def ordinal(number: int) -> str:
    """
    >>> [ordinal(number) for number in (1, 12, 20, 21)]
    ['1st', '12th', '20th', '21st']
    """
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def put(statement: str, match: re.Match[str], words: str) -> str:
    """The statement with `words` in place of the match."""
    return statement[: match.start()] + words + statement[match.end() :]
