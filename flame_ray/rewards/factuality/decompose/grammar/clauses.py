"""The statements of a parsed sentence: one for each clause, item of a list, and adjunct that stands alone.

In: a tree. Out: statements, each of the sentence's own words. What narrows a claim (a negation, a condition, what someone
said, a comparison) is never cut from it: a clause that holds one stays whole. So does one of which some word would be lost,
or which parses strangely: a fact is then harder to support and never easier. Knows nothing of other sentences.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.grammar.outline import FACTIVE, RELATIVE, Outline
from flame_ray.rewards.factuality.decompose.grammar.phrases import Item
from flame_ray.rewards.factuality.decompose.grammar.predicates import (
    apposition,
    has_in_addition,
    in_addition,
    kinds,
    predicates,
)
from flame_ray.rewards.factuality.decompose.grammar.slots import DROPPED
from flame_ray.rewards.factuality.decompose.grammar.statement import Statement
from flame_ray.rewards.factuality.decompose.grammar.subjects import agreeing, joined, lifespan, name, subjects, whole
from flame_ray.rewards.factuality.decompose.grammar.tree import Tree
from flame_ray.rewards.factuality.decompose.grammar.verbs import combined, inherited, shared_verbs, verb_group
from flame_ray.rewards.factuality.decompose.rule import items as listed

LONGEST = 120  # words of a sentence that is split: longer ones are lists without grammar, or none
HELD = frozenset(
    vocabulary(
        """if unless whether according supposedly allegedly reportedly purportedly rumored rumoured hypothetically
        theoretically otherwise neither nor unlike contrary instead rather"""
    )
)
TENSES = {"VBD": "was", "VBZ": "is", "VBP": "is"}
ONCE = frozenset(vocabulary("born founded established released killed directed written"))
MAKING = re.compile(r"\b(is|was|has been|makes)(?: making)? it (the|an?|one of)\b")  # `..., making it the largest`
MATTER = ("NN", "JJ", "CD", "VB", "RB", "FW")


def statements(tree: Tree) -> list[Statement]:
    """Those of the sentence; a clause stands as it is where a word of it is in none of them."""
    everything = range(len(tree.words))
    if held(tree):
        return [Statement(tree.text(everything), frozenset(everything))]
    outline = Outline(tree)
    found = {clause: list(_of_clause(outline, clause)) for clause in [tree.root, *outline.spoken]}
    span = lifespan(outline, tree.root)
    said = frozenset[int](span.used if span else ()).union(*(each.used for told in found.values() for each in told))
    for index in everything:
        if index not in said and _matters(tree, index):
            found[outline.clause_of(index)] = [_unsplit(outline, outline.clause_of(index))]
    return _dated(outline, [*(each for told in found.values() for each in told), *kinds(outline)])


def _matters(tree: Tree, index: int) -> bool:
    """Whether a fact says less without the word."""
    tag, text = tree.tag(index), tree.lower(index)
    return any(each.isdigit() for each in text) or (tag.startswith(MATTER) and tag != "WRB" and text not in DROPPED)


def held(tree: Tree) -> bool:
    """Whether a sentence is too long to be one, or hangs on a condition, a source, or a contrast."""
    return len(tree.words) > LONGEST or any(tree.lower(index) in HELD for index in range(len(tree.words)))


def _dated(outline: Outline, found: list[Statement]) -> list[Statement]:
    """The first statement about someone says when they lived, if the sentence does."""
    span = lifespan(outline, outline.tree.root)
    if span is None or not found or span.text in found[0].text:
        return found
    about = joined(subjects(outline, outline.tree.root)).text
    return [replace(found[0], text=found[0].text.replace(about, f"{about} {span.text}", 1)), *found[1:]]


def _of_clause(outline: Outline, index: int) -> Iterator[Statement]:
    if outline.tree.relation(index) == "appos":
        yield from apposition(outline, index)
        return
    scope = [whole(outline, each) for each in outline.scope(index)]
    for each in _clause(outline, index, subjects(outline, index), _participle(outline, index)):
        text = MAKING.sub(_made, each.text)
        missing = [item for item in scope if not item.used & each.used]
        tail = [f" {item.text[:1].lower()}{item.text[1:]}" for item in missing]
        yield replace(each, text=f"{text}{''.join(tail)}", used=each.used.union(*(item.used for item in missing)))


def _made(match: re.Match[str]) -> str:
    return f"{'is' if match[1] == 'makes' else match[1]} {match[2]}"


def _unsplit(outline: Outline, index: int) -> Statement:
    if outline.tree.relation(index) == "appos":
        noun, owner = whole(outline, index), name(outline, outline.tree.words[index].head)
        return Statement(f"{owner.text} is {noun.text}", owner.used | noun.used)
    return _whole_clause(outline, index, subjects(outline, index), _participle(outline, index))


def _participle(outline: Outline, verb: int) -> str:
    """What a participle without a subject of its own needs before it: the sentence's tense, but for what happens once."""
    tree, root = outline.tree, outline.tree.root
    alone = tree.relation(verb) in ("acl", "advcl") and outline.own_subject(verb) is None and tree.tag(verb) in ("VBN", "VBG")
    if not alone or tree.under(verb, "aux", "auxpass"):
        return ""
    if tree.lower(verb) in ONCE:
        return "was"
    perfect = tree.tag(verb) == "VBG" and tree.tag(root) == "VBN" and not tree.under(root, "auxpass")
    return "has been" if perfect and outline.finite(root) != "VBD" else TENSES.get(outline.finite(root), "was")


