"""Tells whether a fact answers the instruction, by what the instruction asks for; no model.

An instruction about a country asks for topics, such as borders or religions. A fact is relevant if it has words of one of them,
and says more than the instruction does; a question of yes or no is answered in its own words. An instruction without a known
topic asks for anything about its subject. The topics were written for records, such as the Factbook's: they do not know that
"hardware description languages" are no languages of people, so that every fact answers an instruction about anything else.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import Stemmer

from flame_ray.rewards.factuality.check.records import records_among
from flame_ray.rewards.factuality.retrieve.titles import QUALIFIER, words_of
from flame_ray.rewards.factuality.text import fold
from flame_ray.types import Passage

# Each topic with the words of an instruction that ask for it, and those of a fact that states it; case matters only for NAME.
NAME = "(?-i:[A-Z])"  # the start of a name
TOPICS = {
    "capital": (
        r"capital",
        rf"capital\b.*\b(is|are|called|named|at) (called |named |known as |the city of |located (in|at) )?[\"']?{NAME}"
        rf"|(?<!capital )city of {NAME}|{NAME}\w+\)?,? (is|was|as|being|the|its) (the |its )?([\w]+ )?capital",
    ),
    "government": (
        r"govern|political system",
        r"govern|republic\b(?! of)|monarch|democra|parliament|president|prime minister|federa|dictator|autocra|secular"
        r"|constitution|elected|\bking\b|queen|emir\b|sultan|legislat",
    ),
    "border": (
        r"border|neighbo|frontier",
        r"border|neighbo|frontier|adjacent|surround|bounded|boundar|contiguous|\bbetween\b|next to|shar(es|ing) (a|its) ",
    ),
    "coast": (
        r"coast|landlocked|\bseas?\b|ocean",
        r"coast|landlocked|\bseas?\b|ocean|gulf|shore|\bbay\b|strait|caribbean|mediterranean|pacific|atlantic|baltic|beach",
    ),
    "location": (
        r"\bwhere\b|locat|\blies?\b|situated",
        r"locat|\blies?\b|situated|\blying\b|continent|region|hemisphere|africa\b|asia\b|europe\b|america\b|oceania|pacific"
        r"|atlantic|\b(in|of|on|off) (the )?(north|south|east|west|central|middle)|\b(european|african|asian|american) ",
    ),
    "climate": (
        r"climate|weather",
        r"climat|weather|temperat|rain|humid|tropic|\bwarm|\bhot|\bcold|\bcool|winter|summer|season|monsoon|\barid|\bdry\b|snow"
        r"|\bmild|\bwind|sunny|desert",
    ),
    "terrain": (
        r"terrain|landscape|\bland look|geography|topograph",
        r"terrain|landscape|topograph|mountain|\bplains?\b|desert|plateau|archipelago|volcan|\bhill|reef|atoll|valley|forest"
        r"|\bislands?\b|\bthe land\b|peninsula|river|lake|lowland|highland|rugged|\bsand|\bflat\b|coral|jungle|savanna|steppe",
    ),
    "language": (
        r"languag|\bspeak|spoken|tongue",
        r"languag|\bspeak|spoken|tongue|dialect|english|french|spanish|arabic|portuguese|mandarin|cantonese|russian|german|creole",
    ),
    "religion": (
        r"religio|believe|faith|worship",
        r"religio|belie[fv]|faith|worship|christian|catholic|islam|muslim|buddh|hindu|protestant|orthodox|judaism|jewish|\bjews"
        r"|taois|sunni|shia|animis|church",
    ),
    "farming": (
        r"\bcrops?\b|agricultur|farm",
        r"crop|agricultur|farm|livestock|cattle|wheat|\brice\b|cotton|coffee|cocoa|fruit|vegetable|fish|cultivat|cereal",
    ),
    "resources": (
        r"resource",
        r"resource|mineral|mining|\boil\b|petroleum|\bgas\b|\bgold|\bcoal|copper|timber|\biron\b|fuel|diamond|hydropower|energy",
    ),
    "industry": (
        r"industr",
        r"industr|manufactur|touris|textile|construction|\bservices\b|machinery|\bsector|produc|extract|mining|energy|factor(y|ies)"
        r"|econom.*\b(based|depend\w*|driven|relies|reliant|rely)\b",
    ),
    "exports": (r"export", r"export|\btrade\b|\bthe main (is|are)\b"),
    "economy": (r"econom", r"econom"),
    "time": (r"\bwhen\b|what year|which year|\bdate\b", r"\b\d{3,4}\b|century"),
    "quantity": (r"\bhow (many|much|large|big|tall|long|far|old|high|deep)\b", r"\d"),
}
# Words of instructions, and words without content: a fact that adds only these to the instruction says nothing.
EMPTY = """
    a about also an and answer are as at based be been being by can country countries describe different diverse each explain
    feature features for from give has have heavily home if important in include includes including into is it its kind known
    largely list main major many matter mention most much multiple name nation natural numerous of on one or other people place
    primarily primary reliant relies rely rich sentence sentences several significant so some such tell that the their them
    there these they this those to two unique use various vary very was were what which who widely will with you"""
YES_OR_NO = re.compile(r"(?i)(?:^|[.?!] )(?:is|are|was|were|do(?! not)|does|did|has|have)\b")  # how such a question begins
CAPITAL = re.compile(r"capital\b.*\b(?:is|are|called|named|as)\b(.*)")  # what a capital is called, such as Kuwait City
SUBJECT = re.compile(r"(?<=[a-z,] )[A-Z][\w-]+")  # names in an instruction; they may hold words of topics (Marshall Islands)
WORD = re.compile(r"[^\W\d_]+|\d[\d,.]*")
_stem = Stemmer.Stemmer("english").stemWord
_EMPTY_STEMS = {_stem(word) for word in EMPTY.split()}
_TOPICS = {name: tuple(re.compile(words, re.IGNORECASE) for words in topic) for name, topic in TOPICS.items()}


def asks_about_record(prompt: str, passages_K: tuple[Passage, ...]) -> bool:
    """Whether the prompt names the title of a record among its evidence, and has no name beside such titles.

    >>> lines = ("Capital, name: Lima", "Languages: Spanish", "Religions: Roman Catholic")
    >>> peru = (Passage("pe/0", "Peru", "\\n".join(lines)),)
    >>> asks_about_record("Which languages are spoken in Peru?", peru)
    True
    >>> asks_about_record("Which languages were taught at Nalanda?", peru)
    False
    >>> asks_about_record("How did the Inca Empire govern what is now Peru?", peru)
    False
    """
    asked = f" {' '.join(words_of(prompt))} "
    titles = (words_of(QUALIFIER.sub("", title)) for title in records_among(passages_K))
    named = [title for title in titles if f" {' '.join(title).removeprefix('The ')} " in asked]
    known = {word for title in named for word in title}
    return bool(named) and all(known.issuperset(words_of(name)) for name in SUBJECT.findall(fold(prompt)))


def is_relevant(prompt: str, fact: str) -> bool:
    """Whether the fact states something that the prompt asks for about a country. It may be true or false.

    >>> is_relevant("What is the capital of Peru?", "Lima is the capital of Peru")
    True
    >>> is_relevant("What is the capital of Peru?", "Peru borders Chile")
    False
    >>> is_relevant("What is the capital of Kuwait?", "The capital of Kuwait is Kuwait City")
    True
    >>> is_relevant("What is the capital of Kuwait?", "The capital of Kuwait is Kuwait")
    False
    >>> is_relevant("Which languages are common in Peru?", "Peru has many languages")
    False
    >>> is_relevant("Is Peru landlocked, or does it touch an ocean?", "Peru is landlocked")
    True
    """
    asked, fact = _asked(prompt), fold(fact)
    if asked.capital and _TOPICS["capital"][1].search(fact):
        called = CAPITAL.search(fact)
        if called and re.search(NAME, asked.without_names(called[1])):
            return True
    if not asked.stated:
        return True
    fact = asked.without_names(fact)
    return any(stated.search(fact) for stated in asked.stated) and (asked.yes_or_no or not _content(fact) <= asked.content)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an instruction asks for."""

    capital: bool
    yes_or_no: bool
    stated: tuple[re.Pattern[str], ...]  # how a fact states one of its topics
    content: frozenset[str]
    names: re.Pattern[str] | None  # of what it asks about

    def without_names(self, text: str) -> str:
        return self.names.sub(" ", text) if self.names else text


@lru_cache(maxsize=1024)
def _asked(prompt: str) -> _Asked:
    """Cached, because a prompt has many facts."""
    prompt = fold(prompt)
    names = SUBJECT.findall(prompt)
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b") if names else None
    rest = pattern.sub(" ", prompt) if pattern else prompt
    return _Asked(
        capital=_TOPICS["capital"][0].search(prompt) is not None,
        yes_or_no=YES_OR_NO.search(rest) is not None,
        stated=tuple(stated for words, stated in _TOPICS.values() if words.search(rest)),
        content=_content(rest),
        names=pattern,
    )


def _content(text: str) -> frozenset[str]:
    return frozenset(_stem(word.lower()) for word in WORD.findall(text)) - _EMPTY_STEMS
