"""Verb phrases: a verb with its auxiliaries, and the complements and adjuncts that can be said with it one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.grammar.clauses import Clauses, tense_tag
from flame_ray.rewards.factuality.decompose.grammar.noun_phrases import COLLECTIVE, conjuncts, examples, list_items
from flame_ray.rewards.factuality.decompose.grammar.subjects import full_phrase, reference
from flame_ray.rewards.factuality.decompose.grammar.tokens import (
    RELATIVE_PRONOUNS,
    SUBJECTS,
    Phrase,
    concatenated,
    dependents,
    first_dependent,
    own_subject,
    phrase_of,
    subtree,
    text_of,
)

if TYPE_CHECKING:
    from spacy.tokens import Token

CONNECTIVES = frozenset(
    vocabulary(
        """such including also additionally furthermore moreover however then therefore thus and but overall sadly
        unfortunately fortunately interestingly notably importantly ultimately tragically"""
    )
)
NOT_ARGUMENTS = (*SUBJECTS, "punct", "cc", "mark", "intj", "preconj", "twin")
INCOMPLETE = frozenset(
    vocabulary("be know regard consider remember credit describe recognize respect base locate situate accuse charge")
)
OF_OBJECTS = frozenset(vocabulary("on upon of to into"))
Slot = list[Phrase]  # one complement or adjunct; a list has a phrase for each item


# --- a verb and its auxiliaries -------------------------------------------------------------------------------------


def inherited_auxiliaries(verb: Token) -> list[Token]:
    """Auxiliaries of the verb before, for a conjunct that needs them: `has sung and danced`."""
    head = verb.head
    if verb.dep_ != "conj" or dependents(verb, "aux", "auxpass"):
        return []
    if head.lemma_ == "be" and verb.tag_ in ("VBN", "VBG") and not dependents(head, "attr"):
        return [*dependents(head, "aux"), head]  # `is 30 m wide and made of steel`
    same_form = verb.tag_ in ("VB", "VBN", "VBG") and head.tag_ == verb.tag_
    return (dependents(head, "aux", "auxpass") or inherited_auxiliaries(head)) if same_form else []


def joined_verbs(verb: Token) -> list[list[Token]]:
    """`was born and raised in Lima`: each verb by itself; but `has written and directed a film`: both at once."""
    twins = dependents(verb, "twin")
    free = all(each.lower_ in ("in", "on", "at", "by") for each in dependents(verb, "prep", "agent"))
    return [[each] for each in (verb, *twins)] if dependents(verb, "auxpass") and free else [[verb, *twins]]


def verb_group(clauses: Clauses, verb: Token, verbs: Sequence[Token], tense: str) -> Phrase:
    """Auxiliaries and adverbs, and `verbs`: the verb, or those that share its clause. `tense` is the auxiliary it lacks."""
    own = own_subject(verb)
    begin = own.i if own is not None and own < verb else 0
    before = [each for each in dependents(verb, "aux", "auxpass", "advmod") if each < verb and not list(each.children)]
    said = [each for each in before if each.tag_ != "WRB" and each.lower_ not in CONNECTIVES]
    inside = [each for each in said if each.i > begin or each.dep_ != "advmod"]
    tokens = sorted({*inherited_auxiliaries(verb), *inside, *verb.doc[min(verbs).i : max(verbs).i + 1]})
    text = text_of(tokens)
    text = text[:1].lower() + text[1:] if tokens[0].i == 0 else text
    if text.startswith("having ") and own is None:
        text = f"{'had' if tense_tag(clauses.root) == 'VBD' else 'has'} {text.removeprefix('having ')}"
    if verb.lower_ == "being" and tense:
        text, tense = tense, ""
    if tense == "is" and tokens == [verb] and verb.tag_ == "VBG":
        text, tense = third_person(verb.lemma_), ""  # `consisting of` -> `consists of`
    return Phrase(verb, f"{tense} {text}".strip(), frozenset(tokens))


def third_person(lemma: str) -> str:
    """
    >>> third_person("consist"), third_person("have"), third_person("carry")
    ('consists', 'has', 'carries')
    """
    if lemma in ("have", "be"):
        return {"have": "has", "be": "is"}[lemma]
    if lemma.endswith("y") and lemma[-2:-1] not in "aeiou":
        return f"{lemma[:-1]}ies"
    return f"{lemma}es" if lemma.endswith(("s", "sh", "ch", "x", "z", "o")) else f"{lemma}s"


# --- complements and adjuncts ---------------------------------------------------------------------------------------


def verb_phrases(clauses: Clauses, group: Phrase, without: Set[Token]) -> Iterator[Phrase]:
    """The verb group with each complement, and with its complements and each adjunct."""
    complements, adjuncts = arguments(clauses, group.anchor, group.tokens | without)
    if _is_generic(group.anchor):
        complements, adjuncts = [*complements, *adjuncts], []
    return (_in_order(group, chosen) for chosen in _combinations(complements, adjuncts))


def _is_generic(verb: Token) -> bool:
    """Whether a clause tells a habit of a kind, `llamas live in the Andes at great heights`: it needs all its adjuncts."""
    own = own_subject(verb)
    if own is None or own.tag_ not in ("NN", "NNS") or dependents(own, "poss"):
        return False
    return tense_tag(verb) in ("VBZ", "VBP") and verb.tag_ != "VBN"


def arguments(clauses: Clauses, verb: Token, without: Set[Token]) -> tuple[list[Slot], list[Slot]]:
    """The complements and the adjuncts of a verb, but for those whose head is in `without`."""
    skipped, complements, adjuncts = clauses.detached | without, list[Slot](), list[Slot]()
    if any(each not in skipped for each in dependents(verb, "conj", "dep", "parataxis")):  # joined to an unknown head
        rest = subtree(verb, clauses.detached.union(dependents(verb, *SUBJECTS)))
        return [[phrase_of([each for each in rest if each not in without | {verb} and each.tag_ != "WRB"])]], []
    if any(each.tag_ in RELATIVE_PRONOUNS for each in dependents(verb, "dobj")):  # `Ajax, which he founded`
        complements.append([replace(reference(clauses, verb.head, for_clause=True), anchor=verb)])
    for child in verb.children:
        silent = child.dep_ in NOT_ARGUMENTS or child.tag_ in ("WRB", *RELATIVE_PRONOUNS) or child.lower_ in CONNECTIVES
        if silent or child in skipped:
            continue
        if child.dep_ in ("prep", "npadvmod", "agent"):
            adjuncts += prepositional_phrases(clauses, child)
        elif child.dep_ == "advcl" or (child.dep_ == "advmod" and list(child.children)):
            adjuncts.append([full_phrase(clauses, child)])
        else:
            complement, more = _complement(clauses, child)
            complements.append(complement)
            adjuncts += more
    complements, adjuncts = ([[_inside(item) for item in slot] for slot in part] for part in (complements, adjuncts))
    first = next((at for at, slot in enumerate(adjuncts) if slot[0].anchor > verb), None)
    if first is not None and not complements and _is_incomplete(verb, adjuncts[first]):
        complements = [adjuncts.pop(first)]
    return complements, adjuncts


def _is_incomplete(verb: Token, adjunct: Slot) -> bool:
    """Whether a verb says nothing without its first adjunct: `has been on the air since 1978`, `is known for his novels`."""
    opening = adjunct[0].text.split(" ")[0].lower()
    passive = dependents(verb, "auxpass") or (verb.tag_ == "VBN" and not dependents(verb, "aux"))
    return verb.lemma_ in INCOMPLETE or (opening in OF_OBJECTS and not passive)


def _inside(item: Phrase) -> Phrase:
    """The sentence's opening phrase without its capital letter, as it follows a verb now."""
    keeps = item.anchor.i != 0 or item.anchor.tag_.startswith("NNP")
    return item if keeps else replace(item, text=item.text[:1].lower() + item.text[1:])


