"""Reads from a record how many of a country's people follow a religion."""

import math
import re
from collections.abc import Callable, Iterator, Mapping

from flame_ray.rewards.factuality.check.records import Record
from flame_ray.rewards.factuality.text import fold

# What people call a religion whose followers the record names.
RELIGIONS: Mapping[str, tuple[str, ...]] = {
    "Muslim": ("Islam",),
    "Roman Catholic": ("Catholicism", "Roman Catholicism", "Christianity"),
    "Catholic": ("Catholicism", "Christianity"),
    "Protestant": ("Protestantism", "Christianity"),
    "Christian": ("Christianity",),
    "Buddhist": ("Buddhism",),
    "Hindu": ("Hinduism",),
    "Jewish": ("Judaism",),
    "Orthodox": ("Orthodox Christianity", "Christianity"),
    "Sikh": ("Sikhism",),
    "Taoist": ("Taoism",),
}
# Other words in which a record names their followers.
BRANCHES: Mapping[str, str] = {
    "Muslim": "Sunni|Shia|Islam|Ibad|Ahmadi",
    "Protestant": "Anglican|Lutheran|Evangelical|Pentecostal|Methodist|Baptist|Adventist|Presbyterian|Reformed|Congregational"
    "|Calvinist|Assembl|Brethren|Moravian|Church of (?!Jesus)",
    "Orthodox": "Apostolic|Copt|Ethiopian",
    "Christian": "Jehovah|Church|Apostolic|Kimbanguist|Maronite|Zionist|Mormon|Copt",
    "Buddhist": "Buddhis|Lama",
    "Jewish": "Jew|Judai",
    "Taoist": "Daoist",
}
# By what a statement says, `Christian` or `Christianity`, the religion as RELIGIONS has it.
FAITHS = {
    **{name: religion for religion, names in RELIGIONS.items() for name in names},
    **{names[0]: religion for religion, names in RELIGIONS.items()},
    **{religion: religion for religion in RELIGIONS},
}
BRACKETS = r"\((?:[^()]|\([^()]*\))*\)"
UNDIVIDED = re.compile(r"(?:\w+ )?Christian")  # an item on Christians
ITEM = re.compile(rf"(?:[^,;()]|{BRACKETS})+")


def largest_beside(religion: str, record: Record) -> float:
    """The highest percentage of a religion that is neither this one, nor a part of it, nor the whole of it."""
    others = (share_of(other, record) for other in RELIGIONS if _counted(other).isdisjoint(_counted(religion)))
    return max((share for share in others if not math.isnan(share)), default=0.0)


def comes_first(religion: str, record: Record) -> bool:
    """Whether the first item of the record's list, the largest one, is on the religion."""
    first = ITEM.match(fold(record.fields.get("Religions", "")))
    return first is not None and _names(religion)(re.sub(BRACKETS, "", first[0])) is not None


def is_named(religion: str, record: Record) -> bool:
    """Whether the record names the religion at all."""
    return _names(religion)(fold(record.fields.get("Religions", ""))) is not None


def share_of(religion: str, record: Record) -> float:
    """The percentage of people; 0 of a religion that is absent, or only among `other`; NaN where the record does not say, as of
    Protestants where it counts Christians.
    """
    value, names_it = fold(record.fields.get("Religions", "")), _names(religion)
    if not value or names_it(record.fields.get("Religions, note", "")):
        return math.nan
    items = [item.strip() for item in ITEM.findall(value.partition("less than 1")[0])]
    share = sum(share for item in items for share in _shares(item, names_it))
    is_open = not share and religion != "Christian" and "Christianity" in RELIGIONS[religion]
    return math.nan if is_open and any(UNDIVIDED.match(item) for item in items) else share


def _names(religion: str) -> Callable[[str], object]:
    """Finds a name of the religion, or of a part of it, in a text."""
    return re.compile("|".join(word for each in _counted(religion) for word in (each, BRANCHES.get(each)) if word)).search


def _shares(item: str, names_it: Callable[[str], object]) -> Iterator[float]:
    """The percentages of followers in an item: that of the whole item, or those in its brackets."""
    whole = re.sub(BRACKETS, "", item)
    if names_it(whole):
        yield percent(whole)
    elif not re.match("other(?! Christian)|none|unspecified", whole):
        inside = " ".join(re.findall(BRACKETS, item))
        yield from (percent(each) for each in re.split(r"[,;(]| and ", inside) if names_it(each))


def percent(text: str) -> float:
    """The figure of an item; 0 of a bound, NaN where there is none.

    >>> [percent(text) for text in ("Muslim 80-85%", "Hindu <1%", "Roman Catholic")]
    [85.0, 0.0, nan]
    """
    figures = [float(each) for each in re.findall(r"\d*\.?\d+", text)]
    return 0.0 if "<" in text else max(figures, default=math.nan)


def _counted(religion: str) -> frozenset[str]:
    """The religion and its parts: Catholics are counted among Christians."""
    return frozenset(each for each, names in RELIGIONS.items() if RELIGIONS[religion][0] in names)
