"""What a subject is and has: predicate nouns, appositions, possessions, examples of a category."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.decompose.grammar.attachment import COUNTS
from flame_ray.rewards.factuality.decompose.grammar.clauses import Clauses, is_indefinite, is_pair_of_names, tense_tag
from flame_ray.rewards.factuality.decompose.grammar.noun_phrases import (
    conjuncts,
    examples,
    indefinite_article,
    list_items,
    nationality,
)
from flame_ray.rewards.factuality.decompose.grammar.subjects import full_phrase, reference
from flame_ray.rewards.factuality.decompose.grammar.tokens import (
    Phrase,
    concatenated,
    dependents,
    first_dependent,
    is_date,
    phrase_of,
    subtree,
    text_of,
)
from flame_ray.rewards.factuality.decompose.grammar.verb_phrases import arguments, prepositional_phrases

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token


def apposition(clauses: Clauses, noun: Token) -> Iterator[Phrase]:
    """`Ada, a poet from Lima` -> Ada is a poet; Ada is from Lima."""
    subject = reference(clauses, noun.head)
    if is_pair_of_names(noun):  # `in Lima, Peru`
        yield concatenated(subject, Phrase(noun, "is in", frozenset()), full_phrase(clauses, noun))
        return
    yield from predicate_noun(clauses, subject, Phrase(noun, "is", frozenset()), noun, frozenset())


def predicate_noun(clauses: Clauses, subject: Phrase, be: Phrase, noun: Token, without: frozenset[Token]) -> Iterator[Phrase]:
    """`X is an American actor and singer from Lima` -> X is American; an actor; a singer; from Lima."""
    nation, listed = nationality(noun), conjuncts(noun)
    origins = [each for member in listed for each in dependents(member, "prep") if _is_origin(each)]
    possessions = [each for head in [*listed, be.anchor] for each in dependents(head, "prep") if _is_possession(clauses, each)]
    adjectives = [each for each in dependents(noun, "amod", "compound", "nmod") if each in nation]
    items = list_items(noun, clauses.detached.union(origins, possessions, adjectives))
    items = [_with_article(item) for item in items] if nation else items
    nations = [phrase_of(nation)] if nation else []
    places = [item for each in origins for slot in prepositional_phrases(clauses, each) for item in slot]
    yield from (concatenated(subject, be, item) for item in [*nations, *items, *places])
    have = replace(be, text={"is": "has", "was": "had", "are": "have", "were": "had"}.get(be.text.split(" ")[0], "has"))
    for each in possessions:
        for item in list_items(dependents(each, "pobj")[0], clauses.detached):
            yield concatenated(subject, have, item)
    if be.anchor == noun:
        return
    complements, adjuncts = arguments(clauses, be.anchor, be.tokens | without | {noun, *possessions})
    for slot in [*complements, *adjuncts]:
        for item in slot:
            yield concatenated(subject, be, items[0], item)


def _is_origin(prep: Token) -> bool:
    """`an actor from Lima`, not `from 1990`"""
    noun = first_dependent(prep, "pobj")
    return prep.lower_ == "from" and noun is not None and not is_date(noun.text)


def _is_possession(clauses: Clauses, prep: Token) -> bool:
    """`a republic with a population of 2 million`"""
    noun = first_dependent(prep, "pobj")
    return prep.lower_ == "with" and noun is not None and is_indefinite(noun) and prep not in clauses.detached


def _with_article(item: Phrase) -> Phrase:
    first, _, rest = item.text.partition(" ")
    return replace(item, text=f"{indefinite_article(rest)} {rest}") if first.lower() in ("a", "an") else item


def additions(verb: Token) -> list[Token]:
    """The prepositions of `in addition to her career`, `besides her career`: she has one."""
    found = []
    for prep in dependents(verb, "prep"):
        words = [each.lower_ for each in subtree(prep)[:3]]
        if (words == ["in", "addition", "to"] or words[:1] in (["besides"], ["alongside"])) and _owner(prep) is not None:
            found.append(prep)
    return found


def _owner(prep: Token) -> Token | None:
    """The pronoun of `in addition to her career`."""
    nouns = [each for each in subtree(prep)[:6] if each.dep_ == "pobj"]
    return next((each for noun in nouns for each in dependents(noun, "poss") if each.tag_ == "PRP$"), None)


def has_addition(clauses: Clauses, subject: Phrase, verb: Token, prep: Token) -> Iterator[Phrase]:
    """`In addition to her career, Ada ...` -> Ada has a career."""
    owner = _owner(prep)
    if owner is None:
        return
    noun = owner.head
    text = text_of(each for each in subtree(noun, clauses.detached) if each != owner)
    article = f"{indefinite_article(text)} " if noun.tag_ == "NN" and noun.lower_ not in ("work", "research") else ""
    have = "had" if tense_tag(verb) == "VBD" else "has"
    yield concatenated(subject, Phrase(prep, f"{have} {article}{text}", frozenset(subtree(prep))))


def members_of_categories(clauses: Clauses, doc: Doc) -> Iterator[Phrase]:
    """`Italian films such as Roma` -> Roma is an Italian film"""
    for noun in doc:
        given = [item for child in noun.children for item in examples(child, clauses.detached)]
        named = [item for item in given if item.text[:1].isupper() or item.text[:1] in '"“' or item.anchor.tag_ == "NNP"]
        if not named or noun.tag_ != "NNS" or dependents(noun, "conj") or noun.dep_ == "conj":
            continue
        modifiers = [each for each in dependents(noun, "amod", "compound", "nmod") if each < noun and each.lower_ not in COUNTS]
        category = f"{text_of(modifiers)} {noun.lemma_}".strip()
        is_one = Phrase(noun, f"is {indefinite_article(category)} {category}", frozenset([*modifiers, noun]))
        yield from (concatenated(item, is_one) for item in named)
