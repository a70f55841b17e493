"""The clauses of a sentence: which become statements of their own, and which must stay whole."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.grammar.noun_phrases import is_set_off, is_superlative, opens_examples
from flame_ray.rewards.factuality.decompose.grammar.tokens import (
    FINITE,
    RELATIVE_PRONOUNS,
    dependents,
    first_dependent,
    is_date,
    is_noun,
    is_verb,
    own_subject,
    root_of,
    subtree,
    text_before,
)

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

NARROWING = vocabulary("no not n't n’t never hardly rarely seldom only without few neither nor none nobody nothing")
QUANTIFIERS = vocabulary("no all every each few most only any neither none nobody nothing")
FACTIVE = vocabulary("because since although though while whereas as")
LOCATIVE = vocabulary("in at from near to of")
DITRANSITIVE = vocabulary("give award grant offer pay teach show tell ask deny send allow owe name elect appoint call")
LIKE_PREPOSITIONS = vocabulary(
    "starting beginning culminating following regarding concerning owing ranging compared given based depending"
)


class Clauses:
    """The root of a sentence, and the heads of the clauses and appositions that are stated separately.

    `detached` has those heads and their conjunctions: other statements leave them out.
    """

    def __init__(self, doc: Doc):
        self.root = root_of(doc)
        self.heads = [token for token in doc if is_separable(token)]
        joined = [head.head for head in self.heads if head.dep_ == "conj"]
        self.detached = frozenset([*self.heads, *(each for head in joined for each in dependents(head, "cc"))])

    def head_of(self, token: Token) -> Token:
        """The head of the statement to which a token belongs."""
        return next((each for each in (token, *token.ancestors) if each in self.heads), self.root)

    def is_misparsed_clause(self, verb: Token) -> bool:
        """Whether a clause holds what no clause can: a passive with an object, a finite verb without a conjunction ..."""
        if dependents(verb, "auxpass") and verb.lemma_ not in DITRANSITIVE and dependents(verb, "dobj"):
            return True  # `is bordered by Chile to the north, Brazil to the east`
        if any(each.tag_ == "NNP" and not is_date(each.text) for each in dependents(verb, "npadvmod")):
            return True
        preps = [prep for prep in dependents(verb, "prep") if prep not in self.detached]
        if any(_has_parallel_list(prep) for prep in preps):
            return True
        if sum(prep.lower_ == "as" for prep in preps) > 1:  # `stars Ada as a pilot and Bo as a teacher`
            return True
        loose = [each for each in dependents(verb, "advcl", "dep", "conj", "parataxis") if each not in self.detached]
        if any(each.tag_ in FINITE and not dependents(each, "mark", "advmod") for each in loose):
            return True
        near = [each for prep in preps for each in subtree(prep, self.detached)[:4]]
        return any(each.tag_ in RELATIVE_PRONOUNS and each.lower_ != "that" for each in near)

    def scope(self, verb: Token) -> list[Token]:
        """Opening phrases that hold for the whole sentence: `In France, the religion is ... and the language ...`"""
        own, leading = own_subject(verb), own_subject(first_conjunct(verb))
        if own is None or leading is None:
            return []
        named = own.tag_.startswith("NNP") or own.lower_ in ("he", "she") or dependents(own, "poss")
        openings = dependents(first_conjunct(verb), "prep")
        return [] if named else [each for each in openings if each < leading and each not in self.detached]


def is_indefinite(noun: Token) -> bool:
    return any(each.lower_ in ("a", "an") for each in dependents(noun, "det"))


def first_conjunct(token: Token) -> Token:
    while token.dep_ == "conj":
        token = token.head
    return token


def is_predicate_noun(noun: Token) -> bool:
    """Whether a sentence says that its subject is `noun`: `X is a ...`"""
    first = first_conjunct(noun)
    return first.dep_ in ("attr", "appos") and is_indefinite(first)


def tense_tag(verb: Token) -> str:
    """The tag that tells the tense of a clause; empty where it has none."""
    group = sorted([verb, *dependents(verb, "aux", "auxpass")])
    return next((each.tag_ for each in group if each.tag_ in FINITE), "")


def is_narrowed(verb: Token, without: Set[Token]) -> bool:
    """Whether something in the clause narrows its claim (a negation, a quantity ...), so that no part can be left out."""
    own, below = own_subject(verb), subtree(verb, without)
    quantified = [] if own is None else [each.lower_ for each in (own, *dependents(own, "det", "amod"))]
    superlative = any(is_superlative(each) for each in below if each.dep_ in ("attr", "dobj", "pobj"))
    reports = bool(dependents(verb, "ccomp", "parataxis"))
    return superlative or reports or any(map(_narrows, below)) or bool(QUANTIFIERS & set(quantified))


def _narrows(token: Token) -> bool:
    a_few = token.lower_ == "few" and text_before(token).lower() == "a"
    return token.lower_ in NARROWING and not a_few


def _has_parallel_list(prep: Token) -> bool:
    """`played a king in Ran and a fool in Ikiru`: what follows `and` has a phrase of the same kind, so it is no place."""
    noun = first_dependent(prep, "pobj")
    while noun is not None and (noun := first_dependent(noun, "conj")) is not None:
        if any(each.lower_ == prep.lower_ for each in dependents(noun, "prep")):
            return True
    return False


def is_misparsed_sentence(doc: Doc) -> bool:
    """Whether the parser did not understand a sentence: no verb with a subject, an `and` that joins nothing ..."""
    root = root_of(doc)
    if not root.tag_.startswith(("VB", "MD")) or not (own_subject(root) is not None or dependents(root, "expl")):
        return True
    verbs = [each for each in doc if each.dep_ == "conj" and each.tag_ in ("VBZ", "VBP")]
    if any(own_subject(each) is None and each.i and is_noun(each.nbor(-1)) for each in verbs):
        return True  # `in Hindi, Tamil, and Kannada films`
    conjunctions = [each for each in doc if each.dep_ == "cc" and each.i and each.head.dep_ != "prep"]
    if any(not any(each > link for each in dependents(link.head, "conj", "twin")) for link in conjunctions):
        return True
    return any(each.dep_ == "dobj" and is_noun(each.head) for each in doc)


def is_cleft(verb: Token) -> bool:
    """`it was his love of books that led him there`: `it` refers to nothing before."""
    own = own_subject(verb)
    if own is None or own.lower_ != "it" or verb.lemma_ not in ("be", "seem", "appear", "take"):
        return False
    if dependents(verb, "ccomp", "xcomp", "advcl", "csubj"):
        return True
    return any(dependents(each, "relcl", "ccomp", "xcomp") for each in dependents(verb, "attr", "acomp"))


# --- what is stated separately --------------------------------------------------------------------------------------


def is_separable(token: Token) -> bool:
    """Whether the clause or apposition of a token can be a statement of its own."""
    if any(each.dep_ in ("ccomp", "csubj", "pcomp", "xcomp") for each in token.ancestors):
        return False
    if token.dep_ == "conj":
        return _is_separable_conjunct(token)
    if token.dep_ == "advcl":
        return _is_separable_adverbial(token)
    if token < token.head:
        return False
    if token.dep_ == "appos":
        return _is_description(token)
    if token.dep_ not in ("relcl", "acl"):
        return False
    loose = is_set_off(token) or is_predicate_noun(token.head) or token.head.tag_.startswith("NNP")
    return loose and (_is_separable_relative(token) if token.dep_ == "relcl" else token.tag_ in ("VBN", "VBG"))


def _is_separable_conjunct(verb: Token) -> bool:
    """Whether `and` or `but` joins a verb to a main clause, and it shares no negation with that clause."""
    head = verb.head
    if not (is_verb(verb) and is_verb(head)):
        return False
    links = {each.lower_ for each in dependents(head, "cc", "preconj")}
    complete = own_subject(verb) is not None or verb.tag_ in FINITE or dependents(verb, "aux", "auxpass")
    if links & {"or", "nor", "either", "neither"} or (not complete and is_narrowed(head, {verb})):
        return False
    return head.head == head or is_separable(head)


def _is_separable_adverbial(verb: Token) -> bool:
    mark = next((each for each in dependents(verb, "mark", "advmod") if each < verb), None)
    if verb.head.dep_ in ("amod", "acomp") or verb.lower_ in LIKE_PREPOSITIONS:
        return False
    if own_subject(verb) is not None:
        word = mark.lower_ if mark is not None else ""
        return word in FACTIVE and (word != "as" or is_set_off(verb)) and bool(tense_tag(verb))
    return mark is None and verb.tag_ in ("VBN", "VBG") and (is_set_off(verb) or verb < verb.head)


def _is_description(noun: Token) -> bool:
    """Whether an apposition says what its noun is: `Ada, a poet`, `the firm, Acme`, `in Lima, Peru`."""
    head = noun.head
    if not (is_noun(noun) and is_noun(head) and is_set_off(noun)) or any(map(opens_examples, noun.ancestors)):
        return False
    bracketed = text_before(subtree(noun)[0]) == "("
    if is_pair_of_names(noun):
        return _is_location(noun) and not bracketed
    return bool(dependents(noun, "det", "poss")) or not (bracketed or head.tag_ == "NNS")


def is_pair_of_names(noun: Token) -> bool:
    """Whether an apposition and its noun are both names: then one is the other's location, or they are items of a list."""
    return noun.tag_ == noun.head.tag_ == "NNP" and not dependents(noun, "det", "poss")


