"""The verbs of statements: a word list, and where the main verb of a claim is."""

import re
from functools import lru_cache

from flame_ray.rewards.factuality.decompose.dedup import vocabulary

# What one thing does, or did.
VERBS = vocabulary("""
    spent left kept sought thought caught chose fought shot taught stood sat fled threw drew flew slept swam sang rang
    paid laid heard felt understood became overcame withdrew rode broke woke stole froze forgot beat cut hit let set
    shut hurt burst spread is are was were has have had will can could may might must should would does did become
    becomes gained consists speaks belongs joined declared remains serves holds stretches boasts comprises spans relies
    depends experiences receives ended began won lost died makes made established founded wrote created published
    released directed invented discovered married played gave took said told started opened closed moved grew grows rose
    fell led leads went came comes brought brings means refers lies sits stands provides contributes includes contains
    involves consisted included contained covered shared bordered spoke practice practise follow follows followed
    believe believes speak include border share rely depend lie exist exists contain consist comprise stretch extend
    extends depended relied remained served held ran runs flows flow connects separates surrounds employs attracts
    generates accounts dominates dominate allows enables helps helped plays gets get occurs happened happens appears
    seems tends belonged governs governed elects elected appoints enjoys enjoyed live lived killed need needs show shows
    showed use used uses called hosts shapes faces attends teaches studied worked works wins scored stars starred
    featured produced exported imported built sold bought offers offered supports supported drives drove touches touch
    meets met prefer prefers cost costs weighs measures boils melts orbits turns eats eat drinks requires required
    identify identifies identified celebrates celebrate develops developed adopted abolished gain gains mine mines
    varies vary ranges averages average reaches reached rises falls increased decreased invaded conquered occupied
    annexed colonized look looks looked translates translate focus focuses focused evolved evolves pave paved provide
    boast signed ratified approved passed voted resigned succeeded replaced defeated attacked drank drink ate drive
    driven sends send sees see saw keeps puts put carries carried crosses crossed enters entered""")
# These are nouns just as often: `the main exports`, `land borders`.
ALSO_NOUNS = vocabulary("""
    practices borders shares covers exports imports produces features ranks lives operates processes functions forms
    influences plans claims names centers estimates reports supplies harvests export import produce""")
# Two subjects do these things together, so neither does them alone.
COLLECTIVE_VERBS = vocabulary(
    "share both together form are were have had met fought signed agreed married make made join joined merged"
)
ARTICLES = vocabulary("a an the its their his her our your my this these those some any no every each another all")
# Words before a noun: `main exports`, `of exports`.
BEFORE_NOUNS = ARTICLES | vocabulary("""
    of in on with for by from to at and or as main major primary top key largest chief important leading total land
    maritime national international principal common significant many most other several various agricultural mineral
    natural its two three four five biggest notable foreign economic such like including between country's nation's""")
VERB = re.compile(rf"\b(?:{'|'.join(sorted(VERBS | ALSO_NOUNS))}|cannot|\w+n['’]t)\b(?!['’-])")
# `VERB` finds the words of this pattern that `_ALONE` has, and those that end in `n't`. A look into a set takes less time than
# hundreds of alternatives.
_WORD = re.compile(r"\b(?:\w+|\w+n['’]t)\b(?!['’-])")
_ALONE = VERBS | ALSO_NOUNS | {"cannot"}


@lru_cache(maxsize=4096)
def first_verb(claim: str, start: int = 0) -> re.Match[str] | None:
    """The first word from `start` on that is a verb where it stands.

    >>> first_verb("The main exports of Peru are gold and copper")[0], first_verb("Peru exports gold")[0]
    ('are', 'exports')
    """
    for match in _WORD.finditer(claim, start):
        if match[0] not in _ALONE and not match[0].endswith(("'t", "’t")):
            continue
        before = claim[: match.start()].rstrip()
        last = before.rsplit(" ", 1)[-1].lower()
        if match[0] not in ALSO_NOUNS and last not in ARTICLES:
            return match
        if before and match[0] in ALSO_NOUNS and last not in BEFORE_NOUNS and not last.endswith(("'s", "’s", ",")):
            return match
    return None
