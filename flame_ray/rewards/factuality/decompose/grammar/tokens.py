"""Questions about the tokens of a parsed sentence, and the text that some of them make.

Relations are ClearNLP's and tags are the Penn Treebank's, as spaCy names them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.text import MONTHS

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

SUBJECT_RELATIONS = ("nsubj", "nsubjpass", "csubj", "csubjpass")
RELATIVE_PRONOUNS = ("WDT", "WP")
FINITE = ("VBD", "VBZ", "VBP")
DATE = re.compile(rf"^(?:{MONTHS}|1\d\d\ds?|20\d\ds?)$")
EXTRA_SPACE = re.compile(r"\s+(?=[,;:)\]])|(?<=[(\[])\s+|(?<=\w) (?=['’](?:s|re|ve|ll|d|m)\b)")
LOOSE_ENDS = re.compile(r"^(?:[\s,;:]|[-–—]+\s)+|[\s,;:–—-]+$")  # the minus sign of `-5` stays


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text, the tokens that it says, and the token by which it is ordered among others."""

    anchor: Token
    text: str
    tokens: frozenset[Token]


def phrase_of(tokens: Collection[Token]) -> Phrase:
    return Phrase(next(iter(tokens)), text_of(tokens), frozenset(tokens))


def concatenated(*phrases: Phrase) -> Phrase:
    text = " ".join(phrase.text for phrase in phrases)
    return Phrase(phrases[0].anchor, text, frozenset(token for phrase in phrases for token in phrase.tokens))


def root_of(doc: Doc) -> Token:
    return next(token for token in doc if token.head == token)


def dependents(head: Token, *relations: str) -> list[Token]:
    """The children of `head` in one of the relations, in the sentence's order."""
    return [child for child in head.children if child.dep_ in relations]


def first_dependent(head: Token, *relations: str) -> Token | None:
    return next(iter(dependents(head, *relations)), None)


def own_subject(verb: Token) -> Token | None:
    return first_dependent(verb, *SUBJECT_RELATIONS)


def subtree(head: Token, without: Collection[Token] = ()) -> list[Token]:
    """`head` and every token below it, in the sentence's order, without the subtrees of `without`.

    Repairs can cross branches, so spaCy's own `subtree` may be out of order.
    """
    found, waiting = [], [head]
    while waiting:
        token = waiting.pop()
        found.append(token)
        waiting += [child for child in token.children if child not in without]
    return sorted(found)


def text_before(token: Token) -> str:
    """The text of the token before; empty for the first one."""
    return token.nbor(-1).text if token.i else ""


def is_noun(token: Token) -> bool:
    return token.tag_.startswith("NN")


def is_proper_noun(token: Token) -> bool:
    return token.tag_ in ("NNP", "NNPS")


def is_verb(token: Token) -> bool:
    return token.tag_.startswith("VB")


def is_date(text: str) -> bool:
    """Whether a word is a month or a year."""
    return bool(DATE.match(text))


def text_of(tokens: Iterable[Token]) -> str:
    """The text of the tokens in the sentence's order, without loose punctuation at either end."""
    chosen = {token.i: token for token in tokens}
    if not chosen:
        return ""
    doc = next(iter(chosen.values())).doc
    kept = {*chosen, *(at + 1 for at in chosen if at + 2 in chosen and _joins_words(doc[at + 1]))}
    said = [doc[at] for at in sorted(kept) if doc[at].text != "," or {at - 1, at + 1} <= kept]
    places = {token.i for token in said}
    return tidy("".join(token.text + " " * (bool(token.whitespace_) or token.i + 1 not in places) for token in said))


def _joins_words(token: Token) -> bool:
    """Whether a token is a hyphen without a space on either side."""
    return token.text == "-" and not token.whitespace_ and not token.nbor(-1).whitespace_


def tidy(text: str) -> str:
    """The text with single spaces, no space before a comma, and no unpaired bracket."""
    text = LOOSE_ENDS.sub("", EXTRA_SPACE.sub("", " ".join(text.split())))
    text = re.sub(r",(?:\s*,)+", ",", text)
    text = re.sub(r"\s*\(\s*\)", "", text)
    if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
        text = text[1:-1]
    if text.count("(") > text.count(")"):
        text = text[1:] if text.startswith("(") else text.removesuffix("(") if text.endswith("(") else f"{text})"
    elif text.count(")") > text.count("("):
        text = text.removesuffix(")").removeprefix(")")
    return LOOSE_ENDS.sub("", text)
