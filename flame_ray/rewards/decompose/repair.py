"""Where the model of the parser often hangs a phrase on the wrong word, and where it belongs.

In: the words of a parsed sentence. Out: the same words with better heads. Knows nothing of facts.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from flame_ray.engines.parser import Word
from flame_ray.rewards.decompose.duplicates import vocabulary

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
DATE = re.compile(rf"^(?:{MONTHS}|1\d\d\ds?|20\d\ds?)$")
COUNTED = frozenset(
    vocabulary("several numerous various many multiple other some two three four five six seven eight nine ten")
)
PERSONS = ("or", "er", "ist", "ian", "man", "woman", "ess", "eer", "ete", "ot", "ent", "ant", "ic")


def is_date(word: str) -> bool:
    return bool(DATE.match(word))


def repaired(words: Sequence[Word]) -> list[Word]:
    """Each repair sees what those before it made; none hangs a word on one that depends on it."""
    sentence = _Sentence(list(words))
    for repair in REPAIRS:
        for index in range(len(sentence.words)):
            repair(sentence, index)
    return sentence.words


class _Sentence:
    def __init__(self, words: list[Word]):
        self.words = words

    def hang(self, index: int, head: int, relation: str = "") -> None:
        word = self.words[index]
        if head != word.head and index not in (head, *self.above(head)):
            self.words[index] = replace(word, head=head, relation=relation or word.relation)

    def above(self, index: int) -> list[int]:
        found: list[int] = []
        while (head := self.words[index].head) != index and len(found) < len(self.words):
            found.append(head)
            index = head
        return found

    def children(self, head: int, *relations: str) -> list[int]:
        return [i for i, word in enumerate(self.words) if word.head == head and i != head and word.relation in relations]

    def begin(self, head: int) -> int:
        return next(i for i in range(len(self.words)) if i == head or head in self.above(i))

    def is_noun(self, index: int) -> bool:
        return self.words[index].tag.startswith("NN")

    def is_verb(self, index: int) -> bool:
        return self.words[index].tag.startswith("VB")


def _noun_called_verb(sentence: _Sentence, index: int) -> None:
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


def _joined_verb(sentence: _Sentence, index: int) -> None:
    """A finite verb is joined to a verb: `studied law at Lima and later moved`."""
    word = sentence.words[index]
    if word.relation == "conj" and word.tag in ("VBD", "VBZ") and not sentence.is_verb(word.head):
        verb = next((each for each in sentence.above(index) if sentence.is_verb(each)), None)
        links = [each for each in sentence.children(word.head, "cc") if each < index]
        if verb is not None:
            sentence.hang(index, verb)
            for link in links[-1:]:
                sentence.hang(link, verb)


def _twins(sentence: _Sentence, index: int) -> None:
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


def _after_participle(sentence: _Sentence, index: int) -> None:
    """`a painter born in 1922, in Lima`: the place is the birth's."""
    word = sentence.words[index]
    verb = word.head
    if word.text == "with" and sentence.words[index - 1].text == "," and sentence.words[verb].relation == "acl":
        sentence.hang(index, sentence.words[verb].head)  # `a country bordered by Chile, with a population of 2 million`
    if word.relation != "prep" or not sentence.is_noun(word.head) or word.text == "with":
        return
    nouns = [word.head, *sentence.children(word.head, "conj")]
    verbs = [
        each for noun in nouns for each in sentence.children(noun, "acl") if each < index and sentence.words[each].tag == "VBN"
    ]
    if verbs:
        sentence.hang(index, verbs[-1])


def _joined_noun(sentence: _Sentence, index: int) -> None:
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


def _list_called_apposition(sentence: _Sentence, index: int) -> None:
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


def _like_articles(sentence: _Sentence, index: int) -> None:
    """`a degree from Lima and a diploma`: what has an article, or an owner, is joined to what has one."""
    word = sentence.words[index]
    if word.relation != "conj" or not sentence.is_noun(index) or not _indefinite(sentence, index):
        return
    if not _indefinite(sentence, word.head):
        near = list(takewhile(lambda each: not sentence.is_verb(each), sentence.above(index)))
        like = next((each for each in near if sentence.is_noun(each) and _indefinite(sentence, each)), None)
        links = [each for each in sentence.children(word.head, "cc") if each < index]
        if like is not None:
            sentence.hang(index, like)
            for link in links[-1:]:
                sentence.hang(link, like)


