"""True statements of a corpus and their false twins, with the passage that tells them apart: data to train a checker on.

In: passages and a seed. Out: labelled claims. A statement is a fact of the passage, in part or in other words; its twin has
one thing changed (see falsehoods.py), and is restated, never loosened after that: what says less could be true again. Some
evidence lacks what the statement says, so that a topic in common is not support. Knows no model. Pure.
"""

import random
import re
from collections.abc import Iterator, Sequence

from flame_ray.checker_training.paraphrase import loose_years, restated, reworded, shortened
from flame_ray.checker_training.perturb import NAME, Around, falsified
from flame_ray.checker_training.templates import Values, entries, exchanged_value, values_by_field
from flame_ray.errors import DataError
from flame_ray.rewards.factuality.decompose import decompose
from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.rewards.factuality.decompose.sentences import sentences
from flame_ray.types import Claim, Fact, LabelledClaim, Passage

GROUP = "twins"
MIN_WORDS, MAX_WORDS = 3, 40
MISSES = 5000  # passages in a row that do not serve, after which none is expected to
ABSENT = 0.1  # share of claims whose evidence is taken away
ALONE = 0.6  # share of claims that stand beside the sentence of their making and one neighbour alone
SHORT = 0.35  # share of claims that are made of an article's first sentence: what it is, when somebody lived
ENDS = r"(?= (?:that|which|who|whose|in|of|from|for|by|at|on|with|and|used|based|located)\b|[,.;])"
IS_A = re.compile(rf"\b(is|was|are|were) (an?|the|one of the) ((?:[\w'’-]+ ){{0,5}}?[a-z][\w'’-]+?){ENDS}")
DAY = r"(?:\d{1,2} )?([A-Z][a-z]+ )?(?:\d{1,2}, )?(\d{4})"
LIVED = re.compile(rf"\((?:[^()]*?[ ;])?{DAY}\s*[–-]\s*{DAY}\)")


def twins(passages: Sequence[Passage], count: int, seed: int) -> list[LabelledClaim]:
    """`count` claims, about half of them true. The same passages and seed give the same claims.

    Raises DataError if hardly any passage states a fact.
    """
    draw = random.Random(seed)
    seen = draw.sample(passages, min(1500, len(passages)))
    names = sorted({name for passage in seen for name in NAME.findall(passage.text)})
    classes = sorted({match[0] for passage in seen if (match := IS_A.search(passage.text))})
    values = values_by_field(passages)
    made: list[LabelledClaim] = []
    misses = 0
    while len(made) < count:
        if not passages or misses == MISSES:
            found = f"{len(made)} claims of {count} in {len(passages)} passages"
            raise DataError("a corpus of English statements", found, "name another corpus in train_checker.twins")
        passage = draw.choice(passages)
        new = _of_a_record(passage, values, draw) or _of_prose(passage, names, classes, draw)
        misses = 0 if new else misses + 1
        made += [new] if new else []
    return made


def _of_a_record(passage: Passage, values: Values, draw: random.Random) -> LabelledClaim | None:
    """One of the passage's `Field: value` entries, true or with another's value; None where there is none."""
    found = entries(passage)
    if not found:
        return None
    entry = draw.choice(found)
    if draw.random() < 0.5:
        return _labelled(reworded(entry.said(draw), draw, changes=2), passage, True)
    other = exchanged_value(entry, values, passage.text, draw)
    return None if other is None else _labelled(restated(other.said(draw), draw), passage, False)


def _of_prose(passage: Passage, names: Sequence[str], classes: Sequence[str], draw: random.Random) -> LabelledClaim | None:
    """One of the passage's facts with its label, or None where the passage does not serve."""
    if draw.random() < SHORT:
        facts = list(_of_the_first_sentence(passage, draw))
    else:
        facts = [fact.text for fact in decompose(passage.text, draw.choice(("rule", "sentence"))).facts_F]
    facts = [fact for fact in facts if MIN_WORDS <= len(fact.split()) <= MAX_WORDS]
    if not facts:
        return None
    fact = draw.choice(facts)
    kind = draw.random()
    if kind < ABSENT:
        rest = _without(passage, fact)
        return None if rest is None else _labelled(reworded(fact, draw), rest, False)
    evidence = _beside(passage, fact, draw) if draw.random() < ALONE else passage
    if kind < 0.5 + ABSENT / 2:
        return _labelled(reworded(fact, draw), evidence, True)
    twin = falsified(shortened(fact, draw), Around(passage.text, names, classes), draw)
    return None if twin is None else _labelled(restated(twin, draw), evidence, False)


def _labelled(text: str, passage: Passage, supported: bool) -> LabelledClaim:
    return LabelledClaim(Claim(Fact(f"{text.rstrip('.')}.", 0), (passage,)), supported, GROUP)


def _of_the_first_sentence(passage: Passage, draw: random.Random) -> Iterator[str]:
    """`Marie Curie was a physicist`, `Marie Curie was born in November`: what a first sentence says of its title."""
    first = next(iter(sentences(passage.text)), "")
    if match := IS_A.search(first):
        words = match[3].split()
        short = [*words[: draw.randint(0, len(words) - 1)], words[-1]] if draw.random() < 0.5 else words
        article = match[2] if match[2] not in ("a", "an") else "an" if short[0][0] in "aeiouAEIO" else "a"
        yield f"{passage.title} {match[1]} {article} {' '.join(short)}"
    if match := LIVED.search(first):
        for verb, month, year in (("was born", match[1], match[2]), ("died", match[3], match[4])):
            times = [f"in {year}", *loose_years(int(year), draw), *([f"in {month.strip()}"] if month else [])]
            yield f"{passage.title} {verb} {draw.choice(times)}"
        yield f"{passage.title} lived to be {'over' if int(match[4]) - int(match[2]) > 51 else 'under'} 50"


def _beside(passage: Passage, fact: str, draw: random.Random) -> Passage:
    """The sentence that the fact was made of, alone or with one neighbour."""
    said, lines = content(fact), sentences(passage.text)
    if not lines:
        return passage
    place = max(range(len(lines)), key=lambda index: len(said & content(lines[index])))
    around = lines[max(0, place - draw.randint(0, 1)) : place + 1 + draw.randint(0, 1)]
    return Passage(passage.id, passage.title, " ".join(around))


def _without(passage: Passage, statement: str) -> Passage | None:
    """The passage without the sentences that share half of the statement's words; None if nothing is left or nothing went."""
    said, lines = content(statement), sentences(passage.text)
    rest = [line for line in lines if len(said & content(line)) < 0.5 * len(said)]
    return Passage(passage.id, passage.title, " ".join(rest)) if rest and len(rest) < len(lines) else None
