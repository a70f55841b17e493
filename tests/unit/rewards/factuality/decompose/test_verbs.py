"""The first verb of a claim is the one that a search for all verbs at once finds."""

import json
from pathlib import Path

from flame_ray.rewards.factuality.decompose.verbs import ALSO_NOUNS, ARTICLES, BEFORE_NOUNS, VERB, first_verb

FACTS = Path(__file__).parents[4] / "benchmarks" / "country_facts.jsonl"
ODD = (
    "",
    "A",
    "Peru's is-land can't-do and isn't, cannot, hasn’t is'nt n't 't x't",
    "its main exports exports; has’ is- -is _is is_ IS Is",
    "Ünited land borders are São 't't isn't't",
)


def test_the_first_verb_is_that_of_one_pattern_with_all_verbs():
    facts = [json.loads(line)["claim"] for line in FACTS.read_text(encoding="utf-8").splitlines()]
    for claim in (*facts, *ODD):
        for start in (0, 1, claim.find(" ") + 1, len(claim) // 2, len(claim)):
            assert span(first_verb(claim, start)) == span(plain_first_verb(claim, start)), (claim, start)


def span(match):
    return match and (match.span(), match[0])


def plain_first_verb(claim, start):
    for match in VERB.finditer(claim, start):
        before = claim[: match.start()].rstrip()
        last = before.rsplit(" ", 1)[-1].lower()
        if match[0] not in ALSO_NOUNS and last not in ARTICLES:
            return match
        if before and match[0] in ALSO_NOUNS and last not in BEFORE_NOUNS and not last.endswith(("'s", "’s", ",")):
            return match
    return None
