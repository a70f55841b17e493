"""True statements of a corpus and their false twins, with the passage that tells them apart: data to train a checker on.

In: passages and a seed. Out: labelled claims. A statement is a fact of the passage, in part or rounded; its twin has one
thing changed: a name of the same passage or another one in place of a name, a figure, an opposite, a denial. Some evidence
lacks what the statement says, so that a topic in common is not support. Knows no model. Pure.
"""

import random
import re
from collections.abc import Iterator, Sequence

from flame_ray.errors import DataError
from flame_ray.rewards.decompose import decompose
from flame_ray.rewards.decompose.duplicates import content
from flame_ray.rewards.decompose.sentences import sentences
from flame_ray.types import Claim, Fact, LabelledClaim, Passage

GROUP = "twins"
MIN_WORDS, MAX_WORDS = 4, 40
MISSES = 5000  # passages in a row that do not serve, after which none is expected to
ABSENT = 0.1  # share of claims whose evidence is taken away
NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][\w'’-]+(?: (?:of |the |de |von |van )?[A-Z][\w'’-]+)*")
NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
YEAR = re.compile(r"\b(?:1\d|20)\d\d\b")
AUXILIARY = re.compile(r"\b(is|was|are|were|can|will)\b")
TAIL = re.compile(r"^(.{25,}?), (?:which|who|where|and|with|including|known|such)\b.*$")
OPPOSITES = """north/south east/west northern/southern eastern/western first/last largest/smallest highest/lowest oldest/newest
    before/after born/died son/daughter father/mother brother/sister husband/wife king/queen male/female more/fewer won/lost
    increased/decreased founded/dissolved early/late American/British French/German English/Scottish novel/film album/book
    actor/politician singer/painter writer/footballer physicist/composer ancient/modern second/third major/minor"""
EXCHANGED = {a: b for pair in OPPOSITES.split() for a, b in (pair.split("/"), reversed(pair.split("/")))}


def twins(passages: Sequence[Passage], count: int, seed: int) -> list[LabelledClaim]:
    """`count` claims, about half of them true. The same passages and seed give the same claims.

    Raises DataError if hardly any passage states a fact.
    """
    draw = random.Random(seed)
    names = sorted({name for passage in draw.sample(passages, min(1500, len(passages))) for name in NAME.findall(passage.text)})
    made: list[LabelledClaim] = []
    misses = 0
    while len(made) < count:
        if not passages or misses == MISSES:
            found = f"{len(made)} claims of {count} in {len(passages)} passages"
            raise DataError("a corpus of English statements", found, "name another train_checker.corpus, or set twins=0")
        new = list(_claims(draw.choice(passages), names, draw))
        misses = 0 if new else misses + 1
        made += new
    return made


def _claims(passage: Passage, names: Sequence[str], draw: random.Random) -> Iterator[LabelledClaim]:
    """One of the passage's facts with its label, or nothing where the passage does not serve."""
    facts = [fact.text for fact in decompose(passage.text, draw.choice(("rule", "sentence")))]
    facts = [fact for fact in facts if MIN_WORDS <= len(fact.split()) <= MAX_WORDS]
    if not facts:
        return
    statement = _varied(draw.choice(facts), draw)
    if draw.random() < ABSENT:
        if (rest := _without(passage, statement)) is not None:
            yield _labelled(statement, rest, False)
    elif draw.random() < 0.5:
        yield _labelled(statement, passage, True)
    elif (twin := _twin(statement, passage.text, names, draw)) is not None:
        yield _labelled(twin, passage, False)


def _labelled(text: str, passage: Passage, supported: bool) -> LabelledClaim:
    return LabelledClaim(Claim(Fact(f"{text.rstrip('.')}.", 0), (passage,)), supported, GROUP)


def _varied(statement: str, draw: random.Random) -> str:
    """The same with less said: without its last clause, a year as its decade, without brackets; or as it is."""
    choice = draw.random()
    if choice < 0.3 and (match := TAIL.match(statement)):
        return match[1]
    if 0.3 <= choice < 0.5 and (match := YEAR.search(statement)):
        return f"{statement[: match.start()]}the {match[0][:3]}0s{statement[match.end() :]}"
    return re.sub(r" \([^)]*\)", "", statement) if choice >= 0.9 else statement


def _without(passage: Passage, statement: str) -> Passage | None:
    """The passage without the sentences that share half of the statement's words; None if nothing is left or nothing went."""
    said, lines = content(statement), sentences(passage.text)
    rest = [line for line in lines if len(said & content(line)) < 0.5 * len(said)]
    return Passage(passage.id, passage.title, " ".join(rest)) if rest and len(rest) < len(lines) else None


# --- what is changed ------------------------------------------------------------------------------------------------


def _twin(statement: str, evidence: str, names: Sequence[str], draw: random.Random) -> str | None:
    """The statement with one thing changed; None where there is nothing to change."""
    changes = [_name, _name, _name, _number, _number, _exchange, _denial]
    draw.shuffle(changes)
    found = (change(statement, evidence, names, draw) for change in changes)
    return next((twin for twin in found if twin is not None and twin != statement), None)


def _name(statement: str, evidence: str, names: Sequence[str], draw: random.Random) -> str | None:
    """Two times in three a name of the same passage: that it stands there tells nothing."""
    places = list(NAME.finditer(statement))
    if not places:
        return None
    place = draw.choice(places)
    near = [name for name in NAME.findall(evidence) if name not in statement and place[0] not in name]
    far = [name for name in draw.sample(names, min(20, len(names))) if name not in evidence]
    other = draw.choice(near) if near and draw.random() < 2 / 3 else draw.choice(far) if far else None
    return None if other is None else statement[: place.start()] + other + statement[place.end() :]


def _number(statement: str, evidence: str, names: Sequence[str], draw: random.Random) -> str | None:
    places = list(NUMBER.finditer(statement))
    if not places:
        return None
    place = draw.choice(places)
    near = [each for each in NUMBER.findall(evidence) if len(each) == len(place[0]) and each not in statement]
    other = draw.choice(near) if near and draw.random() < 0.5 else _other_number(place[0], draw)
    return None if other == place[0] else statement[: place.start()] + other + statement[place.end() :]


def _other_number(number: str, draw: random.Random) -> str:
    value = float(number.replace(",", "")) if number.replace(",", "").replace(".", "", 1).isdigit() else 0.0
    if YEAR.fullmatch(number):
        return str(int(value) + draw.choice((-100, -30, -20, -10, -7, -3, -2, -1, 1, 2, 3, 5, 10, 20, 50)))
    if not value.is_integer():
        return f"{value * draw.choice((0.5, 0.7, 1.4, 2)):.1f}"
    return f"{max(1, int(value * draw.choice((0.3, 0.5, 0.7, 1.5, 2, 3)) + draw.choice((0, 1)))):,}"


def _exchange(statement: str, evidence: str, names: Sequence[str], draw: random.Random) -> str | None:
    words = [word for word in re.findall(r"\w+", statement) if word in EXCHANGED]
    return re.sub(rf"\b{(word := draw.choice(words))}\b", EXCHANGED[word], statement, count=1) if words else None


def _denial(statement: str, evidence: str, names: Sequence[str], draw: random.Random) -> str | None:
    match = AUXILIARY.search(statement)
    return None if match is None else f"{statement[: match.end()]} not{statement[match.end() :]}"
