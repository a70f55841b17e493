"""The subject of a clause, in words that stand alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.decompose.grammar.clauses import QUANTIFIERS, Clauses, first_conjunct, is_predicate_noun
from flame_ray.rewards.factuality.decompose.grammar.noun_phrases import conjuncts, list_items
from flame_ray.rewards.factuality.decompose.grammar.tokens import (
    RELATIVE_PRONOUNS,
    Phrase,
    concatenated,
    dependents,
    first_dependent,
    own_subject,
    phrase_of,
    root_of,
    subtree,
    text_of,
)
from flame_ray.rewards.factuality.decompose.sentences import COLLECTIVE_VERBS, VERBS

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

SINGULAR = {"are": "is", "were": "was", "have": "has"}


def subjects(clauses: Clauses, verb: Token) -> list[Phrase]:
    """The verb's own subject, item by item where a list can be split; or that of the verb before, or the noun described."""
    own = own_subject(verb)
    if own is not None and own.tag_ not in RELATIVE_PRONOUNS:
        return _items_of_subject(clauses, verb, own)
    if verb.dep_ in ("relcl", "acl"):
        return [reference(clauses, verb.head, for_clause=True)]
    return [] if verb == verb.head else subjects(clauses, verb.head)


def joined(items: Sequence[Phrase]) -> Phrase:
    """All items of a subject as one phrase."""
    return replace(concatenated(*items), text=" and ".join(item.text for item in items))


def full_phrase(clauses: Clauses, head: Token) -> Phrase:
    return phrase_of(subtree(head, clauses.detached))


def lifespan(verb: Token) -> Phrase | None:
    """`(1862-1946)` behind a subject. Only the first statement of a sentence repeats it."""
    own = own_subject(verb)
    after = [each for each in dependents(own, "punct") if each > own] if own is not None else []
    opening = next((each for each in after if each.text == "("), None)
    closing = next((each for each in after if each.text == ")"), None)
    if opening is None or closing is None:
        return None
    between = list(verb.doc)[opening.i + 1 : closing.i]
    if not between or any(each.tag_.startswith(("NN", "VB", "JJ")) for each in between):
        return None
    return Phrase(opening, f"({text_of(between)})", frozenset([opening, *between, closing]))


def reference(clauses: Clauses, noun: Token, for_clause: bool = False) -> Phrase:
    """How a statement refers to `noun`. A clause prefers the name that an apposition gives it."""
    first = first_conjunct(noun)
    if first.dep_ == "appos" and first in clauses.detached:
        if for_clause and first.tag_ == "NNP":
            return full_phrase(clauses, first)
        return reference(clauses, first.head)
    if first.dep_ == "attr" and is_predicate_noun(first):
        found = subjects(clauses, first.head)
        if len(found) == 1:
            return found[0]
    named = next((each for each in dependents(noun, "appos") if each in clauses.detached and each.tag_ == "NNP"), None)
    if named is not None and for_clause and not noun.tag_.startswith("NNP"):
        return full_phrase(clauses, named)
    article = next((each for each in dependents(noun, "det") if each.lower_ in ("a", "an")), None)
    without = clauses.detached.union(dependents(noun, "conj", "cc"))
    phrase = phrase_of([token for token in subtree(noun, without) if token != article])
    return phrase if article is None else replace(phrase, text=f"The {phrase.text}")


def _items_of_subject(clauses: Clauses, verb: Token, own: Token) -> list[Phrase]:
    """The items of a subject; `Ada and Bo were poets` stays whole, for neither `were` nor `poets` is true of one alone."""
    whole, span = full_phrase(clauses, own), lifespan(verb)
    if span is not None:
        whole = phrase_of(sorted(whole.tokens - span.tokens))
    owner = next((each for each in dependents(own, "poss") if each.tag_ == "WP$"), None)
    if owner is not None:  # `whose father` -> `Ada's father`
        rest = phrase_of(sorted(whole.tokens - {owner}))
        return [replace(rest, text=f"{reference(clauses, verb.head).text}'s {rest.text}")]
    plural = any(each.tag_ in ("NNS", "NNPS") for each in dependents(verb, "attr", "dobj"))
    first = min([verb, *dependents(verb, "aux", "auxpass")]).lower_
    of_each = first in SINGULAR or verb.tag_ == "VBD" or (f"{first}s" in VERBS and first not in COLLECTIVE_VERBS)
    if plural or own.lower_ in QUANTIFIERS or not of_each:
        return [whole]
    listed = conjuncts(own)
    owned = any(each.tag_ == "PRP$" for noun in listed for each in dependents(noun, "poss"))  # `Ada and her brother`
    return list_items(own, clauses.detached) if len(listed) > 1 and not owned else [whole]


def with_agreement(group: Phrase, items: Sequence[Phrase]) -> Phrase:
    """`are known` -> `is known`, where each item of a subject has a statement of its own."""
    first, _, rest = group.text.partition(" ")
    singular = f"{first}s" if f"{first}s" in VERBS else SINGULAR.get(first, first)
    return replace(group, text=f"{singular} {rest}".strip()) if len(items) > 1 else group


@dataclass(frozen=True, slots=True)
class Antecedent:
    """What a later pronoun can refer to: nothing, where the text is empty; a person, where it is a name."""

    text: str = ""
    is_name: bool = False


def antecedent(doc: Doc) -> Antecedent | None:
    """The subject of a sentence without its relative clauses and appositions; None where the parser finds no subject.

    A pronoun, a thing of somebody's and a subject of more than seven words are no antecedent.
    """
    if not len(doc):
        return Antecedent()
    noun = first_dependent(root_of(doc), "nsubj", "nsubjpass")
    if noun is None:
        return None
    if noun.tag_ in ("PRP", "DT", "WP", "EX") or dependents(noun, "poss"):
        return Antecedent()
    set_off = [each for each in dependents(noun, "appos", "punct") if each > noun]
    text = text_of(subtree(noun, [*dependents(noun, "relcl", "acl"), *set_off]))
    if len(text.split()) > 7:
        return Antecedent()
    return Antecedent(text[:1].upper() + text[1:], is_name=noun.tag_.startswith("NNP"))
