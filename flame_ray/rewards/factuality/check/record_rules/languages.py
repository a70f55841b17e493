"""Reads from a record which languages a country has, which are official, and how many of its people speak one."""

import math
import re
from collections.abc import Iterator, Sequence

from flame_ray.rewards.factuality.check.record_rules.religions import BRACKETS, ITEM, percent
from flame_ray.rewards.factuality.check.record_rules.world import LANGUAGES
from flame_ray.rewards.factuality.check.records import Record
from flame_ray.rewards.factuality.text import fold

REMARK = re.compile(rf"(?:[^.;()]|{BRACKETS})+")
IN_A_PART = re.compile(r"official (?:in|on|at)\b|official languages? (?:in|on|of)\b|regional|locally")
NO_LANGUAGE = re.compile("other|unspecified|none|no response")


def is_official(language: str, record: Record) -> bool | None:
    """Whether the record calls a language official in all of the country; None where it calls no language so, or calls this
    one official in a part.
    """
    parts = list(_parts(record))
    own = [part for part in _on(language, parts) if "official" in part]
    if own:
        return any(IN_A_PART.search(part) is None for part in own) or None
    return False if any("official" in part for part in parts) else None


def speakers_of(language: str, record: Record) -> float:
    """The percentage of people; 0 of a language that is absent, or only among `other`; NaN where the record does not say."""
    items = _on(language, _items(record))
    if not items and _on(language, [fold(record.fields.get("Languages, note", ""))]):
        return math.nan
    shares = [0.0 if NO_LANGUAGE.match(item) else percent(re.sub(BRACKETS, "", item)) for item in items]
    return max(shares, key=lambda share: math.inf if math.isnan(share) else share, default=0.0)


def largest_language_beside(language: str, record: Record) -> float:
    """The highest percentage of another language."""
    items = _items(record)
    own = _on(language, items)
    others = (item for item in items if item not in own and not NO_LANGUAGE.match(item))
    return max((share for each in others if not math.isnan(share := percent(re.sub(BRACKETS, "", each)))), default=0.0)


def _items(record: Record) -> list[str]:
    return [item.strip() for item in ITEM.findall(fold(record.fields.get("Languages", "")).partition("note -")[0])]


def _parts(record: Record) -> Iterator[str]:
    yield from (part.strip() for part in ITEM.findall(fold(record.fields.get("Languages", ""))))
    yield from (part.strip() for part in REMARK.findall(fold(record.fields.get("Languages, note", ""))))


def _on(language: str, parts: Sequence[str]) -> list[str]:
    """The parts that have the language by this name, or else by another: a record may tell Serbian from Montenegrin."""
    return [part for part in parts if language in part] or [
        part for part in parts if any(name in part for name in LANGUAGES[language])
    ]
