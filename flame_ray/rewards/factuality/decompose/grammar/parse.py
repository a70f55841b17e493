"""A response as the facts that it states, split along the grammar of its sentences.

In: responses. Out: the sentences and the facts of each, duplicates merged. As `rule.py`, but by the dependency tree of each
sentence, so a sentence gives more and shorter facts. Knows nothing of evidence, nor how sentences are parsed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from flame_ray.engines.parser import Word
from flame_ray.rewards.factuality.decompose.base import Told, merged
from flame_ray.rewards.factuality.decompose.dedup import content, vocabulary
from flame_ray.rewards.factuality.decompose.grammar.clauses import LONGEST, held, statements
from flame_ray.rewards.factuality.decompose.grammar.outline import FINITE, SUBJECTS, Outline
from flame_ray.rewards.factuality.decompose.grammar.repair import repaired
from flame_ray.rewards.factuality.decompose.grammar.statement import Statement
from flame_ray.rewards.factuality.decompose.grammar.tree import Tree, tidy
from flame_ray.rewards.factuality.decompose.hedges import NUMERAL, QUOTED
from flame_ray.rewards.factuality.decompose.rule import clauses, subject_of
from flame_ray.rewards.factuality.decompose.sentences import checkable, claim_of, first_name, resolve, sentences
from flame_ray.types import Decomposition, Response

# What the parser reads in place of a title between quotation marks: a name, whatever the title says; the first that is free.
MASKS = ("Hamlet", "Macbeth", "Othello", "Falstaff")
ENGLISH = frozenset(
    vocabulary(
        """the and of are were with from has had have which who his her its their been by this that it he she they for
        also but not will can there"""
    )
)
LONGEST_TEXT = 1000  # characters of a claim that is parsed
OPENING = ("RB", "UH", "CC", ",")  # before an order: `then mix ...`
CLAIMING = (*FINITE, "MD", "NNP", "NNPS", "CD")
UNCLEAR = ("This ", "These ")  # they rather mean all that was said than its subject
FOREIGN = frozenset(
    vocabulary(
        """es el los las una y der das und ist ein eine est les des une et het een en og och che di sono um uma os jest nie
        w z je na si ir yra ve bir adalah dan yang ay ang ng la le il du au"""
    )
)


class SentenceParser(Protocol):
    def trees(self, sentences: Sequence[str]) -> list[tuple[Word, ...]]: ...


class ParseDecomposer:
    """Sentences of all responses are parsed together."""

    def __init__(self, parser: SentenceParser):
        self._parser = parser

    def decompose(self, responses: Sequence[Response]) -> list[Decomposition]:
        split = [sentences(each.text, each.finish_reason != "length") for each in responses]
        claims = [claim_of(sentence) for sentences_S in split for sentence in sentences_S]
        trees = self._parser.trees([masked(claim) if len(claim) <= LONGEST_TEXT else "" for claim in claims])
        parsed = zip(claims, trees, strict=True)
        return [merged(_told([_Parsed(each, *next(parsed)) for each in sentences_S])) for sentences_S in split]


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A sentence, what it claims, and the words of that; none where it was not parsed."""

    sentence: str
    claim: str
    words: tuple[Word, ...]


def _told(parsed_S: Sequence[_Parsed]) -> Iterator[Told]:
    topic = thing = person = ""
    for parsed in parsed_S:
        claim = parsed.claim
        if not claim:
            yield Told(parsed.sentence, ())
            continue
        tree = _tree(parsed.words, claim)
        about = topic or first_name(claim)
        statements_F = []
        for at, each in enumerate(_statements(tree, claim)):
            text = tidy(each.text)
            text = text[:1].upper() + text[1:]
            text = resolve(text, _meant(text, thing, person), topic) if each.resolves else text
            if at == 0 and tree.words:
                thing, person = _subject(tree, claim, (thing, person), topic)
            if checkable(text, content(text), about):
                statements_F.append(text)
        topic = about
        yield Told(parsed.sentence, statements_F)


