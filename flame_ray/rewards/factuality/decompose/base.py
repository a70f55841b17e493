"""What a decomposer is, and what its sentences add up to. In: responses. Out: the sentences and the facts of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from flame_ray.rewards.factuality.decompose.dedup import Said, content
from flame_ray.types import Decomposition, Fact, Response, Sentence


class Decomposer(Protocol):
    """Splits responses into facts. A response that states nothing checkable has none: it abstains."""

    def decompose(self, responses: Sequence[Response]) -> list[Decomposition]:
        """The sentences of each response and its facts, duplicates merged; the cut end of an unfinished one is left out."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence, and the statements in it that could be verified: none where it has nothing to verify."""

    sentence: str
    statements: Sequence[str]


def merged(told_S: Iterable[Told]) -> Decomposition:
    """All sentences, and as facts the statements that no earlier one says.

    >>> merged([Told("Hello!", ()), Told("Lima is warm.", ["Lima is warm"]), Told("Yes, warm.", ["Lima is warm"])]).facts_F
    (Fact(text='Lima is warm', sentence=1),)
    """
    sentences_S: list[Sentence] = []
    facts_F: list[Fact] = []
    said = Said()
    for index, told in enumerate(told_S):
        sentences_S.append(Sentence(told.sentence, verifiable=bool(told.statements)))
        facts_F += [Fact(text, index) for text in told.statements if said.is_new(content(text))]
    return Decomposition(tuple(sentences_S), tuple(facts_F))
