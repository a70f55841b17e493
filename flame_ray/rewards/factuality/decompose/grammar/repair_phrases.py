"""Repairs of what hangs on a verb or a noun: appositions, dates, examples, phrases behind a participle.

In: heads, and the index of a word. Out: the same heads, of which that word's, or those around it, may hang elsewhere.
"""

from dataclasses import replace

from flame_ray.rewards.factuality.decompose.grammar.heads import COUNTED, Heads, is_date


def split_name(sentence: Heads, index: int) -> None:
    """`Ramesses IV was ...`: both words name the subject."""
    word, following = sentence.words[index], index + 1
    if word.relation != "npadvmod" or word.tag != "NNP" or is_date(word.text) or following == len(sentence.words):
        return
    if sentence.words[following].tag == "NNP" and sentence.words[following].relation in ("nsubj", "nsubjpass"):
        sentence.hang(index, following, "compound")


def unfinished_clause(sentence: Heads, index: int) -> None:
    """`in 10 innings pitched`: a lone participle behind a noun is the noun's."""
    word = sentence.words[index]
    alone = not any(other.head == index for i, other in enumerate(sentence.words) if i != index)
    if word.relation in ("advcl", "conj") and word.tag in ("VBD", "VBN") and alone and index and sentence.is_noun(index - 1):
        sentence.hang(index, index - 1, "amod")


def after_participle(sentence: Heads, index: int) -> None:
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


def empty_preposition(sentence: Heads, index: int) -> None:
    """`threw for over 20 yards`: the model takes the yards for an object."""
    word = sentence.words[index]
    if word.relation != "prep" or any(other.head == index for i, other in enumerate(sentence.words) if i != index):
        return
    beside = [each for each in sentence.children(word.head, "dobj", "npadvmod") if sentence.begin(each) == index + 1]
    for each in beside:
        sentence.hang(each, index, "pobj")


def number_range(sentence: Heads, index: int) -> None:
    """`from 2013-2015`, `7-5`: a number behind a dash belongs to the one before it."""
    words = sentence.words
    below = index in sentence.above(index - 2) if index >= 2 else True
    if not below and words[index].tag == words[index - 2].tag == "CD" and words[index - 1].text in ("-", "–"):
        words[index] = replace(words[index], head=index - 2, relation="nmod")
        words[index - 1] = replace(words[index - 1], head=index - 2, relation="punct")


def span(sentence: Heads, index: int) -> None:
    """`from 1990 to 1999` is one phrase."""
    word = sentence.words[index]
    if word.relation != "prep" or word.text.lower() not in ("to", "until", "till", "through"):
        return
    starts = [
        each for each in sentence.children(word.head, "prep") if each < index and sentence.words[each].text.lower() == "from"
    ]
    if starts and index - starts[-1] <= 4:
        sentence.hang(index, starts[-1])


def relative_of_date(sentence: Heads, index: int) -> None:
    """`with a song in 1963, which became a hit`: not the year did."""
    word, date = sentence.words[index], sentence.words[index].head
    which = any(sentence.words[each].tag in ("WDT", "WP") for each in sentence.children(index, "nsubj", "nsubjpass", "dobj"))
    if word.relation == "relcl" and which and is_date(sentence.words[date].text):
        before = next((each for each in range(sentence.words[date].head - 1, -1, -1) if sentence.is_noun(each)), None)
        if before is not None:
            sentence.hang(index, before)


def second_object(sentence: Heads, index: int) -> None:
    """`won the Prize for Art, an award`: the model takes the apposition for an object."""
    word, begin = sentence.words[index], sentence.begin(index)
    if word.relation != "dobj" or begin == 0 or sentence.words[begin - 1].text != "," or not sentence.is_indefinite(index):
        return
    first = next((each for each in sentence.children(word.head, "dobj") if each < begin), None)
    if first is not None:
        sentence.hang(index, first, "appos")


def apposition(sentence: Heads, index: int) -> None:
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


def examples_of(sentence: Heads, index: int) -> None:
    word = sentence.words[index]
    if word.relation == "prep" and word.text.lower() == "including":
        head = _counted(sentence, index)
        while sentence.words[head].relation == "conj" and sentence.is_noun(sentence.words[head].head):
            head = sentence.words[head].head
        sentence.hang(index, head)


def _counted(sentence: Heads, index: int) -> int:
    """The noun of which examples follow: one that is said to be several, else the nearest plural."""
    words, chain = sentence.words, sentence.above(index)
    verb = next((each for each in chain if words[each].tag.startswith("VB")), None)
    nouns = [each for each in chain if words[each].tag in ("NNS", "NNPS") and each < index]
    if verb is not None:
        nouns += [each for each in sentence.children(verb, "dobj") if words[each].tag == "NNS" and each < index]
    counted = {word.head for word in words if word.text.lower() in COUNTED}
    return next((each for each in nouns if each in counted), nouns[0] if nouns else words[index].head)


def dated(sentence: Heads, index: int) -> None:
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


def after_examples(sentence: Heads, index: int) -> None:
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
