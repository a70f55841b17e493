"""The statements of a claim: one for each clause, item of a list, and adjunct that can stand alone.

Each consists of the sentence's own words. What narrows a claim (a negation, a condition, a source, a comparison) is never cut
from it: a clause that has such a word stays whole, and so does one that is misparsed or that would lose a word. A fact is then
harder to support, never easier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.grammar.clauses import (
    FACTIVE,
    Clauses,
    is_cleft,
    is_indefinite,
    is_misparsed_sentence,
    is_narrowed,
    tense_tag,
)
from flame_ray.rewards.factuality.decompose.grammar.predicates import (
    CONNECTIVES,
    additions,
    apposition,
    has_addition,
    inherited_auxiliaries,
    joined_verbs,
    members_of_categories,
    predicate_noun,
    verb_group,
    verb_phrases,
)
from flame_ray.rewards.factuality.decompose.grammar.subjects import (
    full_phrase,
    joined,
    lifespan,
    reference,
    subjects,
    with_agreement,
)
from flame_ray.rewards.factuality.decompose.grammar.tokens import (
    FINITE,
    RELATIVE_PRONOUNS,
    SUBJECT_RELATIONS,
    Phrase,
    concatenated,
    dependents,
    first_dependent,
    is_noun,
    own_subject,
    phrase_of,
    root_of,
    subtree,
    text_of,
    tidy,
)
from flame_ray.rewards.factuality.decompose.rule import split_clauses, split_list

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

LONGEST_SENTENCE = 120  # tokens of a sentence that is split: a longer one is a list without grammar, or no sentence
UNSPLITTABLE = vocabulary("""
    if unless whether according supposedly allegedly reportedly purportedly rumored rumoured hypothetically theoretically
    otherwise neither nor unlike contrary instead rather""")
COPULAS = {"VBD": "was", "VBZ": "is", "VBP": "is"}
HAPPENS_ONCE = vocabulary("born founded established released killed directed written")
MAKING_IT = re.compile(r"\b(is|was|has been|makes)(?: making)? it (the|an?|one of)\b")  # `..., making it the largest`
CONTENT_TAGS = ("NN", "JJ", "CD", "VB", "RB", "FW")
BEFORE_ORDER = ("RB", "UH", "CC", ",")  # `then mix ...`
CLAIMING_TAGS = (*FINITE, "MD", "NNP", "NNPS", "CD")
ENGLISH = vocabulary("""
    the and of are were with from has had have which who his her its their been by this that it he she they for also but not
    will can there""")
FOREIGN = vocabulary("""
    es el los las una y der das und ist ein eine est les des une et het een en og och che di sono um uma os jest nie w z je na
    si ir yra ve bir adalah dan yang ay ang ng la le il du au""")


@dataclass(frozen=True, slots=True)
class Statement:
    """`refers_back`: whether a pronoun that opens it stands for something in an earlier sentence."""

    text: str
    refers_back: bool = True


def statements_of(claim: str, doc: Doc) -> list[Statement]:
    """The statements of a claim and its parsed sentence, repaired.

    A claim that was not parsed (its `doc` is empty), is too long, is not English, or has a condition, a source or a contrast
    is one statement. One that the parser did not understand is split by the rules of `rule.py`. An instruction has none.
    """
    texts = [replace(each, text=tidy(each.text)) for each in _split_claim(claim, doc)]
    return [replace(each, text=each.text[:1].upper() + each.text[1:]) for each in texts]


def _split_claim(claim: str, doc: Doc) -> list[Statement]:
    if not 0 < len(doc) <= LONGEST_SENTENCE or any(each.lower_ in UNSPLITTABLE for each in doc) or not is_english(claim):
        return [Statement(claim)]
    if _is_instruction(doc):
        return []
    if is_misparsed_sentence(doc):
        return [Statement(text) for text in split_clauses(claim)]
    return _split_sentence(doc)


def is_english(claim: str) -> bool:
    """Whether a claim has a word that only English has, or else none that another language has, in ASCII.

    >>> is_english("Lima is the capital of Peru"), is_english("Lima es la capital del Perú")
    (True, False)
    """
    words = re.findall(r"\w+", claim)
    return any(word.lower() in ENGLISH for word in words) or (claim.isascii() and FOREIGN.isdisjoint(words))


def _is_instruction(doc: Doc) -> bool:
    """Whether a sentence only tells its reader to do something. One with a reason, a name or a number may claim something."""
    root = root_of(doc)
    if root.tag_ != "VB" or any(each.tag_ not in BEFORE_ORDER for each in list(doc)[: root.i]):
        return False
    return not any(each.tag_ in CLAIMING_TAGS or each.dep_ in ("appos", *SUBJECT_RELATIONS) for each in doc)


def _split_sentence(doc: Doc) -> list[Statement]:
    """The statements of each clause. A clause stays whole if one of its content words would be in no statement."""
    clauses, span = Clauses(doc), lifespan(root_of(doc))
    found = {head: list(_split(clauses, head)) for head in [clauses.root, *clauses.heads]}
    said = {token for phrases in found.values() for each in phrases for token in each.tokens}.union(span.tokens if span else ())
    for token in doc:
        if token not in said and _has_content(token):
            found[clauses.head_of(token)] = [_unsplit(clauses, clauses.head_of(token))]
    texts = [Statement(each.text, not is_cleft(head)) for head, phrases in found.items() for each in phrases]
    texts += [Statement(each.text) for each in members_of_categories(clauses, doc)]
    if span is not None and texts and span.text not in texts[0].text:
        subject = joined(subjects(clauses, clauses.root)).text
        texts[0] = replace(texts[0], text=texts[0].text.replace(subject, f"{subject} {span.text}", 1))
    return texts


def _has_content(token: Token) -> bool:
    """Whether a statement says less without the token."""
    if any(each.isdigit() for each in token.text):
        return True
    return token.tag_.startswith(CONTENT_TAGS) and token.tag_ != "WRB" and token.lower_ not in CONNECTIVES


def _split(clauses: Clauses, head: Token) -> Iterator[Phrase]:
    """The statements of a clause or an apposition, each with the opening phrases that hold for it."""
    if head.dep_ == "appos":
        yield from apposition(clauses, head)
        return
    scope = [full_phrase(clauses, each) for each in clauses.scope(head)]
    for each in _split_clause(clauses, head, subjects(clauses, head), _copula(clauses, head)):
        text = MAKING_IT.sub(lambda match: f"{'is' if match[1] == 'makes' else match[1]} {match[2]}", each.text)
        missing = [replace(item, text=item.text[:1].lower() + item.text[1:]) for item in scope if not item.tokens & each.tokens]
        yield concatenated(replace(each, text=text), *missing)


def _unsplit(clauses: Clauses, head: Token) -> Phrase:
    if head.dep_ == "appos":
        return concatenated(reference(clauses, head.head), Phrase(head, "is", frozenset()), full_phrase(clauses, head))
    return _whole_clause(clauses, head, subjects(clauses, head), _copula(clauses, head))


def _copula(clauses: Clauses, verb: Token) -> str:
    """The auxiliary that a participle without a subject lacks: in the sentence's tense, or `was` for what happens once."""
    root, tense = clauses.root, tense_tag(clauses.root)
    alone = verb.dep_ in ("acl", "advcl") and own_subject(verb) is None and verb.tag_ in ("VBN", "VBG")
    if not alone or dependents(verb, "aux", "auxpass"):
        return ""
    if verb.lower_ in HAPPENS_ONCE:
        return "was"
    perfect = verb.tag_ == "VBG" and root.tag_ == "VBN" and not dependents(root, "auxpass")
    return "has been" if perfect and tense != "VBD" else COPULAS.get(tense, "was")


