"""Decides the statements about a country that a field of its record decides, so that no learned reader has to.

Each rule is a function that tells one kind of statement: false ones, true ones if its name begins with `only`, or ones that
the record leaves open. A rule that is unsure is false. COAST_RULES and OTHER_RULES list them with their labels.
"""

from collections.abc import Callable

from flame_ray.rewards.factuality.check.record_rules.climate import makes_up_a_climate
from flame_ray.rewards.factuality.check.record_rules.coast import (
    denies_its_coast,
    makes_up_a_coast,
    only_says_that_it_has_its_coast,
    only_says_that_it_has_no_coast,
    only_says_what_sea_it_touches,
)
from flame_ray.rewards.factuality.check.record_rules.exports import makes_up_an_export
from flame_ray.rewards.factuality.check.record_rules.joint import takes_a_religion_for_a_language
from flame_ray.rewards.factuality.check.record_rules.largest import (
    makes_up_an_official_language,
    makes_up_most_people,
    makes_up_the_largest,
    only_names_the_largest,
)
from flame_ray.rewards.factuality.check.record_rules.people import (
    joins_others,
    makes_up_a_language,
    makes_up_a_majority,
    makes_up_a_religion,
)
from flame_ray.rewards.factuality.check.record_rules.place import (
    borders_a_stranger,
    borders_itself,
    counts_other_neighbours,
    has_another_capital,
    is_its_own_capital,
    lies_in_itself,
    lies_on_another_continent,
    makes_up_heights,
    makes_up_sunshine,
    only_names_its_neighbours,
    turns_a_border,
)
from flame_ray.rewards.factuality.check.record_rules.regions import is_another_kind_of_land, lies_elsewhere
from flame_ray.rewards.factuality.check.record_rules.seas import turns_a_sea
from flame_ray.rewards.factuality.check.record_rules.statements import NEGATED, is_about
from flame_ray.rewards.factuality.check.records import Record
from flame_ray.rewards.factuality.text import fold
from flame_ray.types import VerdictLabel

Rule = Callable[[str, Record], bool]

COAST_RULES: tuple[tuple[Rule, VerdictLabel], ...] = (
    (only_says_that_it_has_its_coast, VerdictLabel.SUPPORTED),
    (only_says_what_sea_it_touches, VerdictLabel.SUPPORTED),
    (denies_its_coast, VerdictLabel.CONTRADICTED),
    (makes_up_a_coast, VerdictLabel.CONTRADICTED),
    (only_says_that_it_has_no_coast, VerdictLabel.SUPPORTED),
)
OTHER_RULES: tuple[tuple[Rule, VerdictLabel], ...] = (
    (borders_itself, VerdictLabel.CONTRADICTED),
    (is_its_own_capital, VerdictLabel.CONTRADICTED),
    (has_another_capital, VerdictLabel.CONTRADICTED),
    (lies_in_itself, VerdictLabel.SAYS_NOTHING),
    (lies_on_another_continent, VerdictLabel.CONTRADICTED),
    (borders_a_stranger, VerdictLabel.CONTRADICTED),
    (turns_a_border, VerdictLabel.CONTRADICTED),
    (counts_other_neighbours, VerdictLabel.CONTRADICTED),
    (joins_others, VerdictLabel.CONTRADICTED),
    (makes_up_a_language, VerdictLabel.CONTRADICTED),
    (makes_up_a_religion, VerdictLabel.CONTRADICTED),
    (makes_up_a_majority, VerdictLabel.CONTRADICTED),
    (makes_up_the_largest, VerdictLabel.CONTRADICTED),
    (makes_up_most_people, VerdictLabel.CONTRADICTED),
    (makes_up_an_official_language, VerdictLabel.CONTRADICTED),
    (takes_a_religion_for_a_language, VerdictLabel.CONTRADICTED),
    (only_names_the_largest, VerdictLabel.SUPPORTED),
    (makes_up_heights, VerdictLabel.CONTRADICTED),
    (makes_up_sunshine, VerdictLabel.NOT_FOUND),
    (turns_a_sea, VerdictLabel.CONTRADICTED),
    (lies_elsewhere, VerdictLabel.CONTRADICTED),
    (is_another_kind_of_land, VerdictLabel.CONTRADICTED),
    (makes_up_an_export, VerdictLabel.NOT_FOUND),
    (makes_up_a_climate, VerdictLabel.CONTRADICTED),
    (only_names_its_neighbours, VerdictLabel.SUPPORTED),
)


def decided(fact: str, record: Record) -> VerdictLabel | None:
    """What the record alone decides of a fact; None where it decides nothing."""
    statement = fold(fact).replace("’", "'").rstrip(" .")
    if not is_about(record, statement):
        return None
    rules = COAST_RULES if NEGATED.search(statement) else COAST_RULES + OTHER_RULES
    return next((label for rule, label in rules if rule(statement, record)), None)
