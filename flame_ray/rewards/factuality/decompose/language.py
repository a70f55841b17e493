"""Refuses a response that is not in English, because the rules of the decomposers are those of English."""

import re
import unicodedata

from flame_ray.rewards.factuality.decompose.dedup import vocabulary

ENGLISH = vocabulary("the of and is are was were to with for has have had by that its it from on as at this which")
OTHERS = vocabulary("""
    le la les des est une un et dans du au aux qui que pour sur avec sont el los las es y en por con su del una al se lo
    como der die das und ist ein eine den dem mit von im auf zu nicht sich il di che della dei gli sono nel per os do da
    em uma não com het een van op te zijn och att det som på är av og til er jest się na z w oraz
    adalah yang dan dari untuk bir ve ile için ja että oli sekä az egy hogy és este și cu sau""")
LATIN = ("LATIN", "MATHEMATICAL", "FULLWIDTH LATIN")  # how the names of Latin letters begin
FEWEST = 3  # words of another language
IS = vocabulary(
    "es est ist sind sont sono é è är là są jest adalah este"
)  # `is` or `are` elsewhere: with it, fewer such words are enough


def refuse_other_languages(text: str) -> None:
    """Raises ValueError if most letters of a text are not Latin, or if its small words are those of another language.

    The message is the same for all texts of a kind, so that a run can count them.

    >>> refuse_other_languages("Lima is the capital of Peru.")
    >>> refuse_other_languages("利马是智利的首都。")
    Traceback (most recent call last):
    ValueError: decompose: expected a response in English, found one in CJK script; use decompose=llm
    """
    letters = [] if text.isascii() else [char for char in text if char.isalpha()]
    other = [char for char in letters if not unicodedata.name(char, "LATIN").startswith(LATIN)]
    found = ""
    if len(letters) > 1 and 2 * len(other) > len(letters):
        found = f"one in {unicodedata.name(other[0]).split()[0]} script"
    else:
        words = re.findall(r"[^\W\d_]+", text)
        foreign, english = (sum(word.lower() in known for word in words) for known in (OTHERS, ENGLISH))
        if (foreign >= FEWEST and foreign > 2 * english) or (not english and _says_is(words)):
            found = "one in another language"
    if found:
        raise ValueError(f"decompose: expected a response in English, found {found}; use decompose=llm")


ALONE = vocabulary("jest adalah este")  # only one language has these words


def _says_is(words: list[str]) -> bool:
    """Whether a short sentence has the `is` of another language. Words with a capital are left out: `La Paz` is a name."""
    small = [word for word in words if word.islower()]
    verbs = IS.intersection(small)
    return any(not verb.isascii() or verb in ALONE for verb in verbs) or (
        bool(verbs) and sum(word in OTHERS | IS for word in small) > 1
    )
