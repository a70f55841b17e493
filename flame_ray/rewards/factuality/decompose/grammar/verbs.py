"""What a verb says of its subject: its auxiliaries, those that share its clause, and a statement for each of its phrases.

In: an outline and a verb. Out: statements, or the verb with what belongs to it.
"""

from collections.abc import Iterator, Sequence

from flame_ray.rewards.factuality.decompose.grammar.outline import Outline
from flame_ray.rewards.factuality.decompose.grammar.phrases import Item
from flame_ray.rewards.factuality.decompose.grammar.slots import DROPPED, choices, slots, together
from flame_ray.rewards.factuality.decompose.grammar.statement import Statement


def inherited(outline: Outline, verb: int) -> list[int]:
    """Auxiliaries of the verb before, for one that needs them: `has sung and danced`."""
    tree, head = outline.tree, outline.tree.words[verb].head
    if tree.relation(verb) != "conj" or tree.under(verb, "aux", "auxpass"):
        return []
    if tree.words[head].lemma == "be" and tree.tag(verb) in ("VBN", "VBG") and not tree.under(head, "attr"):
        return [*tree.under(head, "aux"), head]  # `is 30 m wide and made of steel`
    bare = tree.tag(verb) in ("VB", "VBN", "VBG") and tree.tag(head) == tree.tag(verb)
    return (tree.under(head, "aux", "auxpass") or inherited(outline, head)) if bare else []


def shared_verbs(outline: Outline, verb: int) -> list[list[int]]:
    """`was born and raised in Lima`: each verb; but `has written and directed a film`: both at once."""
    tree = outline.tree
    twins = tree.under(verb, "twin")
    free = all(tree.lower(each) in ("in", "on", "at", "by") for each in tree.under(verb, "prep", "agent"))
    return [[verb], *([each] for each in twins)] if tree.under(verb, "auxpass") and free else [[verb, *twins]]


def verb_group(outline: Outline, verb: int, shared: Sequence[int], tense: str) -> Item:
    """Auxiliaries, adverbs and the verb, or in its place those that share all of its clause."""
    tree, own = outline.tree, outline.own_subject(verb)
    first = own if own is not None and own < verb else 0
    before = [each for each in tree.under(verb, "aux", "auxpass", "advmod") if each < verb and len(tree.subtree(each)) == 1]
    said = [each for each in before if tree.tag(each) != "WRB" and tree.lower(each) not in DROPPED]
    inside = [each for each in said if each > first or tree.relation(each) != "advmod"]
    indices = sorted([*inherited(outline, verb), *inside, *range(min(shared), max(shared) + 1)])
    text = tree.text(indices)
    text = text[:1].lower() + text[1:] if indices[0] == 0 else text
    if text.startswith("having ") and outline.own_subject(verb) is None:
        text = f"{'had' if outline.finite(tree.root) == 'VBD' else 'has'} {text.removeprefix('having ')}"
    if tree.lower(verb) == "being" and tense:
        text, tense = tense, ""
    if tense == "is" and indices == [verb] and tree.tag(verb) == "VBG":
        text, tense = present(tree.words[verb].lemma), ""  # `consisting of` -> `consists of`
    return Item(verb, f"{tense} {text}".strip(), frozenset(indices))


def combined(outline: Outline, subject: Item, group: Item, verb: int, but: frozenset[int]) -> Iterator[Statement]:
    core, adjuncts = slots(outline, verb, group.used | but)
    for chosen in choices([*core, *adjuncts], []) if _generic(outline, verb) else choices(core, adjuncts):
        said = together(group, chosen)
        yield Statement(f"{subject.text} {said.text}", subject.used | said.used)


def _generic(outline: Outline, verb: int) -> bool:
    """Whether a clause says what holds of a kind: `llamas live in the Andes at great heights`; not without its adjuncts."""
    tree, own = outline.tree, outline.own_subject(verb)
    if own is None or tree.tag(own) not in ("NN", "NNS") or tree.under(own, "poss"):
        return False
    return outline.finite(verb) in ("VBZ", "VBP") and tree.tag(verb) != "VBN"


def present(lemma: str) -> str:
    """
    >>> present("consist"), present("have"), present("carry")
    ('consists', 'has', 'carries')
    """
    if lemma in ("have", "be"):
        return {"have": "has", "be": "is"}[lemma]
    if lemma.endswith("y") and lemma[-2:-1] not in "aeiou":
        return f"{lemma[:-1]}ies"
    return f"{lemma}es" if lemma.endswith(("s", "sh", "ch", "x", "z", "o")) else f"{lemma}s"
