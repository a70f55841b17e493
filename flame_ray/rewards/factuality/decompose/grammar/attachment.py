"""Repairs of the parser's frequent errors: a token that depends on the wrong head is attached to the right one."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.grammar.tokens import dependents, is_date, is_noun, is_verb, subtree, text_before

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

COUNT_WORDS = vocabulary("several numerous various many multiple other some two three four five six seven eight nine ten")
PERSON_ENDINGS = ("or", "er", "ist", "ian", "man", "woman", "ess", "eer", "ete", "ot", "ent", "ant", "ic")


def repair(doc: Doc) -> None:
    """Changes heads, relations and tags in place. Each repair sees the changes of those before it."""
    tokens = list(doc)
    for change in REPAIRS:
        for token in tokens:
            change(token)


def _attach(token: Token, head: Token, relation: str = "") -> None:
    """Makes `head` the token's head, unless `head` depends on the token."""
    if head not in (token, token.head) and not token.is_ancestor(head):
        token.head = head
        token.dep_ = relation or token.dep_


def _attach_conjunct(token: Token, head: Token) -> None:
    """Attaches a conjunct and its conjunction to another head."""
    conjunctions = [each for each in dependents(token.head, "cc") if each < token]
    _attach(token, head)
    for conjunction in conjunctions[-1:]:
        _attach(conjunction, head)


def _has_article_or_owner(noun: Token) -> bool:
    return any(each.text in ("a", "an") or each.tag_ == "PRP$" for each in dependents(noun, "det", "poss"))


# --- coordination ---------------------------------------------------------------------------------------------------


def _noun_tagged_as_verb(token: Token) -> None:
    """`as a starter and reliever`: a base form that `and` joins to a finite verb is a noun."""
    finite = token.head.tag_ in ("VBD", "VBZ", "VBN") and not dependents(token.head, "aux")
    if token.dep_ == "conj" and token.tag_ == "VB" and finite:
        token.tag_ = "NN"


def _finite_conjunct(token: Token) -> None:
    """`studied law at Lima and later moved`: a finite verb is joined to a verb."""
    if token.dep_ == "conj" and token.tag_ in ("VBD", "VBZ") and not is_verb(token.head):
        verb = next((each for each in token.ancestors if is_verb(each)), None)
        if verb is not None:
            _attach_conjunct(token, verb)


def _joined_participles(token: Token) -> None:
    """`was born and raised in Lima`: both verbs share what follows. The second one's relation becomes `twin`."""
    head = token.head
    if token.dep_ != "conj" or head.i != token.i - 2 or text_before(token) != "and" or token.tag_ not in ("VBN", "VBD"):
        return
    if head.tag_ == "VBN" and dependents(head, "aux", "auxpass") and not dependents(token, "aux", "auxpass"):
        token.dep_ = "twin"
        for child in list(token.rights):
            _attach(child, head)


def _noun_conjunct(token: Token) -> None:
    """A noun that follows `and` belongs to the list of the noun before it, or of the verb's object."""
    if not is_noun(token) or token.dep_ not in ("conj", "attr", "dobj", "oprd", "npadvmod", "appos"):
        return
    begin = subtree(token)[0]
    if begin.i < 2 or begin.nbor(-1).dep_ != "cc" or begin.nbor(-1).text not in ("and", "&"):
        return
    if token.dep_ == "conj" and not is_verb(token.head):
        return
    conjunction = begin.nbor(-1)
    before = token.doc[conjunction.i - (2 if text_before(conjunction) == "," else 1)]
    if not is_noun(before):
        before = next((each for each in dependents(token.head, "dobj", "attr") if each < conjunction), token)
    if before != token:
        _attach(token, before, "conj")
        _attach(conjunction, before)


def _list_parsed_as_apposition(token: Token) -> None:
    """`a journalist, author, and academic`, `50 states, a district, and two islands`: the second is no apposition."""
    if token.dep_ != "appos" or token.head.tag_ == "NNP":
        return
    conjuncts = [token]
    while following := dependents(conjuncts[-1], "conj"):
        conjuncts.append(following[0])
    conjunctions = [each for conjunct in conjuncts for each in dependents(conjunct, "cc")]
    bare = not dependents(token, "det", "poss") and token.tag_ == "NN"
    if len(conjuncts) > 1 and conjunctions and (bare or text_before(conjunctions[0]) == ","):
        token.dep_ = "conj"


