"""Whom or what a clause is about, in words that stand alone.

In: an outline and a verb or noun of it. Out: items. Knows nothing of what the clause says.
"""

from collections.abc import Sequence
from dataclasses import replace

from flame_ray.rewards.factuality.decompose.grammar.outline import QUANTIFIERS, RELATIVE, Outline
from flame_ray.rewards.factuality.decompose.grammar.phrases import Item, item_of, items, members
from flame_ray.rewards.factuality.decompose.sentences import TOGETHER, VERBS

SINGULAR = {"are": "is", "were": "was", "have": "has"}


def subjects(outline: Outline, verb: int) -> list[Item]:
    """Its own subject, one by one where a list can be taken apart; that of the verb it follows; or the noun it describes."""
    tree, own = outline.tree, outline.own_subject(verb)
    if own is not None and tree.tag(own) not in RELATIVE:
        return _distributed(outline, verb, own)
    head = tree.words[verb].head
    if tree.relation(verb) in ("relcl", "acl"):
        return [name(outline, head, for_clause=True)]
    return [] if verb == head else subjects(outline, head)


def joined(found: Sequence[Item]) -> Item:
    """All of them as one subject."""
    used = frozenset[int]().union(*(each.used for each in found))
    return Item(found[0].at, " and ".join(each.text for each in found), used)


def whole(outline: Outline, noun: int) -> Item:
    return item_of(outline.tree, outline.tree.subtree(noun, outline.apart))


def lifespan(outline: Outline, verb: int) -> Item | None:
    """`(1862-1946)` behind a subject: said once."""
    tree, own = outline.tree, outline.own_subject(verb)
    if own is None:
        return None
    opening = next((each for each in tree.under(own, "punct") if tree.words[each].text == "(" and each > own), None)
    closing = next((each for each in tree.under(own, "punct") if tree.words[each].text == ")" and each > own), None)
    if (
        opening is None
        or closing is None
        or any(tree.tag(each).startswith(("NN", "VB", "JJ")) for each in range(opening, closing))
    ):
        return None
    inside = list(range(opening + 1, closing))
    return Item(opening, f"({tree.text(inside)})", frozenset([opening, *inside, closing])) if inside else None


def name(outline: Outline, noun: int, for_clause: bool = False) -> Item:
    """How a statement about `noun` begins; a clause prefers the name that an apposition gives it."""
    tree, first = outline.tree, outline.first_member(noun)
    if tree.relation(first) == "appos" and first in outline.apart:
        if for_clause and tree.tag(first) == "NNP":
            return whole(outline, first)
        return name(outline, tree.words[first].head)
    if tree.relation(first) == "attr" and outline.predicative(first):
        found = subjects(outline, tree.words[first].head)
        if len(found) == 1:
            return found[0]
    named = next((each for each in tree.under(noun, "appos") if each in outline.apart and tree.tag(each) == "NNP"), None)
    if named is not None and for_clause and not tree.tag(noun).startswith("NNP"):
        return whole(outline, named)
    others = {child for child in tree.children[noun] if tree.relation(child) in ("conj", "cc")}
    article = next((child for child in tree.under(noun, "det") if tree.lower(child) in ("a", "an")), None)
    found_ = item_of(tree, [index for index in tree.subtree(noun, outline.apart | others) if index != article])
    return found_ if article is None else replace(found_, text=f"The {found_.text}")


def _distributed(outline: Outline, verb: int, own: int) -> list[Item]:
    """`Ada and Bo were poets` stays whole: neither `were` nor `poets` is said of one alone."""
    tree, all_, span = outline.tree, whole(outline, own), lifespan(outline, verb)
    if span is not None:
        all_ = item_of(tree, sorted(all_.used - span.used))
    owner = next((each for each in tree.under(own, "poss") if tree.tag(each) == "WP$"), None)
    if owner is not None:  # `whose father` -> `Ada's father`
        rest = item_of(tree, [index for index in sorted(all_.used) if index != owner])
        return [replace(rest, text=f"{name(outline, tree.words[verb].head).text}'s {rest.text}")]
    plural = any(tree.tag(each) in ("NNS", "NNPS") for each in tree.under(verb, "attr", "dobj"))
    first = tree.lower(min([verb, *tree.under(verb, "aux", "auxpass")]))
    alone = (
        first in SINGULAR or tree.tag(verb) == "VBD" or (f"{first}s" in VERBS and first not in TOGETHER)
    )  # `border Peru` is said of each
    if plural or tree.lower(own) in QUANTIFIERS or not alone:
        return [all_]
    listed = members(tree, own)
    owned = any(tree.tag(each) == "PRP$" for member in listed for each in tree.under(member, "poss"))  # `Ada and her brother`
    return items(tree, own, outline.apart) if len(listed) > 1 and not owned else [all_]


def agreeing(group: Item, found: Sequence[Item]) -> Item:
    """`are known` -> `is known`, where a subject of several is told one by one."""
    first, _, rest = group.text.partition(" ")
    one = f"{first}s" if f"{first}s" in VERBS else SINGULAR.get(first, first)
    return replace(group, text=f"{one} {rest}".strip()) if len(found) > 1 else group
