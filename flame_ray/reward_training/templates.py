"""Turns a record, lines of the form `Field, part: value; value`, into sentences with its own or another record's values."""

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flame_ray.types import Passage

LINE = re.compile(r"^([A-Z][^.:;]{1,80}): (.+)$", re.MULTILINE)
ITEM = re.compile(r"^(?:[^;,(]|,(?=\d)){1,60}")
FEWEST = 3  # a record has at least this many lines
LONGEST = 9  # words of a value in a statement: a longer value is prose
MANY = ("countries", "groups", "languages", "religions", "resources", "products", "commodities", "partners", "industries")
Values = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class FieldValue:
    """One value of a field of a record."""

    owner: str
    field: str
    value: str

    def statement(self, draw: random.Random) -> str:
        """A sentence that states the value.

        >>> FieldValue("Peru", "Natural resources", "copper").statement(random.Random(0))
        'Peru has copper as natural resources'
        """
        name, *part = self.field.split(", ")
        many = self.field.lower().endswith(MANY) or name.endswith("s")
        whole = f"{part[0]} {name.lower()}" if part and len(part[0].split()) == 1 and draw.random() < 0.5 else name.lower()
        verb = draw.choice(("include", "are")) if many else "is"
        forms = (f"The {whole} of {self.owner} {verb} {self.value}", f"{self.owner}'s {whole} {verb} {self.value}")
        return draw.choice((*forms, f"{name} of {self.owner} {verb} {self.value}", f"{self.owner} has {self.value} as {whole}"))


def field_values(passage: Passage) -> list[FieldValue]:
    """Every value of a record that is short enough for a statement; none for prose, or without a title."""
    lines = LINE.findall(passage.text)
    found = []
    for field, values in lines if passage.title and len(lines) >= FEWEST else ():
        for value in re.split(r"; |, (?!\d)", values):
            if (match := ITEM.match(value)) and 0 < len(match[0].split()) <= LONGEST:
                found.append(FieldValue(passage.title, field, match[0].strip(" .")))
    return found


def values_by_field(passages: Sequence[Passage]) -> Values:
    """The values of all records by field."""
    found: dict[str, list[str]] = defaultdict(list)
    for passage in passages:
        for each in field_values(passage):
            found[each.field].append(each.value)
    return found


def with_other_value(known: FieldValue, values: Values, passage: str, draw: random.Random) -> FieldValue | None:
    """The same field with another record's value that its own passage does not have; None if none is drawn."""
    others = [value for value in draw.choices(values[known.field], k=8) if value.lower() not in passage.lower()]
    return FieldValue(known.owner, known.field, others[0]) if others else None
