"""The words of a parsed sentence while their heads are repaired, and the words by which what they are is known.

In: words. Out: the same, of which any can be hung on another. Knows no repair.
"""

import re
from dataclasses import replace

from flame_ray.engines.parser import Word
from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.text import MONTHS

DATE = re.compile(rf"^(?:{MONTHS}|1\d\d\ds?|20\d\ds?)$")
COUNTED = frozenset(
    vocabulary("several numerous various many multiple other some two three four five six seven eight nine ten")
)
PERSONS = ("or", "er", "ist", "ian", "man", "woman", "ess", "eer", "ete", "ot", "ent", "ant", "ic")


def is_date(word: str) -> bool:
    return bool(DATE.match(word))


class Heads:
    """Each word has a head and a relation to it; none is hung on one that depends on it."""

    def __init__(self, words: list[Word]):
        self.words = words

    def hang(self, index: int, head: int, relation: str = "") -> None:
        word = self.words[index]
        if head != word.head and index not in (head, *self.above(head)):
            self.words[index] = replace(word, head=head, relation=relation or word.relation)

    def rejoin(self, index: int, head: int) -> None:
        """Hangs a word that `and` joins, and that `and`, on another head."""
        links = [each for each in self.children(self.words[index].head, "cc") if each < index]
        self.hang(index, head)
        for link in links[-1:]:
            self.hang(link, head)

    def above(self, index: int) -> list[int]:
        found: list[int] = []
        while (head := self.words[index].head) != index and len(found) < len(self.words):
            found.append(head)
            index = head
        return found

    def children(self, head: int, *relations: str) -> list[int]:
        return [i for i, word in enumerate(self.words) if word.head == head and i != head and word.relation in relations]

    def begin(self, head: int) -> int:
        return next(i for i in range(len(self.words)) if i == head or head in self.above(i))

    def is_noun(self, index: int) -> bool:
        return self.words[index].tag.startswith("NN")

    def is_verb(self, index: int) -> bool:
        return self.words[index].tag.startswith("VB")

    def is_indefinite(self, index: int) -> bool:
        """Whether a noun has an article `a`, or an owner."""
        before = [self.words[each] for each in self.children(index, "det", "poss")]
        return any(word.text in ("a", "an") or word.tag == "PRP$" for word in before)
