"""The content of a fact: the stems of its words that evidence could refute. Facts with the same content are duplicates."""

import re
from functools import lru_cache

import Stemmer


def vocabulary(text: str) -> frozenset[str]:
    """The words of a text, so that a long list of words can be written as a block."""
    return frozenset(text.split())


# A claim of these words alone says nothing that evidence could refute.
EMPTY = vocabulary("""
    a an the of in on at to for from by with and or but as that this these those its it their they which who is are was
    were be been has have had do does did will can may very more most such also both other some many much all well known
    home located situated place world country nation state people population region area land city rich diverse vibrant
    beautiful unique cultural culture heritage history historical traditional tradition strong significant important
    popular famous great wide range variety various number landscape natural economy economic society social political
    system government climate geography environment life way part complex dynamic fascinating stunning welcoming
    friendly hospitable modern ancient long deep proud thriving growing influence influenced shaped blend mix mixture
    years centuries time community communities beauty full offers different several one make makes made key major role
    plays factor factors characterized world's including include includes ability resources quality high standard living
    strongly highly among there""")
NEGATIONS = frozenset({"not", "no", "never", "without"})
_stem = Stemmer.Stemmer("english").stemWord
# A fact that adds only these to an earlier one says it again: `a small tropical island` after `a tropical island`.
SLIGHT = vocabulary("""
    small large big little tiny vast huge beautiful lovely lush sovereign mostly primarily generally usually often known
    considered boasts offers""")
LEAST_SAID = 3  # words with content that a fact has beside them
_EMPTY_STEMS = {_stem(word) for word in EMPTY}

_SLIGHT_STEMS = {_stem(word) for word in SLIGHT}


def content(text: str) -> frozenset[str]:
    """The stems of the words that carry a claim, negations included.

    >>> sorted(content("The capital of Peru is not Cuzco"))
    ['capit', 'cuzco', 'not', 'peru']
    """
    words = re.findall(r"\d[\d.,]*\d|\w+(?:['’]\w+)?", text.lower())
    return frozenset(stem for stem in map(_stem_of, words) if stem not in _EMPTY_STEMS or stem in NEGATIONS)


@lru_cache(maxsize=65536)
def _stem_of(word: str) -> str:
    return _stem(word[:-2] if word.endswith(("'s", "’s")) else word)


class SeenFacts:
    """The contents of a response's facts so far."""

    def __init__(self) -> None:
        self._contents: set[frozenset[str]] = set()
        self._by_stem: dict[str, list[frozenset[str]]] = {}

    def add(self, key: frozenset[str]) -> bool:
        """Adds the content of a fact. False if it is empty or an earlier fact contains all of it."""
        if not key or key in self._contents or self._is_covered(key):
            return False
        if len(said := key - _SLIGHT_STEMS) >= LEAST_SAID and self._is_covered(said):
            return False
        self._contents.add(key)
        for stem in key:
            self._by_stem.setdefault(stem, []).append(key)
        return True

    def _is_covered(self, key: frozenset[str]) -> bool:
        rarest = min((self._by_stem.get(stem, []) for stem in key), key=len)
        return any(key <= earlier for earlier in rarest)
