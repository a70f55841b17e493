"""Statements that speak of languages and religions as if they were one thing, as a policy does that was asked for both."""

import re

from flame_ray.rewards.factuality.check.record_rules.people import FAITH, LANGUAGE_ALONE
from flame_ray.rewards.factuality.check.records import Record

RELIGION = rf"{FAITH}s?"
NAME = rf"(?:{LANGUAGE_ALONE}|{RELIGION})"
BOTH = re.compile(
    r"^(?:In [^,]+, )?[Tt]he (?:\w+ ){1,3}?language and (?:\w+ )??religion(?:(?: (?:found|spoken|listed))? (?:in|of) [^,]+?)?"
    rf" (?:is|are) (?:the )?(?P<what>{NAME}(?:(?:, and |, | and ){NAME})*)$"
)
SPOKEN = re.compile(rf"\b(?:speaks?|language (?:is|are)|languages include) (?:\w+ly )?(?:{RELIGION})(?=$|[,;.]| and\b)")


def takes_a_religion_for_a_language(statement: str, record: Record) -> bool:
    """Whether a religion is said to be spoken, or `the language and religion` of a country are only one of both kinds."""
    found = BOTH.match(statement)
    kinds = {re.fullmatch(LANGUAGE_ALONE, each[0]) is None for each in re.finditer(NAME, found["what"])} if found else set()
    return len(kinds) == 1 or SPOKEN.search(statement) is not None