def _is_location(noun: Token) -> bool:
    first = noun
    while first.dep_ == "appos":
        first = first.head
    prep = first.head
    in_place = first.dep_ == "pobj" and prep.lower_ in LOCATIVE
    of_name = prep.lower_ == "of" and prep.head.tag_.startswith("NNP")
    return in_place and not of_name and all(each.tag_ in ("NNP", ",") for each in subtree(noun))


def _is_separable_relative(verb: Token) -> bool:
    """Whether a relative clause can be stated with its noun in the pronoun's place."""
    noun, subject = verb.head, own_subject(verb)
    pronoun = next((each for each in subtree(verb) if each.tag_ in (*RELATIVE_PRONOUNS, "WP$", "WRB")), None)
    if pronoun is None:
        return False
    if pronoun.tag_ == "WP$":
        return pronoun.head == subject
    if pronoun.head != verb:
        return False
    if pronoun.tag_ == "WRB":
        return subject is not None and pronoun.lower_ in ("where", "when") and is_set_off(verb)
    if pronoun == subject:
        plural = min([verb, *dependents(verb, "aux", "auxpass")]).lower_ in ("are", "were", "have")
        return not plural or noun.tag_ in ("NNS", "NNPS") or bool(dependents(noun, "conj"))
    is_object = pronoun.dep_ == "dobj" and subject is not None and is_set_off(verb)
    return is_object and not dependents(verb, "dobj")[1:] and not is_narrowed(verb, frozenset()) and not is_cleft(verb)
