"""What English sentences state, by their grammar (spaCy's dependency trees). `Grammar` is the only entry to this package.

The modules build on one another in this order:

parser        a claim becomes a tree of tokens
tokens        questions about tokens, and their text
attachment    frequent errors of the parser are repaired
noun_phrases  the items that a noun phrase lists
clauses       which clauses are stated separately
subjects      what a clause is about
predicates    what is said of it, one complement or adjunct at a time
statements    the statements of a claim
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flame_ray.rewards.factuality.decompose.grammar.attachment import repair
from flame_ray.rewards.factuality.decompose.grammar.parser import load_english, parsed
from flame_ray.rewards.factuality.decompose.grammar.statements import LONGEST_SENTENCE, Statement, statements_of
from flame_ray.rewards.factuality.decompose.grammar.subjects import Antecedent, antecedent

__all__ = ["Analysis", "Antecedent", "Grammar", "Statement"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a claim states, and what the pronouns of later sentences can refer to: None where the parser finds no subject."""

    statements: list[Statement]
    antecedent: Antecedent | None


class Grammar:
    """Raises ModelError if spaCy or its English model is missing (`pip install 'flame-ray[parse]'`)."""

    def __init__(self) -> None:
        self._pipeline = load_english()

    def analyze(self, claims: Sequence[str]) -> list[Analysis]:
        """An analysis for each claim, in their order."""
        found = []
        with parsed(self._pipeline, claims) as docs:
            for claim, doc in zip(claims, docs, strict=True):
                if len(doc) <= LONGEST_SENTENCE:
                    repair(doc)
                found.append(Analysis(statements_of(claim, doc), antecedent(doc)))
        return found
