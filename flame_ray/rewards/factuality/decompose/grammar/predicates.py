"""What is said of a subject: verbs with one complement or adjunct at a time, predicate nouns, possessions, categories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.grammar.attachment import COUNT_WORDS
from flame_ray.rewards.factuality.decompose.grammar.clauses import Clauses, is_indefinite, is_pair_of_names, tense_tag
from flame_ray.rewards.factuality.decompose.grammar.noun_phrases import (
    COLLECTIVE,
    conjuncts,
    examples,
    indefinite_article,
    list_items,
    nationality,
)
from flame_ray.rewards.factuality.decompose.grammar.subjects import full_phrase, reference
from flame_ray.rewards.factuality.decompose.grammar.tokens import (
    RELATIVE_PRONOUNS,
    SUBJECT_RELATIONS,
    Phrase,
    concatenated,
    dependents,
    first_dependent,
    is_date,
    own_subject,
    phrase_of,
    subtree,
    text_of,
)

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

CONNECTIVES = vocabulary("""
    such including also additionally furthermore moreover however then therefore thus and but overall sadly unfortunately
    fortunately interestingly notably importantly ultimately tragically""")
NOT_ARGUMENTS = (*SUBJECT_RELATIONS, "punct", "cc", "mark", "intj", "preconj", "twin")
INCOMPLETE = vocabulary("be know regard consider remember credit describe recognize respect base locate situate accuse charge")
OF_OBJECTS = vocabulary("on upon of to into")
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
        rest = subtree(verb, clauses.detached.union(dependents(verb, *SUBJECT_RELATIONS)))
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


# --- what a subject is and has ----------------------------------------------------------------------------------------


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
    items = [_with_own_article(item) for item in items] if nation else items
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


def _with_own_article(item: Phrase) -> Phrase:
    first, _, rest = item.text.partition(" ")
    return replace(item, text=f"{indefinite_article(rest)} {rest}") if first.lower() in ("a", "an") else item


def additions(verb: Token) -> dict[Token, Token]:
    """The preposition and the pronoun of each `in addition to her career` or `besides her career`: she has a career."""
    found = {}
    for prep in dependents(verb, "prep"):
        words, owner = [each.lower_ for each in subtree(prep)[:3]], _owner(prep)
        if owner is not None and (words == ["in", "addition", "to"] or words[0] in ("besides", "alongside")):
            found[prep] = owner
    return found


def _owner(prep: Token) -> Token | None:
    """The pronoun of `in addition to her career`."""
    nouns = [each for each in subtree(prep)[:6] if each.dep_ == "pobj"]
    return next((each for noun in nouns for each in dependents(noun, "poss") if each.tag_ == "PRP$"), None)


def has_addition(clauses: Clauses, subject: Phrase, verb: Token, prep: Token, owner: Token) -> Phrase:
    """`In addition to her career, Ada ...` -> Ada has a career."""
    noun = owner.head
    text = text_of(each for each in subtree(noun, clauses.detached) if each != owner)
    article = f"{indefinite_article(text)} " if noun.tag_ == "NN" and noun.lower_ not in ("work", "research") else ""
    have = "had" if tense_tag(verb) == "VBD" else "has"
    return concatenated(subject, Phrase(prep, f"{have} {article}{text}", frozenset(subtree(prep))))


def members_of_categories(clauses: Clauses, doc: Doc) -> Iterator[Phrase]:
    """`Italian films such as Roma` -> Roma is an Italian film"""
    for noun in doc:
        given = [item for child in noun.children for item in examples(child, clauses.detached)]
        named = [item for item in given if item.text[:1].isupper() or item.text[:1] in '"“' or item.anchor.tag_ == "NNP"]
        if not named or noun.tag_ != "NNS" or dependents(noun, "conj") or noun.dep_ == "conj":
            continue
        modifiers = [
            each for each in dependents(noun, "amod", "compound", "nmod") if each < noun and each.lower_ not in COUNT_WORDS
        ]
        category = f"{text_of(modifiers)} {noun.lemma_}".strip()
        is_one = Phrase(noun, f"is {indefinite_article(category)} {category}", frozenset([*modifiers, noun]))
        yield from (concatenated(item, is_one) for item in named)
