"""One statement of a sentence, and which of its words it says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """`used`: the words of the sentence that it says; `resolves`: whether an `it` at its beginning means something before."""

    text: str
    used: frozenset[int]
    resolves: bool = True