def _conjunct_with_article(token: Token) -> None:
    """`a degree from Lima and a diploma`: a noun with an article or an owner is joined to another one that has one."""
    if token.dep_ != "conj" or not is_noun(token) or not _has_article_or_owner(token) or _has_article_or_owner(token.head):
        return
    near = takewhile(lambda each: not is_verb(each), token.ancestors)
    like = next((each for each in near if is_noun(each) and _has_article_or_owner(each)), None)
    if like is not None:
        _attach_conjunct(token, like)


def _list_of_persons(token: Token) -> None:
    """`an actor and stunt performer`: the parser takes `actor` for a part of the performer's title."""
    noun = token.head
    modifies = token.dep_ in ("nmod", "compound") and dependents(token, "cc") and not dependents(token, "conj") and token < noun
    if not modifies or not token.text.endswith(PERSON_ENDINGS) or not _has_article_or_owner(noun):
        return
    modifiers = [each for each in dependents(noun, "det", "amod", "poss", "compound", "nmod") if each < token]
    relation = noun.dep_
    token.head, token.dep_ = token if relation == "ROOT" else noun.head, relation
    noun.head, noun.dep_ = token, "conj"
    for each in modifiers:
        _attach(each, token)


def _phrase_after_list(token: Token) -> None:
    """`law and a job at the mill`: a phrase after the last noun of a list belongs to that noun, if it belongs to a noun."""
    if token.dep_ != "prep" or not token.i:
        return
    before = token.nbor(-1)
    if before.dep_ == "conj" and is_noun(before) and token.head < before and not is_verb(token.head):
        _attach(token, before)


# --- phrases of a noun or a verb ------------------------------------------------------------------------------------


def _split_name(token: Token) -> None:
    """`Ramesses IV was ...`: both words name the subject."""
    if token.dep_ != "npadvmod" or token.tag_ != "NNP" or is_date(token.text) or token.i + 1 == len(token.doc):
        return
    following = token.nbor()
    if following.tag_ == "NNP" and following.dep_ in ("nsubj", "nsubjpass"):
        _attach(token, following, "compound")


def _lone_participle(token: Token) -> None:
    """`in 10 innings pitched`: a participle without dependents behind a noun belongs to that noun."""
    lone = token.dep_ in ("advcl", "conj") and token.tag_ in ("VBD", "VBN") and not list(token.children)
    if lone and token.i and is_noun(token.nbor(-1)):
        _attach(token, token.nbor(-1), "amod")


def _phrase_after_participle(token: Token) -> None:
    """`a painter born in 1922, in Lima`: the place belongs to the birth."""
    head = token.head
    if token.text == "with":  # `a country bordered by Chile, with a population of 2 million`
        if text_before(token) == "," and head.dep_ == "acl":
            _attach(token, head.head)
        return
    if token.dep_ != "prep" or not is_noun(head):
        return
    nouns = [head, *dependents(head, "conj")]
    participles = [each for noun in nouns for each in dependents(noun, "acl") if each < token and each.tag_ == "VBN"]
    if participles:
        _attach(token, participles[-1])


def _preposition_without_noun(token: Token) -> None:
    """`threw for over 20 yards`: the parser takes the yards for an object of the verb."""
    if token.dep_ != "prep" or list(token.children):
        return
    for noun in dependents(token.head, "dobj", "npadvmod"):
        if subtree(noun)[0].i == token.i + 1:
            _attach(noun, token, "pobj")


def _number_range(token: Token) -> None:
    """`from 2013-2015`, `7-5`: a number behind a dash belongs to the number before the dash."""
    if token.i < 2:
        return
    dash, first = token.nbor(-1), token.nbor(-2)
    below = token.is_ancestor(first) or dash.is_ancestor(first)
    if token.tag_ == first.tag_ == "CD" and dash.text in ("-", "–") and not below:
        token.head, token.dep_ = first, "nmod"
        dash.head, dash.dep_ = first, "punct"


def _time_span(token: Token) -> None:
    """`from 1990 to 1999` is one phrase."""
    if token.dep_ != "prep" or token.lower_ not in ("to", "until", "till", "through"):
        return
    starts = [each for each in dependents(token.head, "prep") if each < token and each.lower_ == "from"]
    if starts and token.i - starts[-1].i <= 4:
        _attach(token, starts[-1])


