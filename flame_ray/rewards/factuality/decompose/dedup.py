"""Whether a fact says something, and whether it was said before.

In: the text of a fact. Out: its content, the stems of the words that evidence could show to be false; and whether an
earlier fact says all of it. Knows nothing of sentences, nor of who split them.
"""

import re

import Stemmer


def vocabulary(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Words of which a claim can consist without saying anything that evidence could show to be false.
EMPTY = vocabulary(
    """a an the of in on at to for from by with and or but as that this these those its it their it they which who is are
    was were be been has have had do does did will can may very more most such also both other some many much all well
    known home located situated place world country nation state people population region area land city rich
    diverse vibrant beautiful unique cultural culture heritage history historical traditional tradition strong
    significant important popular famous great wide range variety various number landscape natural economy economic
    society social political system government climate geography environment life way part complex dynamic
    fascinating stunning warm welcoming friendly hospitable modern ancient long deep proud thriving growing
    influence influenced shaped blend mix mixture years centuries time community communities beauty full offers
    different several one make makes made key major role plays factor factors characterized world's including
    include includes ability resources quality high standard living strongly highly among there"""
)
NEGATIONS = frozenset({"not", "no", "never", "without"})
_stem = Stemmer.Stemmer("english").stemWord
_EMPTY_STEMS = {_stem(word) for word in EMPTY}


def content(text: str) -> frozenset[str]:
    """Stems of the words that carry a claim; a denial is one of them.

    >>> sorted(content("The capital of Peru is not Cuzco"))
    ['capit', 'cuzco', 'not', 'peru']
    """
    words = re.findall(r"\d[\d.,]*\d|\w+(?:['’]\w+)?", text.lower())
    stems = (_stem(re.sub(r"['’]s$", "", word)) for word in words)
    return frozenset(stem for stem in stems if stem not in _EMPTY_STEMS or stem in NEGATIONS)


class Said:
    """The facts of one response so far, by their content. A fact that an earlier one says all of is no new one."""

    def __init__(self) -> None:
        self._whole: set[frozenset[str]] = set()
        self._by_stem: dict[str, list[frozenset[str]]] = {}

    def is_new(self, key: frozenset[str]) -> bool:
        """Whether no earlier fact says it; from now on, it is said. What has no content is never new."""
        if not key or key in self._whole or self._covered(key):
            return False
        self._whole.add(key)
        for stem in key:
            self._by_stem.setdefault(stem, []).append(key)
        return True

    def _covered(self, key: frozenset[str]) -> bool:
        rarest = min((self._by_stem.get(stem, []) for stem in key), key=len)
        return any(key <= earlier for earlier in rarest)