def _indefinite(sentence: _Sentence, index: int) -> bool:
    before = [sentence.words[each] for each in sentence.children(index, "det", "poss")]
    return any(word.text in ("a", "an") or word.tag == "PRP$" for word in before)


def _after_joined(sentence: _Sentence, index: int) -> None:
    """A phrase right behind the last noun of a list is that noun's, if it is a noun's at all: `law and a job at the mill`."""
    word, before = sentence.words[index], index - 1
    near = before >= 0 and sentence.words[before].relation == "conj" and sentence.is_noun(before)
    if word.relation == "prep" and near and word.head < before and not sentence.is_verb(word.head):
        sentence.hang(index, before)


def _split_name(sentence: _Sentence, index: int) -> None:
    """`Ramesses IV was ...`: both words name the subject."""
    word, following = sentence.words[index], index + 1
    if word.relation != "npadvmod" or word.tag != "NNP" or is_date(word.text) or following == len(sentence.words):
        return
    if sentence.words[following].tag == "NNP" and sentence.words[following].relation in ("nsubj", "nsubjpass"):
        sentence.hang(index, following, "compound")


def _unfinished_clause(sentence: _Sentence, index: int) -> None:
    """`in 10 innings pitched`: a lone participle behind a noun is the noun's."""
    word = sentence.words[index]
    alone = not any(other.head == index for i, other in enumerate(sentence.words) if i != index)
    if word.relation in ("advcl", "conj") and word.tag in ("VBD", "VBN") and alone and index and sentence.is_noun(index - 1):
        sentence.hang(index, index - 1, "amod")


def _list_of_persons(sentence: _Sentence, index: int) -> None:
    """`an actor and stunt performer`: the model takes `actor` for a part of the performer's title."""
    word, links = sentence.words[index], sentence.children(index, "cc")
    noun = word.head
    apart = word.relation in ("nmod", "compound") and links and not sentence.children(index, "conj") and index < noun
    if not apart or not word.text.endswith(PERSONS) or not _indefinite(sentence, noun):
        return
    above, relation = sentence.words[noun].head, sentence.words[noun].relation
    moved = [i for i in sentence.children(noun, "det", "amod", "poss", "compound", "nmod") if i < index]
    sentence.words[index] = replace(word, head=index if relation == "ROOT" else above, relation=relation)
    sentence.words[noun] = replace(sentence.words[noun], head=index, relation="conj")
    for each in moved:
        sentence.hang(each, index)


def _empty_preposition(sentence: _Sentence, index: int) -> None:
    """`threw for over 20 yards`: the model takes the yards for an object."""
    word = sentence.words[index]
    if word.relation != "prep" or any(other.head == index for i, other in enumerate(sentence.words) if i != index):
        return
    beside = [each for each in sentence.children(word.head, "dobj", "npadvmod") if sentence.begin(each) == index + 1]
    for each in beside:
        sentence.hang(each, index, "pobj")


def _range(sentence: _Sentence, index: int) -> None:
    """`from 2013-2015`, `7-5`: a number behind a dash belongs to the one before it."""
    words = sentence.words
    below = index in sentence.above(index - 2) if index >= 2 else True
    if not below and words[index].tag == words[index - 2].tag == "CD" and words[index - 1].text in ("-", "–"):
        words[index] = replace(words[index], head=index - 2, relation="nmod")
        words[index - 1] = replace(words[index - 1], head=index - 2, relation="punct")


def _relative_of_date(sentence: _Sentence, index: int) -> None:
    """`with a song in 1963, which became a hit`: not the year did."""
    word, date = sentence.words[index], sentence.words[index].head
    which = any(sentence.words[each].tag in ("WDT", "WP") for each in sentence.children(index, "nsubj", "nsubjpass", "dobj"))
    if word.relation == "relcl" and which and is_date(sentence.words[date].text):
        before = next((each for each in range(sentence.words[date].head - 1, -1, -1) if sentence.is_noun(each)), None)
        if before is not None:
            sentence.hang(index, before)


def _span(sentence: _Sentence, index: int) -> None:
    """`from 1990 to 1999` is one phrase."""
    word = sentence.words[index]
    if word.relation != "prep" or word.text.lower() not in ("to", "until", "till", "through"):
        return
    starts = [
        each for each in sentence.children(word.head, "prep") if each < index and sentence.words[each].text.lower() == "from"
    ]
    if starts and index - starts[-1] <= 4:
        sentence.hang(index, starts[-1])


