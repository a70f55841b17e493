"""Reads from a record how many of a country's inhabitants belong to a people."""

import math
import re

from flame_ray.rewards.factuality.check.record_rules.religions import BRACKETS, ITEM, percent
from flame_ray.rewards.factuality.check.records import Record
from flame_ray.rewards.factuality.text import fold


def share_of_people(name: str, record: Record) -> float:
    """The percentage of a people; NaN of one that the record does not name, since peoples go by several names, and of one of
    which it counts `other Arab` alone.
    """
    items = [item for item in _items(record) if _is_named(name, item)]
    is_told = bool(items) and not any(item.startswith("other") for item in items)
    return sum(map(percent, items)) if is_told else math.nan


def largest_people_beside(name: str, record: Record) -> float:
    others = [percent(item) for item in _items(record) if not _is_named(name, item) and not item.startswith("other")]
    return max((share for share in others if not math.isnan(share)), default=0.0)


def _items(record: Record) -> list[str]:
    """Without what stands in brackets."""
    value = fold(record.fields.get("Ethnic groups", ""))
    return [re.sub(BRACKETS, "", item).strip() for item in ITEM.findall(value)]


def _is_named(name: str, item: str) -> bool:
    return re.search(rf"\b{re.escape(name.removesuffix('s'))}(?!\w{{3}})", item, re.IGNORECASE) is not None