def _split_clause(clauses: Clauses, verb: Token, about: Sequence[Phrase], copula: str) -> Iterator[Phrase]:
    own, noun = own_subject(verb), first_dependent(verb, "attr")
    no_subject = not about or (own is not None and own > verb) or dependents(verb, "expl") or is_cleft(verb)
    if no_subject or is_narrowed(verb, clauses.detached):
        yield _whole_clause(clauses, verb, about, copula)
        return
    if clauses.is_misparsed_clause(verb):  # `is bordered by Chile to the north, Brazil to the east, and ...`
        whole = _whole_clause(clauses, verb, about, copula)
        yield from (replace(whole, text=item) for item in split_list(whole.text))
        return
    besides = additions(verb)
    elsewhere = frozenset([*besides, *clauses.scope(verb)])
    if noun is not None and verb.lemma_ == "be" and is_noun(noun) and is_indefinite(noun):
        be = verb_group(clauses, verb, [verb], copula)
        yield from predicate_noun(clauses, joined(about), be, noun, elsewhere)
    else:
        for verbs in joined_verbs(verb):
            group = with_agreement(verb_group(clauses, verb, verbs, copula), about)
            said = list(verb_phrases(clauses, group, elsewhere))
            yield from (concatenated(subject, phrase) for subject in about for phrase in said)
    for prep, owner in besides.items():
        yield has_addition(clauses, joined(about), verb, prep, owner)


def _whole_clause(clauses: Clauses, verb: Token, about: Sequence[Phrase], copula: str) -> Phrase:
    own = own_subject(verb)
    marks = [each for each in dependents(verb, "mark", "advmod") if each.lower_ in FACTIVE or each.tag_ == "WRB"]
    rest = [each for each in subtree(verb, clauses.detached) if verb == clauses.root or each not in marks]
    if not about or (own is not None and own.tag_ not in RELATIVE_PRONOUNS):
        return phrase_of(rest)
    subject, said = joined(about), sorted({*inherited_auxiliaries(verb), *rest} - {own})
    text = " ".join(part for part in (subject.text, copula, text_of(said)) if part)
    return Phrase(verb, text, subject.tokens.union(rest, said))
