"""Draws the facts that people read, as evenly as it can over the prompts, and in an order that tells nothing."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from flame_ray.types import VerdictLabel


@dataclass(frozen=True, slots=True)
class HeldOutFact:
    """One fact of a held-out answer of a round, with the checker's verdict."""

    round: int
    prompt_id: str
    response_id: str
    place: int  # among the facts of its response
    text: str
    sentence: int
    verdict: VerdictLabel


def draw(facts: Sequence[HeldOutFact], per_round: int, seed: int) -> list[HeldOutFact]:
    """`per_round` facts of each round, or all if there are fewer, shuffled.

    Each prompt gives one fact before any gives a second one, and every round goes through the prompts in the same order,
    first those that have facts in all rounds. So the rounds share their prompts as far as possible. Within a response each
    fact has the same chance; a fact that a prompt's answers state in several rounds has the same rank in all of them.
    """
    by_response: dict[tuple[int, str], list[HeldOutFact]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: (_chance(seed, fact.prompt_id, fact.text), fact.place)):
        by_response[fact.round, fact.prompt_id].append(fact)
    rounds_of = {prompt: {round for round, name in by_response if name == prompt} for _, prompt in by_response}
    prompts = sorted(rounds_of, key=lambda prompt: (-len(rounds_of[prompt]), _chance(seed, prompt)))
    drawn = []
    for round in sorted({fact.round for fact in facts}):
        ranked = [
            (rank, place, fact)
            for place, prompt in enumerate(prompts)
            for rank, fact in enumerate(by_response.get((round, prompt), ()))
        ]
        drawn += [fact for *_, fact in sorted(ranked, key=lambda each: each[:2])[:per_round]]
    return sorted(drawn, key=lambda fact: _chance(seed, "order", fact.response_id, fact.place))


def _chance(*words: object) -> str:
    """A number that looks random, the same on every machine."""
    return hashlib.sha256(repr(words).encode()).hexdigest()
