"""What someone or something is, and has: predicate nouns, appositions, `in addition to her career`, examples of a kind.

In: an outline and a noun, or a verb that has one. Out: statements.
"""

from collections.abc import Iterator
from dataclasses import replace

from flame_ray.rewards.factuality.decompose.grammar.heads import COUNTED, is_date
from flame_ray.rewards.factuality.decompose.grammar.outline import Outline
from flame_ray.rewards.factuality.decompose.grammar.phrases import Item, a, examples, item_of, items, members, nationality
from flame_ray.rewards.factuality.decompose.grammar.slots import phrase, slots
from flame_ray.rewards.factuality.decompose.grammar.statement import Statement
from flame_ray.rewards.factuality.decompose.grammar.subjects import name, whole


def apposition(outline: Outline, noun: int) -> Iterator[Statement]:
    owner = name(outline, outline.tree.words[noun].head)
    if outline.bare(noun):  # `in Lima, Peru`
        place = whole(outline, noun)
        yield Statement(f"{owner.text} is in {place.text}", owner.used | place.used)
        return
    yield from predicates(outline, owner, Item(noun, "is", frozenset()), noun, frozenset())


def predicates(outline: Outline, subject: Item, be: Item, noun: int, but: frozenset[int]) -> Iterator[Statement]:
    """`X is an American actor and singer from Lima` -> X is American; an actor; a singer; from Lima."""
    tree, nation = outline.tree, nationality(outline.tree, noun)
    froms = [each for member in members(tree, noun) for each in tree.under(member, "prep") if _is_origin(outline, each)]
    withs = [each for member in [*members(tree, noun), be.at] for each in tree.under(member, "prep") if _is_had(outline, each)]
    left = outline.apart | set(froms) | set(withs) | (set(tree.under(noun, "amod", "compound", "nmod")) & set(nation))
    said = items(tree, noun, left)
    said = [_with_article(item) for item in said] if nation else said
    nations = [item_of(tree, nation)] if nation else []
    origins = [item for each in froms for slot in phrase(outline, each) for item in slot]
    for item in [*nations, *said, *origins]:
        yield Statement(f"{subject.text} {be.text} {item.text}", subject.used | be.used | item.used)
    has = {"is": "has", "was": "had", "are": "have", "were": "had"}.get(be.text.split(" ")[0], "has")
    for each in withs:
        for item in items(tree, next(iter(tree.under(each, "pobj"))), outline.apart):
            yield Statement(f"{subject.text} {has} {item.text}", subject.used | be.used | item.used)
    if be.at == noun:
        return
    core, adjuncts = slots(outline, be.at, be.used | but | {noun, *withs})
    for slot in [*core, *adjuncts]:
        for item in slot:
            text = f"{subject.text} {be.text} {said[0].text} {item.text}"
            yield Statement(text, subject.used | be.used | said[0].used | item.used)


def _is_origin(outline: Outline, prep: int) -> bool:
    """`an actor from Lima`, not `from 1990`"""
    noun = outline.tree.one(prep, "pobj")
    return outline.tree.lower(prep) == "from" and noun is not None and not is_date(outline.tree.words[noun].text)


def _is_had(outline: Outline, prep: int) -> bool:
    """`a republic with a population of 2 million`"""
    noun = outline.tree.one(prep, "pobj")
    return outline.tree.lower(prep) == "with" and noun is not None and outline.indefinite(noun) and prep not in outline.apart


def _with_article(item: Item) -> Item:
    first, _, rest = item.text.partition(" ")
    return replace(item, text=f"{a(rest)} {rest}") if first.lower() in ("a", "an") else item


def in_addition(outline: Outline, verb: int) -> list[int]:
    """Heads of `in addition to her career`: it says that there is one."""
    tree, found = outline.tree, []
    for prep in tree.under(verb, "prep"):
        words = [tree.lower(each) for each in tree.subtree(prep)[:3]]
        if (words == ["in", "addition", "to"] or words[:1] in (["besides"], ["alongside"])) and _owned(outline, prep):
            found.append(prep)
    return found


def _owned(outline: Outline, prep: int) -> tuple[int, int] | None:
    """Owner and noun of `to her career`."""
    tree = outline.tree
    nouns = [each for each in tree.subtree(prep)[:6] if tree.relation(each) == "pobj"]
    owners = [(each, noun) for noun in nouns for each in tree.under(noun, "poss") if tree.tag(each) == "PRP$"]
    return owners[0] if owners else None


def kinds(outline: Outline) -> Iterator[Statement]:
    """`Italian films such as Roma` -> Roma is an Italian film"""
    tree = outline.tree
    for noun in range(len(tree.words)):
        given = [item for child in tree.children[noun] for item in examples(tree, child, outline.apart)]
        named = [item for item in given if item.text[:1].isupper() or item.text[:1] in '"“' or tree.tag(item.at) == "NNP"]
        if not named or tree.tag(noun) != "NNS" or tree.under(noun, "conj") or tree.relation(noun) == "conj":
            continue
        said = [
            each for each in tree.under(noun, "amod", "compound", "nmod") if each < noun and tree.lower(each) not in COUNTED
        ]
        kind = f"{tree.text(said)} {tree.words[noun].lemma}".strip()
        yield from (Statement(f"{item.text} is {a(kind)} {kind}", item.used | set(said) | {noun}) for item in named)


def has_in_addition(outline: Outline, subject: Item, verb: int, prep: int) -> Iterator[Statement]:
    tree, owned = outline.tree, _owned(outline, prep)
    if owned is None:
        return
    owner, noun = owned
    text = tree.text([each for each in tree.subtree(noun, outline.apart) if each != owner])
    article = f"{a(text)} " if tree.tag(noun) == "NN" and tree.lower(noun) not in ("work", "research") else ""
    has = "had" if outline.finite(verb) == "VBD" else "has"
    yield Statement(f"{subject.text} {has} {article}{text}", subject.used | set(tree.subtree(prep)))