def _combinations(complements: Sequence[Slot], adjuncts: Sequence[Slot]) -> Iterator[list[Phrase]]:
    """Which items make a statement together: each complement alone, and the complements with each adjunct.

    `a prize in 1980 and a medal in 1998`: an adjunct between two items of a list is about the one before it.
    """
    first = [slot[0] for slot in complements]
    varied = [(at, item) for at, slot in enumerate(complements) if len(slot) > 1 for item in slot]
    extra = [item for slot in adjuncts for item in slot]
    places = [item.anchor.i for _, item in varied]
    begin, last = min(places, default=-1), max(places, default=-1)
    owned = any(begin < item.anchor.i < last for item in extra)
    for at, item in varied:
        place = item.anchor.i
        following = min((other for other in places if other > place), default=place + 10**6)
        own = [each for each in extra if owned and place < each.anchor.i < following]
        yield [*first[:at], item, *first[at + 1 :], *own]
    if not varied and not extra:
        yield first
    yield from ([*first, item] for item in extra if not owned or item.anchor.i < begin)


def _in_order(group: Phrase, chosen: Sequence[Phrase]) -> Phrase:
    """A verb group and the phrases chosen to follow it, in the sentence's order."""
    return concatenated(group, *sorted(chosen, key=lambda phrase: (phrase.anchor < group.anchor, phrase.anchor)))


