"""Noun phrases of a tree: the items that they list, and what they say of their noun besides naming it.

In: a tree and the index of a noun. Out: texts. Knows nothing of clauses.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import pairwise

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.grammar.heads import PERSONS
from flame_ray.rewards.factuality.decompose.grammar.tree import Tree

# Nouns and prepositions that say something of all their items together.
TOGETHER = frozenset(
    vocabulary(
        """between among amongst mix mixture blend combination relationship relations war conflict border difference
        differences marriage merger collaboration except without than unlike per versus both either neither"""
    )
)
# Adjectives that take back what their noun says, so they go where it goes.
TAKEN_BACK = frozenset(
    vocabulary("former retired alleged fake aspiring potential possible future would-be honorary ex late fictional retired")
)
LIVES = frozenset(vocabulary("retired late aspiring"))  # that take back what a person does, not where they are from
EXTREMES = frozenset(vocabulary("first last only sole final next same most least second third youngest oldest"))
COUNTERS = frozenset(vocabulary("number variety range series couple handful host array lot dozens many some"))
NATIONS = ("an", "ish", "ese", "ch", "i", "ic")
NOT_PERSONS = frozenset(vocabulary("teacher professor instructor scholar translator river color center order member number"))


@dataclass(frozen=True, slots=True)
class Item:
    """A way to say a phrase; `at` is where it begins, `used` the words that it says."""

    at: int
    text: str
    used: frozenset[int]


def comma_before(tree: Tree, head: int) -> bool:
    """Whether a comma, a dash or a bracket sets the phrase of `head` off from what stands before it."""
    first = tree.subtree(head)[0]
    before = tree.words[first - 1].text if first > 0 else ""
    dash = before in ("-", "–", "—") and first > 1 and tree.words[first - 2].blank
    return dash or before in (",", "(") or tree.words[first].text == "("


def is_examples(tree: Tree, index: int) -> bool:
    """`including ...` and `such as ...`"""
    such = index > 0 and tree.lower(index) == "as" and tree.lower(index - 1) == "such"
    return tree.relation(index) == "prep" and (tree.lower(index) == "including" or such)


def items(tree: Tree, noun: int, left: Set[int]) -> list[Item]:
    """The phrase of `noun` once for each item that it lists, and for each example; without what is said elsewhere (`left`)."""
    listed = members(tree, noun)
    given = {child: examples(tree, child, left) for child in tree.children[noun]}
    examples_ = [item for found in given.values() for item in found]
    left = left | {child for child, found in given.items() if found}
    if len(listed) > 1:
        return [item for member in listed for item in _member(tree, noun, member, listed, left)] + examples_
    return (_nested(tree, noun, left) or [item_of(tree, tree.subtree(noun, left))]) + examples_


def item_of(tree: Tree, indices: list[int]) -> Item:
    return Item(indices[0], tree.text(indices), frozenset(indices))


def members(tree: Tree, noun: int) -> list[int]:
    """`noun` and the nouns that `and` joins to it; `noun` alone where the list must stay together."""
    found, links, last = [noun], set(), noun
    while (following := tree.one(last, "conj")) is not None and following > last:
        links |= {tree.lower(cc) for cc in tree.under(last, "cc", "preconj")}
        found.append(following)
        last = following
    links |= {tree.lower(cc) for cc in tree.under(last, "cc", "preconj")}
    if not links & {"and", "&", "well"} or links & {"or", "nor", "but", "neither", "either"} or _together(tree, noun, found):
        return [noun]
    return found


def _together(tree: Tree, noun: int, found: list[int]) -> bool:
    above = [noun, *(index for _, index in zip(range(2), tree.above(noun), strict=False))]
    if any(tree.lower(index) in TOGETHER for index in above) or any(
        tree.lower(index) in ("between", "together", "respectively") for index in range(len(tree.words))
    ):
        return True
    named = all(tree.words[each].text[:1].isupper() for each in found) and not any(
        tree.under(each, "det") for each in found[1:]
    )
    first = tree.subtree(noun)[0]
    the = tree.words[first].text == "The" and first > 0  # `for The Globe and Mail`
    of = tree.words[noun].head
    titled = tree.relation(noun) == "pobj" and of > 0 and tree.tag(of - 1) in ("NNP", "NNPS")  # `Academy of Arts and Letters`
    return named and (the or (titled and tree.lower(of) in ("of", "for")))


def _member(tree: Tree, noun: int, member: int, listed: list[int], left: Set[int]) -> Iterator[Item]:
    others = {
        child
        for child in tree.children[member]
        if child in listed
        or tree.relation(child) in ("cc", "preconj")
        or (child > member and tree.words[child].text in (",", ";"))
    }
    left = left | others
    if member == noun:
        yield item_of(tree, tree.subtree(member, left))
        return
    shared = _shared(tree, noun, member)
    for each in _nested(tree, member, left) or [item_of(tree, tree.subtree(member, left))]:
        text = f"{shared} {each.text}" if shared else each.text
        yield Item(each.at, _with_article(tree, noun, member, text), each.used)


def _shared(tree: Tree, noun: int, member: int) -> str:
    """What the first item says for all of them: whose they are, and that they no longer are."""
    if tree.under(member, "det", "poss", "nummod"):
        return ""
    owner = tree.one(noun, "poss")
    words = tree.text(tree.subtree(owner)) if owner is not None and owner < noun and not _is_name(tree, member) else ""
    if words and tree.tag(owner or 0) != "PRP$" and not words.endswith(("'s", "’s", "'", "’")):
        words += "'s"
    back = [child for child in tree.under(noun, "amod") if tree.lower(child) in TAKEN_BACK]
    return " ".join(part for part in (words, tree.text(back)) if part)


def _is_name(tree: Tree, index: int) -> bool:
    return tree.tag(index) in ("NNP", "NNPS")


def _with_article(tree: Tree, noun: int, member: int, text: str) -> str:
    """`an actor and singer` -> `a singer`"""
    article = next((tree.lower(child) for child in tree.under(noun, "det")), "")
    bare = not tree.under(member, "det", "poss", "nummod") and not _is_name(tree, member)
    if article in ("a", "an") and tree.tag(member) == "NN" and bare:
        return f"{a(text)} {text}"
    return f"the {text}" if article == "the" and bare else text


def a(text: str) -> str:
    return "an" if text[:1].lower() in "aeiou" else "a"


def _nested(tree: Tree, noun: int, left: Set[int]) -> list[Item]:
    """`a coordinator for films such as A and B` -> one item a film; empty when nothing inside is a list."""
    for prep in tree.under(noun, "prep"):
        inner = tree.one(prep, "pobj")
        if prep in left or inner is None or tree.lower(prep) in TOGETHER or examples(tree, prep):
            continue
        found = items(tree, inner, left)
        head = [index for index in tree.subtree(noun, left | {prep}) if index < prep]
        if len(found) > 1 and head:
            lead = tree.text([*head, prep])
            if tree.lower(noun) in COUNTERS and tree.lower(prep) == "of":
                given = [item for child in tree.children[inner] for item in examples(tree, child, left)]
                return [Item(head[0], f"{lead} {found[0].text}", found[0].used | set(head) | {prep}), *given]
            return [Item(head[0], f"{lead} {item.text}", item.used | set(head) | {prep}) for item in found]
    return []


def examples(tree: Tree, index: int, left: Set[int] = frozenset()) -> list[Item]:
    """`including A, B, and C` -> A; B; C, cut at its commas: the model often hangs them in one another."""
    if not is_examples(tree, index):
        return []
    region = [each for each in tree.subtree(index, left) if each > index]
    inner = next((child for child in tree.under(index, "pobj", "pcomp", "prep")), None)
    if inner is None or tree.relation(inner) != "pobj":
        return []
    return [item_of(tree, part) for part in _parts(tree, region)]


def _parts(tree: Tree, region: list[int]) -> list[list[int]]:
    oxford = any(tree.words[one].text == "," and tree.lower(two) == "and" for one, two in pairwise(region))
    parts: list[list[int]] = [[]]
    depth = 0
    for at, index in enumerate(region):
        text = tree.lower(index)
        depth += (text == "(") - (text == ")")
        following = tree.tag(region[at + 1]) if at + 1 < len(region) else ""
        comma = text == "," and not following.startswith("CD") and depth == 0
        joins = text in ("and", "&") and depth == 0 and (not oxford or tree.words[index - 1].text == ",")
        if comma or joins:
            parts.append([])
        else:
            parts[-1].append(index)
    return [part for part in parts if part and tree.text(part)]


def extreme(tree: Tree, noun: int) -> bool:
    """Whether a phrase singles out (`the first ...`, `the largest ...`): without the rest of it, it would claim more."""
    return any(
        tree.tag(child) in ("JJS", "RBS") or tree.lower(child) in EXTREMES
        for child in tree.subtree(noun)
        if child < noun and tree.words[child].head == noun
    ) and not tree.under(noun, "poss")


def nationality(tree: Tree, noun: int) -> list[int]:
    """The words of `American` in `an American actor`; none where it is not a person's own."""
    person = (
        tree.lower(noun).endswith((*PERSONS, "ary", "host", "star", "chef", "pilot", "poet"))
        and tree.lower(noun) not in NOT_PERSONS
    )
    names = [
        child
        for child in tree.under(noun, "amod", "compound", "nmod")
        if child < noun and tree.words[child].text[:1].isupper() and tree.lower(child).endswith(NATIONS)
    ]
    if len(names) != 1 or not person or any(tree.lower(child) in TAKEN_BACK - LIVES for child in tree.under(noun, "amod")):
        return []
    return tree.subtree(names[0])