def _relative_clause_of_date(token: Token) -> None:
    """`with a song in 1963, which became a hit`: the song became one, not the year."""
    date = token.head
    which = any(each.tag_ in ("WDT", "WP") for each in dependents(token, "nsubj", "nsubjpass", "dobj"))
    if token.dep_ == "relcl" and which and is_date(date.text):
        before = next((each for each in reversed(list(token.doc)[: date.head.i]) if is_noun(each)), None)
        if before is not None:
            _attach(token, before)


def _apposition_parsed_as_object(token: Token) -> None:
    """`won the Prize for Art, an award`: the parser takes the apposition for a second object."""
    begin = subtree(token)[0]
    if token.dep_ != "dobj" or text_before(begin) != "," or not _has_article_or_owner(token):
        return
    first = next((each for each in dependents(token.head, "dobj") if each < begin), None)
    if first is not None:
        _attach(token, first, "appos")


def _apposition(token: Token) -> None:
    """`born in Lima, Peru`, `of mezzotint, a technique`: what follows a comma describes the name just before it."""
    if token.dep_ not in ("appos", "npadvmod") or not is_noun(token):
        return
    begin = subtree(token)[0]
    if begin.i < 2 or text_before(begin) != "," or not is_noun(begin.nbor(-2)):
        return
    before = begin.nbor(-2)
    names = not dependents(token, "det", "poss") and token.tag_ == "NNP" and before.tag_ == "NNP"
    misplaced = token.dep_ == "appos" and not is_noun(token.head)
    if (names and not is_date(token.text) and not is_date(before.text)) or misplaced:
        _attach(token, before, "appos")


def _examples(token: Token) -> None:
    """`many films with Ada, including Ran`: the examples belong to the films."""
    if token.dep_ == "prep" and token.lower_ == "including":
        head = _exemplified_noun(token)
        while head.dep_ == "conj" and is_noun(head.head):
            head = head.head
        _attach(token, head)


def _exemplified_noun(token: Token) -> Token:
    """The noun of which examples follow: one with a number or `several`, or else the nearest plural."""
    ancestors = list(token.ancestors)
    verb = next((each for each in ancestors if is_verb(each)), None)
    nouns = [each for each in ancestors if each.tag_ in ("NNS", "NNPS") and each < token]
    if verb is not None:
        nouns += [each for each in dependents(verb, "dobj") if each.tag_ == "NNS" and each < token]
    counted = {each.head for each in token.doc if each.lower_ in COUNT_WORDS}
    return next((each for each in nouns if each in counted), nouns[0] if nouns else token.head)


def _phrase_beside_date(token: Token) -> None:
    """`born on May 2 in Lima`, `an award for his work in 1980`: neither phrase is about the other."""
    if token.dep_ != "prep" or token.lower_ == "of":
        return
    old = above = token.head
    while is_date(above.text) and above.head != above:
        above = above.head
    if above != old:
        _attach(token, above.head if above.dep_ == "prep" else above)
    first = token.head
    while first.dep_ == "conj" and is_noun(first):
        first = first.head
    in_list = first != token.head  # `a prize in 1980 and a medal in 1998`: the date belongs to the medal
    of_verb = first.dep_ == "dobj" and not in_list
    of_verb = of_verb or (first.dep_ == "pobj" and (first.head.text == "as" or first.head.dep_ == "agent"))
    if of_verb and any(is_date(each.text) for each in dependents(token, "pobj")):
        _attach(token, next((each for each in token.ancestors if is_verb(each)), old))


def _phrase_after_examples(token: Token) -> None:
    """`several awards, including the Medal in 2016`: what follows the last example is about that example."""
    if token.dep_ not in ("prep", "npadvmod") or token.lower_ == "including":
        return
    for each in dependents(token.head, "prep", "dobj", "pobj"):
        between = token.doc[each.i : token.i] if each < token else ()
        openings = [other for other in between if other.lower_ == "including"]
        if openings and not openings[-1] <= token.head < token:
            nouns = [other for other in between if is_noun(other) and other > openings[-1]]
            if nouns:
                _attach(token, nouns[-1])
            return


REPAIRS = (
    _noun_tagged_as_verb,
    _split_name,
    _lone_participle,
    _finite_conjunct,
    _joined_participles,
    _phrase_after_participle,
    _noun_conjunct,
    _list_parsed_as_apposition,
    _conjunct_with_article,
    _list_of_persons,
    _preposition_without_noun,
    _number_range,
    _time_span,
    _relative_clause_of_date,
    _apposition_parsed_as_object,
    _apposition,
    _examples,
    _phrase_beside_date,
    _phrase_after_list,
    _phrase_after_examples,
)