def _meant(text: str, thing: str, person: str) -> str:
    """What a pronoun at the beginning of a fact stands for; empty where nobody can tell."""
    if text.startswith(UNCLEAR) or (text.startswith("They ") and thing == person):
        return ""
    return person if text.startswith(("He ", "She ")) else thing


def _statements(tree: Tree, claim: str) -> list[Statement]:
    """By the grammar of the sentence, or by rules where the parser did not understand it; whole where it is not English.

    None of a mere instruction.
    """
    if not tree.words or held(tree) or not is_english(claim):
        return [Statement(claim, frozenset())]
    if instructs(tree):
        return []
    return [Statement(text, frozenset()) for text in clauses(claim)] if Outline(tree).strange() else statements(tree)


def instructs(tree: Tree) -> bool:
    """Whether a sentence tells its reader to do something and nothing else: with a purpose, a name or a number it may claim."""
    if tree.tag(tree.root) != "VB" or any(word.tag not in OPENING for word in tree.words[: tree.root]):
        return False
    return not any(word.tag in CLAIMING or word.relation in ("appos", *SUBJECTS) for word in tree.words)


def is_english(claim: str) -> bool:
    """Whether a claim has a word that only English has, or else none that another language has, in ASCII.

    >>> is_english("Lima is the capital of Peru"), is_english("Lima es la capital del Perú")
    (True, False)
    """
    words = re.findall(r"\w+", claim)
    return any(word.lower() in ENGLISH for word in words) or (claim.isascii() and FOREIGN.isdisjoint(words))


def _tree(words: Sequence[Word], claim: str) -> Tree:
    found = unmasked(words, claim)
    return Tree(repaired(found) if len(found) <= LONGEST else found)


def masked(claim: str) -> str:
    """What the parser reads: a name in place of a title between quotation marks, and no numeral that looks like a pronoun.

    >>> masked('Ada wrote "Notes," "Sketches" and a life of George I')
    'Ada wrote Hamlet, Hamlet and a life of George II'
    """
    name = _mask(claim)
    return NUMERAL.sub(r"\1 II", QUOTED.sub(lambda match: name + "," * (match[0][-2] == ","), claim))


def _mask(claim: str) -> str:
    return next((name for name in MASKS if name not in claim), "")


def unmasked(words: Sequence[Word], claim: str) -> list[Word]:
    """The words with the titles and numerals of the claim back in their places; none where a place is not found again."""
    name, titles = _mask(claim), QUOTED.findall(claim)
    numerals = re.findall(r"\bII?\b", QUOTED.sub("", claim))
    places = [index for index, word in enumerate(words) if titles and word.text == name]
    numbers = [index for index, word in enumerate(words) if word.text in ("I", "II")]
    if len(places) != len(titles) or len(numbers) != len(numerals):
        return []
    texts = dict(zip(places, map(_title, titles), strict=True)) | dict(zip(numbers, numerals, strict=True))
    return [replace(word, text=texts.get(index, word.text)) for index, word in enumerate(words)]


def _title(quoted: str) -> str:
    return quoted[:-1].rstrip(",") + quoted[-1]


def _subject(tree: Tree, claim: str, before: tuple[str, str], topic: str) -> tuple[str, str]:
    """What the next `it`, and whom the next `he`, means: this sentence's subject, unless that is a thing of somebody's."""
    thing, person = before
    noun = tree.one(tree.root, "nsubj", "nsubjpass")
    if noun is None:
        return subject_of(resolve(claim, thing, topic)) or thing, person
    if tree.tag(noun) in ("PRP", "DT", "WP", "EX") or tree.under(noun, "poss"):
        return thing, person
    text = tree.text(tree.subtree(noun, [*tree.under(noun, "relcl", "acl"), *_set_off(tree, noun)]))
    if len(text.split()) > 7:
        return thing, person
    text = resolve(text[:1].upper() + text[1:], thing, topic)
    return text, text if tree.tag(noun).startswith("NNP") and not text.startswith("The ") else person


def _set_off(tree: Tree, noun: int) -> list[int]:
    """Appositions behind a comma or a bracket."""
    return [each for each in tree.under(noun, "appos", "punct") if each > noun]