def _second_object(sentence: _Sentence, index: int) -> None:
    """`won the Prize for Art, an award`: the model takes the apposition for an object."""
    word, begin = sentence.words[index], sentence.begin(index)
    if word.relation != "dobj" or begin == 0 or sentence.words[begin - 1].text != "," or not _indefinite(sentence, index):
        return
    first = next((each for each in sentence.children(word.head, "dobj") if each < begin), None)
    if first is not None:
        sentence.hang(index, first, "appos")


def _apposition(sentence: _Sentence, index: int) -> None:
    """What follows a comma describes the name just before it: `born in Lima, Peru`, `of mezzotint, a technique`."""
    word = sentence.words[index]
    if word.relation not in ("appos", "npadvmod") or not sentence.is_noun(index):
        return
    before = sentence.begin(index) - 2
    if before < 0 or sentence.words[before + 1].text != "," or not sentence.is_noun(before):
        return
    bare = not sentence.children(index, "det", "poss") and word.tag == "NNP" and sentence.words[before].tag == "NNP"
    adrift = not sentence.is_noun(word.head)
    if (bare and not is_date(word.text) and not is_date(sentence.words[before].text)) or (adrift and word.relation == "appos"):
        sentence.hang(index, before, "appos")


def _examples(sentence: _Sentence, index: int) -> None:
    word = sentence.words[index]
    if word.relation == "prep" and word.text.lower() == "including":
        head = _counted(sentence, index)
        while sentence.words[head].relation == "conj" and sentence.is_noun(sentence.words[head].head):
            head = sentence.words[head].head
        sentence.hang(index, head)


def _counted(sentence: _Sentence, index: int) -> int:
    """The noun of which examples follow: one that is said to be several, else the nearest plural."""
    words, chain = sentence.words, sentence.above(index)
    verb = next((each for each in chain if words[each].tag.startswith("VB")), None)
    nouns = [each for each in chain if words[each].tag in ("NNS", "NNPS") and each < index]
    if verb is not None:
        nouns += [each for each in sentence.children(verb, "dobj") if words[each].tag == "NNS" and each < index]
    counted = {word.head for word in words if word.text.lower() in COUNTED}
    return next((each for each in nouns if each in counted), nouns[0] if nouns else words[index].head)


def _date(sentence: _Sentence, index: int) -> None:
    """`born on May 2 in Lima`, `an award for his work in 1980`: neither part is about the other."""
    word = sentence.words[index]
    if word.relation != "prep" or word.text.lower() == "of":
        return
    above = word.head
    while is_date(sentence.words[above].text) and sentence.words[above].head != above:
        above = sentence.words[above].head
    if above != word.head:
        sentence.hang(index, sentence.words[above].head if sentence.words[above].relation == "prep" else above)
    first = sentence.words[index].head
    while sentence.words[first].relation == "conj" and sentence.is_noun(first):
        first = sentence.words[first].head
    head, over = sentence.words[first], sentence.words[sentence.words[first].head]
    dated = any(is_date(sentence.words[each].text) for each in sentence.children(index, "pobj"))
    listed = first != sentence.words[index].head  # `a prize in 1980 and a medal in 1998`: the medal's
    loose = (head.relation == "dobj" and not listed) or (
        head.relation == "pobj" and (over.text == "as" or over.relation == "agent")
    )
    if dated and loose:
        sentence.hang(index, next((each for each in sentence.above(index) if sentence.is_verb(each)), word.head))


def _after_examples(sentence: _Sentence, index: int) -> None:
    """`several awards, including the Medal in 2016`: what follows the last example is about that example."""
    word = sentence.words[index]
    if word.relation not in ("prep", "npadvmod") or word.text.lower() == "including":
        return
    for each in sentence.children(word.head, "prep", "dobj", "pobj"):
        examples = [i for i in [each, *range(each + 1, index)] if sentence.words[i].text.lower() == "including"]
        if each < index and examples and word.head not in range(examples[-1], index):
            last = next((i for i in range(index - 1, examples[-1], -1) if sentence.is_noun(i)), None)
            if last is not None:
                sentence.hang(index, last)
            return


REPAIRS = (
    _noun_called_verb,
    _split_name,
    _unfinished_clause,
    _joined_verb,
    _twins,
    _after_participle,
    _joined_noun,
    _list_called_apposition,
    _like_articles,
    _list_of_persons,
    _empty_preposition,
    _range,
    _span,
    _relative_of_date,
    _second_object,
    _apposition,
    _examples,
    _date,
    _after_joined,
    _after_examples,
)
