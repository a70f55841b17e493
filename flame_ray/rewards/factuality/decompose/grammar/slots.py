"""What a verb says of its subject, in parts: complements and adjuncts, each with its items, and which of them go together.

In: an outline and a verb. Out: slots, each the ways to say one part. Knows nothing of subjects.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from flame_ray.rewards.factuality.decompose.dedup import vocabulary
from flame_ray.rewards.factuality.decompose.grammar.outline import RELATIVE, SUBJECTS, Outline
from flame_ray.rewards.factuality.decompose.grammar.phrases import TOGETHER, Item, examples, item_of, items, members
from flame_ray.rewards.factuality.decompose.grammar.subjects import name, whole

DROPPED = frozenset(
    vocabulary(
        """such including also additionally furthermore moreover however then therefore thus and but overall sadly
        unfortunately fortunately interestingly notably importantly ultimately tragically"""
    )
)
SILENT = (*SUBJECTS, "punct", "cc", "mark", "intj", "preconj", "twin")
KNOWN = frozenset(
    vocabulary("know regard consider remember credit describe recognize respect base locate situate accuse charge")
)
BOUND = frozenset(vocabulary("on upon of to into"))
Slot = list[Item]


def slots(outline: Outline, verb: int, but: frozenset[int]) -> tuple[list[Slot], list[Slot]]:
    """Complements and adjuncts, without the words `but`."""
    tree, core, adjuncts = outline.tree, list[Slot](), list[Slot]()
    stray = [each for each in tree.under(verb, "conj", "dep", "parataxis") if each not in outline.apart | but]
    if stray:  # nobody knows what it is joined to
        about = {each for each in tree.children[verb] if tree.relation(each) in SUBJECTS}
        rest = [
            each for each in tree.subtree(verb, outline.apart | about) if each not in but | {verb} and tree.tag(each) != "WRB"
        ]
        return [[item_of(tree, rest)]], []
    if any(tree.tag(each) in RELATIVE for each in tree.under(verb, "dobj")):  # `Ajax, which he founded`
        core.append([replace(name(outline, tree.words[verb].head, for_clause=True), at=verb)])
    for child in tree.children[verb]:
        relation = tree.relation(child)
        silent = relation in SILENT or tree.tag(child) in ("WRB", *RELATIVE) or tree.lower(child) in DROPPED
        if silent or child in outline.apart | but:
            continue
        if relation in ("prep", "npadvmod", "agent"):
            adjuncts += phrase(outline, child)
        elif relation == "advcl" or (relation == "advmod" and len(tree.subtree(child)) > 1):
            adjuncts.append([whole(outline, child)])
        else:
            found, more = _complement(outline, child)
            core.append(found)
            adjuncts += more
    core, adjuncts = ([[_inside(outline, item) for item in slot] for slot in part] for part in (core, adjuncts))
    first = next((at for at, slot in enumerate(adjuncts) if slot[0].at > verb), None)
    if first is not None and not core and _needs_more(outline, verb, adjuncts[first]):
        core = [adjuncts.pop(first)]
    return core, adjuncts


def _needs_more(outline: Outline, verb: int, slot: Slot) -> bool:
    """Whether a verb says nothing without its first phrase: `has been on the air since 1978`, `is known for his novels`."""
    tree = outline.tree
    opening, lemma = slot[0].text.split(" ")[0].lower(), tree.words[verb].lemma
    passive = tree.under(verb, "auxpass") or (tree.tag(verb) == "VBN" and not tree.under(verb, "aux"))
    return lemma in ("be", *KNOWN) or (opening in BOUND and not passive)


def choices(core: Sequence[Slot], adjuncts: Sequence[Slot]) -> Iterator[list[Item]]:
    """Which items make a statement together: each complement alone, and the complements with each adjunct.

    `a prize in 1980 and a medal in 1998`: an adjunct between two items of a list is about the one before it.
    """
    first = [slot[0] for slot in core]
    varied = [(at, item) for at, slot in enumerate(core) if len(slot) > 1 for item in slot]
    extra = [item for slot in adjuncts for item in slot]
    begin = min((item.at for _, item in varied), default=-1)
    last = max((item.at for _, item in varied), default=-1)
    owned = any(begin < item.at < last for item in extra)
    for at, item in varied:
        following = min((other.at for _, other in varied if other.at > item.at), default=item.at + 10**6)
        own = [each for each in extra if owned and item.at < each.at < following]
        yield [*first[:at], item, *first[at + 1 :], *own]
    if not varied and not extra:
        yield first
    yield from ([*first, item] for item in extra if not owned or item.at < begin)


def phrase(outline: Outline, prep: int) -> list[Slot]:
    """Items of a phrase with a preposition, and of those that `and` joins to it."""
    tree = outline.tree
    noun, links = tree.one(prep, "pobj"), tree.under(prep, "conj")
    joins = {tree.lower(each) for each in tree.under(prep, "cc", "preconj")}
    if tree.lower(prep) in TOGETHER or (links and (noun is None or joins & {"or", "nor", "but", "either"})):
        return [[whole(outline, prep)]]
    more = [slot for each in links for slot in phrase(outline, each)]
    left = outline.apart | set(links) | set(tree.under(prep, "cc"))
    if noun is None:
        return [[item_of(tree, tree.subtree(prep, left))], *more]
    rest = tree.subtree(prep, left | {noun})
    lead, tail = [each for each in rest if each < noun], [each for each in rest if each > noun]
    before, after = tree.text(lead), tree.text(tail)
    used = frozenset(rest)
    found = [Item(lead[0], f"{before} {item.text} {after}".strip(), item.used | used) for item in items(tree, noun, left)]
    return [found, *more]


def _inside(outline: Outline, item: Item) -> Item:
    """The sentence's first word, told later."""
    first = outline.tree.words[0]
    keeps = item.at != 0 or first.tag.startswith("NNP")
    return item if keeps else replace(item, text=item.text[:1].lower() + item.text[1:])


