"""The protocol of decomposers, and the last step of each: no fact is stated twice."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from flame_ray.rewards.factuality.decompose.dedup import SeenFacts, content
from flame_ray.types import Decomposition, Fact, Response, Sentence


class Decomposer(Protocol):
    """Splits responses into facts. A response without facts abstains: it states nothing that can be checked."""

    def decompose(self, questions: Sequence[str], responses: Sequence[Response]) -> list[Decomposition]:
        """The sentences and the distinct facts of each response to its question. An unfinished one loses its last sentence."""
        ...


# Given the sentences of each of R responses, those that are not decomposed because they carry no factual knowledge.
Skips = Callable[[Sequence[Sequence[str]]], list[frozenset[str]]]


def skip_none(sentences_RS: Sequence[Sequence[str]]) -> list[frozenset[str]]:
    """Every sentence is decomposed."""
    return [frozenset()] * len(sentences_RS)


@dataclass(frozen=True, slots=True)
class SplitSentence:
    """A sentence and the checkable statements in it; none where the sentence has nothing to verify."""

    sentence: str
    statements: Sequence[str]


def deduplicated(split_S: Iterable[SplitSentence]) -> Decomposition:
    """All sentences, and as facts the statements that no earlier fact contains.

    >>> split = SplitSentence("Hello!", ()), SplitSentence("Lima is warm.", ["Lima is warm"])
    >>> deduplicated([*split, SplitSentence("Yes, warm.", ["Lima is warm"])]).facts_F
    (Fact(text='Lima is warm', sentence=1),)
    """
    sentences_S: list[Sentence] = []
    facts_F: list[Fact] = []
    seen = SeenFacts()
    for index, split in enumerate(split_S):
        sentences_S.append(Sentence(split.sentence, verifiable=bool(split.statements)))
        facts_F += [Fact(text, index) for text in split.statements if seen.add(content(text))]
    return Decomposition(tuple(sentences_S), tuple(facts_F))