def _clause(outline: Outline, verb: int, about: Sequence[Item], tense: str) -> Iterator[Statement]:
    tree, own = outline.tree, outline.own_subject(verb)
    whole_ = not about or (own or 0) > verb or tree.under(verb, "expl") or outline.cleft(verb)
    if whole_ or outline.narrowed(verb, outline.apart):
        yield _whole_clause(outline, verb, about, tense)
        return
    if outline.odd(verb):  # `is bordered by Chile to the north, Brazil to the east, and ...`
        stands = _whole_clause(outline, verb, about, tense)
        yield from (replace(stands, text=item) for item in listed(stands.text))
        return
    noun = tree.one(verb, "attr")
    besides = in_addition(outline, verb)
    elsewhere = frozenset([*besides, *outline.scope(verb)])
    if noun is not None and tree.words[verb].lemma == "be" and tree.tag(noun).startswith("NN") and outline.indefinite(noun):
        yield from predicates(outline, joined(about), verb_group(outline, verb, [verb], tense), noun, elsewhere)
    else:
        for shared in shared_verbs(outline, verb):
            group = agreeing(verb_group(outline, verb, shared, tense), about)
            for subject in about:
                yield from combined(outline, subject, group, verb, elsewhere)
    for each in besides:
        yield from has_in_addition(outline, joined(about), verb, each)


def _whole_clause(outline: Outline, verb: int, about: Sequence[Item], tense: str) -> Statement:
    tree, own = outline.tree, outline.own_subject(verb)
    marks = [each for each in tree.under(verb, "mark", "advmod") if tree.lower(each) in FACTIVE or tree.tag(each) == "WRB"]
    rest = [index for index in tree.subtree(verb, outline.apart) if verb == tree.root or index not in marks]
    if own is not None and tree.tag(own) not in RELATIVE:
        return Statement(tree.text(rest), frozenset(rest), not outline.cleft(verb))
    if not about:
        return Statement(tree.text(rest), frozenset(rest))
    rest = sorted([*inherited(outline, verb), *(index for index in rest if index != own)])
    subject = joined(about)
    text = " ".join(part for part in (subject.text, tense, tree.text(rest)) if part)
    return Statement(text, subject.used | set(rest) | ({own} if own is not None else set()))
