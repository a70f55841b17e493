"""Noun phrases: the items that they list, their examples, and the nationality that they tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.grammar.attachment import PERSON_ENDINGS
from flame_ray.rewards.factuality.decompose.grammar.tokens import (
    Phrase,
    concatenated,
    dependents,
    first_dependent,
    is_proper_noun,
    phrase_of,
    subtree,
    text_before,
    text_of,
)

if TYPE_CHECKING:
    from spacy.tokens import Token

# Nouns and prepositions that say something of all their items together.
COLLECTIVE = vocabulary("""
    between among amongst mix mixture blend combination relationship relations war conflict border difference differences
    marriage merger collaboration except without than unlike per versus both either neither""")
# Adjectives that take back what their noun says, so each item of a list needs them.
PRIVATIVE = vocabulary("former retired alleged fake aspiring potential possible future would-be honorary ex late fictional")
OF_PROFESSION = vocabulary("retired late aspiring")  # these take back a profession, but not a nationality
SUPERLATIVES = vocabulary("first last only sole final next same most least second third youngest oldest")
QUANTITIES = vocabulary("number variety range series couple handful host array lot dozens many some")
NATIONALITY_ENDINGS = ("an", "ish", "ese", "ch", "i", "ic")
NOT_PERSONS = vocabulary("teacher professor instructor scholar translator river color center order member number")


def is_set_off(head: Token) -> bool:
    """Whether a comma, a dash or a bracket stands before the phrase of `head`."""
    first = subtree(head)[0]
    before = text_before(first)
    dash = before in ("-", "–", "—") and first.i > 1 and bool(first.nbor(-2).whitespace_)
    return dash or before in (",", "(") or first.text == "("


def opens_examples(token: Token) -> bool:
    """Whether a token is `including`, or the `as` of `such as`."""
    such_as = token.lower_ == "as" and text_before(token).lower() == "such"
    return token.dep_ == "prep" and (token.lower_ == "including" or such_as)


def list_items(noun: Token, without: Set[Token]) -> list[Phrase]:
    """The phrase of `noun` once for each item that it lists, then its examples, without the subtrees of `without`."""
    listed = conjuncts(noun)
    found = {child: examples(child, without) for child in noun.children}
    all_examples = [example for given in found.values() for example in given]
    without = without | {child for child, given in found.items() if given}
    if len(listed) > 1:
        return [item for conjunct in listed for item in _conjunct_items(noun, conjunct, listed, without)] + all_examples
    return (_nested_items(noun, without) or [phrase_of(subtree(noun, without))]) + all_examples


def conjuncts(noun: Token) -> list[Token]:
    """`noun` and the nouns that `and` joins to it; `noun` alone where the list must stay together."""
    found, last = [noun], noun
    while (following := first_dependent(last, "conj")) is not None and following > last:
        found.append(following)
        last = following
    links = {each.lower_ for conjunct in found for each in dependents(conjunct, "cc", "preconj")}
    if not links & {"and", "&", "well"} or links & {"or", "nor", "but", "neither", "either"} or _is_collective(noun, found):
        return [noun]
    return found


def _is_collective(noun: Token, listed: Sequence[Token]) -> bool:
    """Whether a list says something of its items together, or is a single name."""
    above = [noun, *islice(noun.ancestors, 2)]
    if any(each.lower_ in COLLECTIVE for each in above) or any(
        each.lower_ in ("between", "together", "respectively") for each in noun.doc
    ):
        return True
    names = all(each.text[:1].isupper() for each in listed) and not any(dependents(each, "det") for each in listed[1:])
    first, head = subtree(noun)[0], noun.head
    the = first.text == "The" and first.i > 0  # `for The Globe and Mail`
    after_name = noun.dep_ == "pobj" and head.i > 0 and is_proper_noun(head.nbor(-1))
    return names and (the or (after_name and head.lower_ in ("of", "for")))  # `Academy of Arts and Letters`


def _conjunct_items(noun: Token, conjunct: Token, listed: Sequence[Token], without: Set[Token]) -> Iterator[Phrase]:
    others = {
        child
        for child in conjunct.children
        if child in listed or child.dep_ in ("cc", "preconj") or (child > conjunct and child.text in (",", ";"))
    }
    without = without | others
    if conjunct == noun:
        yield phrase_of(subtree(conjunct, without))
        return
    shared = _shared_modifiers(noun, conjunct)
    for item in _nested_items(conjunct, without) or [phrase_of(subtree(conjunct, without))]:
        text = f"{shared} {item.text}" if shared else item.text
        yield Phrase(item.anchor, _with_article(noun, conjunct, text), item.tokens)


def _shared_modifiers(noun: Token, conjunct: Token) -> str:
    """What the first item says for all of them: its owner, and a privative adjective."""
    if dependents(conjunct, "det", "poss", "nummod"):
        return ""
    owner = first_dependent(noun, "poss")
    words = text_of(subtree(owner)) if owner is not None and owner < noun and not is_proper_noun(conjunct) else ""
    if owner is not None and words and owner.tag_ != "PRP$" and not words.endswith(("'s", "’s", "'", "’")):
        words += "'s"
    privative = text_of(child for child in dependents(noun, "amod") if child.lower_ in PRIVATIVE)
    return " ".join(part for part in (words, privative) if part)


def _with_article(noun: Token, conjunct: Token, text: str) -> str:
    """`an actor and singer` -> `a singer`"""
    article = next((each.lower_ for each in dependents(noun, "det")), "")
    bare = not dependents(conjunct, "det", "poss", "nummod") and not is_proper_noun(conjunct)
    if article in ("a", "an") and conjunct.tag_ == "NN" and bare:
        return f"{indefinite_article(text)} {text}"
    return f"the {text}" if article == "the" and bare else text


def indefinite_article(text: str) -> str:
    return "an" if text[:1].lower() in "aeiou" else "a"


def _nested_items(noun: Token, without: Set[Token]) -> list[Phrase]:
    """`a coordinator for films such as A and B` -> one item a film; empty when no phrase inside is a list."""
    for prep in dependents(noun, "prep"):
        inner = first_dependent(prep, "pobj")
        if prep in without or inner is None or prep.lower_ in COLLECTIVE or examples(prep):
            continue
        found = list_items(inner, without)
        before = [token for token in subtree(noun, without | {prep}) if token < prep]
        if len(found) > 1 and before:
            lead = phrase_of([*before, prep])
            if noun.lower_ in QUANTITIES and prep.lower_ == "of":
                given = [item for child in inner.children for item in examples(child, without)]
                return [concatenated(lead, found[0]), *given]
            return [concatenated(lead, item) for item in found]
    return []


def examples(token: Token, without: Set[Token] = frozenset()) -> list[Phrase]:
    """`including A, B, and C` -> A; B; C. They are split at commas, for the parser often gets their heads wrong."""
    if not opens_examples(token):
        return []
    inner = first_dependent(token, "pobj", "pcomp", "prep")
    if inner is None or inner.dep_ != "pobj":
        return []
    return [phrase_of(part) for part in _split_at_commas([each for each in subtree(token, without) if each > token])]


def _split_at_commas(tokens: Sequence[Token]) -> list[list[Token]]:
    oxford = any(one.text == "," and two.lower_ == "and" for one, two in pairwise(tokens))
    parts: list[list[Token]] = [[]]
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        number_follows = at + 1 < len(tokens) and tokens[at + 1].tag_.startswith("CD")
        comma = token.text == "," and not number_follows and depth == 0
        joins = token.lower_ in ("and", "&") and depth == 0 and (not oxford or text_before(token) == ",")
        if comma or joins:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if text_of(part)]


def is_superlative(noun: Token) -> bool:
    """Whether a phrase singles its noun out (`the first ...`, `the largest ...`): a part of the phrase would claim more."""
    singled_out = any(each.tag_ in ("JJS", "RBS") or each.lower_ in SUPERLATIVES for each in noun.lefts)
    return singled_out and not dependents(noun, "poss")


def nationality(noun: Token) -> list[Token]:
    """The tokens of `American` in `an American actor`; none where `noun` is no person or the adjective is not about one."""
    person = (
        noun.lower_.endswith((*PERSON_ENDINGS, "ary", "host", "star", "chef", "pilot", "poet"))
        and noun.lower_ not in NOT_PERSONS
    )
    names = [
        child
        for child in dependents(noun, "amod", "compound", "nmod")
        if child < noun and child.text[:1].isupper() and child.lower_.endswith(NATIONALITY_ENDINGS)
    ]
    if len(names) != 1 or not person or any(each.lower_ in PRIVATIVE - OF_PROFESSION for each in dependents(noun, "amod")):
        return []
    return subtree(names[0])
