"""A sentence as a tree of words, and stretches of it as text.

In: the words of a parsed sentence. Out: who depends on whom, and the text of chosen words. Knows nothing of facts.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from flame_ray.engines.parser import Word

CLOSING = re.compile(r"\s+(?=[,;:)\]])|(?<=[(\[])\s+|(?<=\w) (?=['’](?:s|re|ve|ll|d|m)\b)")
LOOSE = re.compile(r"^(?:[\s,;:]|[-–—]+\s)+|[\s,;:–—-]+$")  # but `-5` keeps its sign


class Tree:
    """`words` in their order; an index stands for a word. Words between quotation marks are one word (see `quoting`)."""

    def __init__(self, words: Sequence[Word]):
        self.words = words
        self.children: list[list[int]] = [[] for _ in words]
        for index, word in enumerate(words):
            if word.head != index:
                self.children[word.head].append(index)
        self.root = next((index for index, word in enumerate(words) if word.head == index), 0)

    def under(self, head: int, *relations: str) -> list[int]:
        """Children of `head` in one of the relations, in the sentence's order."""
        return [child for child in self.children[head] if self.words[child].relation in relations]

    def one(self, head: int, *relations: str) -> int | None:
        return next(iter(self.under(head, *relations)), None)

    def subtree(self, head: int, without: Collection[int] = ()) -> list[int]:
        """`head` and all below it in the sentence's order, without the subtrees of `without`."""
        found, waiting = [], [head]
        while waiting:
            index = waiting.pop()
            found.append(index)
            waiting += [child for child in self.children[index] if child not in without]
        return sorted(found)

    def above(self, index: int) -> Iterator[int]:
        while (head := self.words[index].head) != index:
            yield head
            index = head

    def text(self, indices: Iterable[int]) -> str:
        """The words at `indices`, as they stand in the sentence, without loose punctuation at either end."""
        chosen = sorted(indices)
        gaps = [one + 1 for one, two in pairwise(chosen) if two == one + 2 and self._hyphen(one + 1)]
        kept = {*chosen, *gaps}
        chosen = sorted(index for index in kept if self.words[index].text != "," or {index - 1, index + 1} <= kept)
        parts = []
        for at, index in enumerate(chosen):
            follows = at + 1 < len(chosen) and chosen[at + 1] == index + 1
            parts.append(self.words[index].text + (" " if self.words[index].blank or not follows else ""))
        return tidy("".join(parts))

    def _hyphen(self, index: int) -> bool:
        return self.words[index].text == "-" and not self.words[index].blank and not self.words[index - 1].blank

    def lower(self, index: int) -> str:
        return self.words[index].text.lower()

    def tag(self, index: int) -> str:
        return self.words[index].tag

    def relation(self, index: int) -> str:
        return self.words[index].relation


def tidy(text: str) -> str:
    """One blank between words, none before a comma, no half of a pair of brackets at an end."""
    text = LOOSE.sub("", CLOSING.sub("", " ".join(text.split())))
    text = re.sub(r",(?:\s*,)+", ",", text)
    text = re.sub(r"\s*\(\s*\)", "", text)
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        text = text[1:-1]
    if text.count("(") > text.count(")"):
        text = text[1:] if text.startswith("(") else text.removesuffix("(") if text.endswith("(") else f"{text})"
    elif text.count(")") > text.count("("):
        text = text.removesuffix(")").removeprefix(")")
    return LOOSE.sub("", text)