def _complement(outline: Outline, child: int) -> tuple[Slot, list[Slot]]:
    tree, relation = outline.tree, outline.tree.relation(child)
    if relation in ("dobj", "attr", "oprd", "dative", "acomp"):
        preps = _separable(outline, child) if relation == "dobj" else []
        found = items(tree, child, outline.apart | set(preps))
        return found, [slot for prep in preps for slot in phrase(outline, prep)]
    if relation == "xcomp":
        return _infinitives(outline, child), []
    return [whole(outline, child)], []


def _separable(outline: Outline, noun: int) -> list[int]:
    """Phrases of an object that can be said one at a time: `a degree in law from Lima`."""
    tree, kept = outline.tree, {"of", "than", "as", "to", *TOGETHER}
    after = [prep for prep in tree.under(noun, "prep") if prep > noun and prep not in outline.apart]
    return [prep for prep in after if tree.lower(prep) not in kept and not examples(tree, prep)]


def _infinitives(outline: Outline, verb: int) -> Slot:
    """`to sing and dance` -> `to sing`; `to dance`; the lists inside each are told item by item, too."""
    tree, listed = outline.tree, members(outline.tree, verb)
    to = next((each for each in tree.under(verb, "aux") if tree.lower(each) == "to"), None)
    found = []
    for each in listed:
        but = frozenset({*listed, *tree.under(each, "cc")}) if len(listed) > 1 else frozenset[int]()
        own = [child for child in tree.children[each] if child < each and child not in outline.apart | but]
        group = item_of(tree, sorted({each, *(index for child in own for index in tree.subtree(child, outline.apart))}))
        if each != verb and to is not None and tree.tag(each) == "VB" and not tree.under(each, "aux"):
            group = replace(group, text=f"to {group.text}")
        core, adjuncts = slots(outline, each, but | group.used)
        found += [together(group, chosen) for chosen in choices([*core, *adjuncts], [])]
    return found


def together(group: Item, chosen: Sequence[Item]) -> Item:
    """A verb and what is said with it, in the sentence's order, after the verb."""
    pieces = sorted(chosen, key=lambda item: (item.at < group.at, item.at))
    text = " ".join([group.text, *(piece.text for piece in pieces)])
    return Item(group.at, text, group.used.union(*(piece.used for piece in pieces)))
