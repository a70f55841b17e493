"""The statements of a parsed sentence: one for each clause, item of a list, and adjunct that stands alone.

In: a tree. Out: statements, each of the sentence's own words. What narrows a claim (a negation, a condition, what someone
said, a comparison) is never cut from it: a clause that holds one stays whole. So does one of which some word would be lost,
or which parses strangely: a fact is then harder to support and never easier. Knows nothing of other sentences.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from flame_ray.rewards.decompose.duplicates import vocabulary
from flame_ray.rewards.decompose.outline import FACTIVE, RELATIVE, Outline
from flame_ray.rewards.decompose.phrases import Item, a, examples, item_of, items, members, nationality
from flame_ray.rewards.decompose.repair import COUNTED, is_date
from flame_ray.rewards.decompose.rule import items as listed
from flame_ray.rewards.decompose.slots import DROPPED, choices, phrase, slots, together
from flame_ray.rewards.decompose.subjects import agreeing, joined, lifespan, name, subjects, whole
from flame_ray.rewards.decompose.tree import Tree

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


@dataclass(frozen=True, slots=True)
class Statement:
    """`used`: the words of the sentence that it says; `resolves`: whether an `it` at its beginning means something before."""

    text: str
    used: frozenset[int]
    resolves: bool = True


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
    return _dated(outline, [*(each for told in found.values() for each in told), *_kinds(outline)])


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
        yield from _apposition(outline, index)
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
    besides = _in_addition(outline, verb)
    elsewhere = frozenset([*besides, *outline.scope(verb)])
    if noun is not None and tree.words[verb].lemma == "be" and tree.tag(noun).startswith("NN") and outline.indefinite(noun):
        yield from _predicates(outline, joined(about), _group(outline, verb, [verb], tense), noun, elsewhere)
    else:
        for shared in _shared(outline, verb):
            group = agreeing(_group(outline, verb, shared, tense), about)
            for subject in about:
                yield from _combined(outline, subject, group, verb, elsewhere)
    for each in besides:
        yield from _has(outline, joined(about), verb, each)


def _whole_clause(outline: Outline, verb: int, about: Sequence[Item], tense: str) -> Statement:
    tree, own = outline.tree, outline.own_subject(verb)
    marks = [each for each in tree.under(verb, "mark", "advmod") if tree.lower(each) in FACTIVE or tree.tag(each) == "WRB"]
    rest = [index for index in tree.subtree(verb, outline.apart) if verb == tree.root or index not in marks]
    if own is not None and tree.tag(own) not in RELATIVE:
        return Statement(tree.text(rest), frozenset(rest), not outline.cleft(verb))
    if not about:
        return Statement(tree.text(rest), frozenset(rest))
    rest = sorted([*_inherited(outline, verb), *(index for index in rest if index != own)])
    subject = joined(about)
    text = " ".join(part for part in (subject.text, tense, tree.text(rest)) if part)
    return Statement(text, subject.used | set(rest) | ({own} if own is not None else set()))


# --- a verb and what it says


def _inherited(outline: Outline, verb: int) -> list[int]:
    """Auxiliaries of the verb before, for one that needs them: `has sung and danced`."""
    tree, head = outline.tree, outline.tree.words[verb].head
    if tree.relation(verb) != "conj" or tree.under(verb, "aux", "auxpass"):
        return []
    if tree.words[head].lemma == "be" and tree.tag(verb) in ("VBN", "VBG") and not tree.under(head, "attr"):
        return [*tree.under(head, "aux"), head]  # `is 30 m wide and made of steel`
    bare = tree.tag(verb) in ("VB", "VBN", "VBG") and tree.tag(head) == tree.tag(verb)
    return (tree.under(head, "aux", "auxpass") or _inherited(outline, head)) if bare else []


def _shared(outline: Outline, verb: int) -> list[list[int]]:
    """`was born and raised in Lima`: each verb; but `has written and directed a film`: both at once."""
    tree = outline.tree
    twins = tree.under(verb, "twin")
    free = all(tree.lower(each) in ("in", "on", "at", "by") for each in tree.under(verb, "prep", "agent"))
    return [[verb], *([each] for each in twins)] if tree.under(verb, "auxpass") and free else [[verb, *twins]]


def _group(outline: Outline, verb: int, shared: Sequence[int], tense: str) -> Item:
    """Auxiliaries, adverbs and the verb, or in its place those that share all of its clause."""
    tree, own = outline.tree, outline.own_subject(verb)
    first = own if own is not None and own < verb else 0
    before = [each for each in tree.under(verb, "aux", "auxpass", "advmod") if each < verb and len(tree.subtree(each)) == 1]
    said = [each for each in before if tree.tag(each) != "WRB" and tree.lower(each) not in DROPPED]
    inside = [each for each in said if each > first or tree.relation(each) != "advmod"]
    indices = sorted([*_inherited(outline, verb), *inside, *range(min(shared), max(shared) + 1)])
    text = tree.text(indices)
    text = text[:1].lower() + text[1:] if indices[0] == 0 else text
    if text.startswith("having ") and outline.own_subject(verb) is None:
        text = f"{'had' if outline.finite(tree.root) == 'VBD' else 'has'} {text.removeprefix('having ')}"
    if tree.lower(verb) == "being" and tense:
        text, tense = tense, ""
    if tense == "is" and indices == [verb] and tree.tag(verb) == "VBG":
        text, tense = present(tree.words[verb].lemma), ""  # `consisting of` -> `consists of`
    return Item(verb, f"{tense} {text}".strip(), frozenset(indices))


def _combined(outline: Outline, subject: Item, group: Item, verb: int, but: frozenset[int]) -> Iterator[Statement]:
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


# --- what someone or something is, and has


def _apposition(outline: Outline, noun: int) -> Iterator[Statement]:
    owner = name(outline, outline.tree.words[noun].head)
    if outline.bare(noun):  # `in Lima, Peru`
        place = whole(outline, noun)
        yield Statement(f"{owner.text} is in {place.text}", owner.used | place.used)
        return
    yield from _predicates(outline, owner, Item(noun, "is", frozenset()), noun, frozenset())


def _predicates(outline: Outline, subject: Item, be: Item, noun: int, but: frozenset[int]) -> Iterator[Statement]:
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


def _in_addition(outline: Outline, verb: int) -> list[int]:
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


def _kinds(outline: Outline) -> Iterator[Statement]:
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


def _has(outline: Outline, subject: Item, verb: int, prep: int) -> Iterator[Statement]:
    tree, owned = outline.tree, _owned(outline, prep)
    if owned is None:
        return
    owner, noun = owned
    text = tree.text([each for each in tree.subtree(noun, outline.apart) if each != owner])
    article = f"{a(text)} " if tree.tag(noun) == "NN" and tree.lower(noun) not in ("work", "research") else ""
    has = "had" if outline.finite(verb) == "VBD" else "has"
    yield Statement(f"{subject.text} {has} {article}{text}", subject.used | set(tree.subtree(prep)))
