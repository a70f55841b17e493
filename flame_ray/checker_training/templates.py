"""Statements out of records: lines `Field, part: value; value`, of which a reference work consists. Pure.

In: passages with a heading and such lines. Out: what a line says in a sentence, and the same with the value of another
record's line of the same field.
"""

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flame_ray.types import Passage

LINE = re.compile(r"^([A-Z][^.:;]{1,80}): (.+)$", re.MULTILINE)
ITEM = re.compile(r"^(?:[^;,(]|,(?=\d)){1,60}")
FEWEST = 3  # lines that make a record
LONGEST = 9  # words of a value that a statement may have: what is longer is prose
MANY = ("countries", "groups", "languages", "religions", "resources", "products", "commodities", "partners", "industries")
Values = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a field, and whose it is."""

    owner: str
    field: str
    value: str

    def said(self, draw: random.Random) -> str:
        """
        >>> Entry("Peru", "Natural resources", "copper").said(random.Random(0))
        'Peru has copper as natural resources'
        """
        name, *part = self.field.split(", ")
        many = self.field.lower().endswith(MANY) or name.endswith("s")
        whole = f"{part[0]} {name.lower()}" if part and len(part[0].split()) == 1 and draw.random() < 0.5 else name.lower()
        verb = draw.choice(("include", "are")) if many else "is"
        forms = (f"The {whole} of {self.owner} {verb} {self.value}", f"{self.owner}'s {whole} {verb} {self.value}")
        return draw.choice((*forms, f"{name} of {self.owner} {verb} {self.value}", f"{self.owner} has {self.value} as {whole}"))


def entries(passage: Passage) -> list[Entry]:
    """Every value of a record's lines that is short enough for a statement; none of prose, or without a title."""
    lines = LINE.findall(passage.text)
    found = []
    for field, values in lines if passage.title and len(lines) >= FEWEST else ():
        for value in re.split(r"; |, (?!\d)", values):
            if (match := ITEM.match(value)) and 0 < len(match[0].split()) <= LONGEST:
                found.append(Entry(passage.title, field, match[0].strip(" .")))
    return found


def values_by_field(passages: Sequence[Passage]) -> Values:
    """What other records have under each field."""
    found: dict[str, list[str]] = defaultdict(list)
    for passage in passages:
        for entry in entries(passage):
            found[entry.field].append(entry.value)
    return found


def exchanged_value(entry: Entry, values: Values, passage: str, draw: random.Random) -> Entry | None:
    """The entry with another record's value, which its own passage does not have."""
    others = [value for value in draw.choices(values[entry.field], k=8) if value.lower() not in passage.lower()]
    return Entry(entry.owner, entry.field, others[0]) if others else None
