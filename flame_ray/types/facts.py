"""What a response states, the evidence on it, and what a checker says."""

from dataclasses import dataclass
from enum import StrEnum


class VerdictLabel(StrEnum):
    """What the evidence says about a fact. NOT_FOUND: nothing. SAYS_NOTHING: no evidence could. ERROR: the checker failed."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_FOUND = "not_found"
    SAYS_NOTHING = "says_nothing"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the corpus that can serve as evidence."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement of a response that can be checked."""

    text: str
    sentence: int  # the index of the sentence that states it


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence or list item of a response. `verifiable` is False if it states nothing that evidence could decide.

    The decomposer tries to recognise what is not verifiable: greetings, questions, refusals, opinions, praise without content.
    A sentence that repeats an earlier one is verifiable, although it adds no fact.
    """

    text: str
    verifiable: bool


@dataclass(frozen=True, slots=True)
class Decomposition:
    """The sentences [S] of a response and the facts [F] that they state; `Fact.sentence` is an index into `sentences_S`.

    >>> hello, borders = Sentence("Hello!", verifiable=False), Sentence("Peru borders Chile.", verifiable=True)
    >>> Decomposition((hello, borders), (Fact("Peru borders Chile", 1),)).facts_F[0].sentence
    1
    """

    sentences_S: tuple[Sentence, ...]
    facts_F: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A fact and the passages [K] that serve as evidence for checking it."""

    fact: Fact
    passages_K: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class LabelledClaim:
    """A claim with its label."""

    claim: Claim
    supported: bool  # whether its evidence supports it, according to people or by construction
    group: str | None  # the data set that the claim belongs to


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a checker says about one fact."""

    fact: Fact
    label: VerdictLabel
    score: float  # in [0, 1]: how well the evidence supports the fact
    passage_id: str | None  # the passage that decided; None if no single one did
    relevant: bool = True  # whether the fact answers the instruction; by topics, where that asks about a record
