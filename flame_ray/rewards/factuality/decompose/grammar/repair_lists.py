"""Repairs of what `and` joins: verbs with verbs, nouns with nouns of their own list.

In: heads, and the index of a word. Out: the same heads, of which that word's, or those around it, may hang elsewhere.
"""

from dataclasses import replace
from itertools import takewhile

from flame_ray.rewards.factuality.decompose.grammar.heads import PERSONS, Heads


def noun_called_verb(sentence: Heads, index: int) -> None:
    """`as a starter and reliever`: a base form that `and` joins to a finite verb is none."""
    word = sentence.words[index]
    head = sentence.words[word.head]
    if (
        word.relation == "conj"
        and word.tag == "VB"
        and head.tag in ("VBD", "VBZ", "VBN")
        and not sentence.children(word.head, "aux")
    ):
        sentence.words[index] = replace(word, tag="NN")


def joined_verb(sentence: Heads, index: int) -> None:
    """A finite verb is joined to a verb: `studied law at Lima and later moved`."""
    word = sentence.words[index]
    if word.relation == "conj" and word.tag in ("VBD", "VBZ") and not sentence.is_verb(word.head):
        verb = next((each for each in sentence.above(index) if sentence.is_verb(each)), None)
        if verb is not None:
            sentence.rejoin(index, verb)


def joined_participles(sentence: Heads, index: int) -> None:
    """`was born and raised in Lima`: both verbs share what follows."""
    word, head = sentence.words[index], index - 2
    link = sentence.words[index - 1].text == "and" if index else False
    if word.relation != "conj" or word.head != head or head < 0 or not link or word.tag not in ("VBN", "VBD"):
        return
    aux = sentence.children(head, "aux", "auxpass")
    if sentence.words[head].tag == "VBN" and aux and not sentence.children(index, "aux", "auxpass"):
        sentence.words[index] = replace(word, relation="twin")
        for each in [i for i, other in enumerate(sentence.words) if other.head == index and i > index]:
            sentence.hang(each, head)


def joined_noun(sentence: Heads, index: int) -> None:
    """A noun that follows `and` belongs to the list of the noun before it, or of the verb's object."""
    word = sentence.words[index]
    if not sentence.is_noun(index) or word.relation not in ("conj", "attr", "dobj", "oprd", "npadvmod", "appos"):
        return
    joined = sentence.begin(index) - 1
    if joined < 1 or sentence.words[joined].relation != "cc" or sentence.words[joined].text not in ("and", "&"):
        return
    if word.relation == "conj" and not sentence.is_verb(word.head):
        return
    before = joined - 1 - (sentence.words[joined - 1].text == ",")
    if not sentence.is_noun(before):
        before = next((each for each in sentence.children(word.head, "dobj", "attr") if each < joined), index)
    if before not in (index, -1):
        sentence.hang(index, before, "conj")
        sentence.hang(joined, before)


def list_called_apposition(sentence: Heads, index: int) -> None:
    """`a journalist, author, and academic`, `50 states, a district, and two islands`: the second is no apposition."""
    word = sentence.words[index]
    if word.relation != "appos" or sentence.words[word.head].tag == "NNP":
        return
    chain = [index]
    while following := sentence.children(chain[-1], "conj"):
        chain.append(following[0])
    links = [link for each in chain for link in sentence.children(each, "cc")]
    bare = not sentence.children(index, "det", "poss") and word.tag == "NN"
    if len(chain) > 1 and links and (bare or sentence.words[links[0] - 1].text == ","):
        sentence.words[index] = replace(word, relation="conj")


def like_articles(sentence: Heads, index: int) -> None:
    """`a degree from Lima and a diploma`: what has an article, or an owner, is joined to what has one."""
    word = sentence.words[index]
    if word.relation != "conj" or not sentence.is_noun(index) or not sentence.is_indefinite(index):
        return
    if not sentence.is_indefinite(word.head):
        near = list(takewhile(lambda each: not sentence.is_verb(each), sentence.above(index)))
        like = next((each for each in near if sentence.is_noun(each) and sentence.is_indefinite(each)), None)
        if like is not None:
            sentence.rejoin(index, like)


def list_of_persons(sentence: Heads, index: int) -> None:
    """`an actor and stunt performer`: the model takes `actor` for a part of the performer's title."""
    word, links = sentence.words[index], sentence.children(index, "cc")
    noun = word.head
    apart = word.relation in ("nmod", "compound") and links and not sentence.children(index, "conj") and index < noun
    if not apart or not word.text.endswith(PERSONS) or not sentence.is_indefinite(noun):
        return
    above, relation = sentence.words[noun].head, sentence.words[noun].relation
    moved = [i for i in sentence.children(noun, "det", "amod", "poss", "compound", "nmod") if i < index]
    sentence.words[index] = replace(word, head=index if relation == "ROOT" else above, relation=relation)
    sentence.words[noun] = replace(sentence.words[noun], head=index, relation="conj")
    for each in moved:
        sentence.hang(each, index)


def after_joined(sentence: Heads, index: int) -> None:
    """A phrase right behind the last noun of a list is that noun's, if it is a noun's at all: `law and a job at the mill`."""
    word, before = sentence.words[index], index - 1
    near = before >= 0 and sentence.words[before].relation == "conj" and sentence.is_noun(before)
    if word.relation == "prep" and near and word.head < before and not sentence.is_verb(word.head):
        sentence.hang(index, before)