def prepositional_phrases(clauses: Clauses, prep: Token) -> list[Slot]:
    """The items of a phrase with a preposition, and of those that `and` joins to it."""
    noun, links = first_dependent(prep, "pobj"), dependents(prep, "conj")
    conjunctions = {each.lower_ for each in dependents(prep, "cc", "preconj")}
    if prep.lower_ in COLLECTIVE or (links and (noun is None or conjunctions & {"or", "nor", "but", "either"})):
        return [[full_phrase(clauses, prep)]]
    more = [slot for each in links for slot in prepositional_phrases(clauses, each)]
    without = clauses.detached.union(links, dependents(prep, "cc"))
    if noun is None:
        return [[phrase_of(subtree(prep, without))], *more]
    rest = subtree(prep, without | {noun})
    before, after = [each for each in rest if each < noun], text_of(each for each in rest if each > noun)
    lead, used = text_of(before), frozenset(rest)
    items = [Phrase(before[0], f"{lead} {item.text} {after}".strip(), item.tokens | used) for item in list_items(noun, without)]
    return [items, *more]


def _complement(clauses: Clauses, child: Token) -> tuple[Slot, list[Slot]]:
    if child.dep_ in ("dobj", "attr", "oprd", "dative", "acomp"):
        preps = _separable_phrases(clauses, child) if child.dep_ == "dobj" else []
        items = list_items(child, clauses.detached.union(preps))
        return items, [slot for prep in preps for slot in prepositional_phrases(clauses, prep)]
    if child.dep_ == "xcomp":
        return _infinitives(clauses, child), []
    return [full_phrase(clauses, child)], []


def _separable_phrases(clauses: Clauses, noun: Token) -> list[Token]:
    """Prepositions of an object whose phrases can be said one at a time: `a degree in law from Lima`."""
    inseparable = {"of", "than", "as", "to", *COLLECTIVE}
    after = [prep for prep in dependents(noun, "prep") if prep > noun and prep not in clauses.detached]
    return [prep for prep in after if prep.lower_ not in inseparable and not examples(prep)]


def _infinitives(clauses: Clauses, verb: Token) -> Slot:
    """`to sing and dance` -> `to sing`; `to dance`; each item of a list inside is said by itself, too."""
    listed = conjuncts(verb)
    to = any(each.lower_ == "to" for each in dependents(verb, "aux"))
    found = []
    for each in listed:
        without = frozenset({*listed, *dependents(each, "cc")} if len(listed) > 1 else ())
        before = [child for child in each.lefts if child not in clauses.detached | without]
        group = phrase_of(sorted({each, *(token for child in before for token in subtree(child, clauses.detached))}))
        if each != verb and to and each.tag_ == "VB" and not dependents(each, "aux"):
            group = replace(group, text=f"to {group.text}")
        complements, adjuncts = arguments(clauses, each, without | group.tokens)
        found += [_in_order(group, chosen) for chosen in _combinations([*complements, *adjuncts], [])]
    return found
