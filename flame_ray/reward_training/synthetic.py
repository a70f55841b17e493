"""Makes labelled claims from a corpus, to train a checker on: true statements, and false twins with one thing changed.

A true claim is a fact of its passage, paraphrased or shortened. A false one is a perturbed fact, which is then only restated,
because a false statement that says less may be true. For some claims, the sentences that support them are removed from the
evidence, so that a common topic is not support.
"""

import random
import re
from collections.abc import Iterator, Sequence

from flame_ray.errors import DataError
from flame_ray.reward_training.paraphrase import loose_year_phrases, paraphrase, restate, shorten
from flame_ray.reward_training.perturb import NAME, Context, perturb
from flame_ray.reward_training.templates import Values, field_values, values_by_field, with_other_value
from flame_ray.rewards.factuality.decompose import decompose
from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.rewards.factuality.decompose.sentences import sentences
from flame_ray.types import Claim, Fact, LabelledClaim, Passage

GROUP = "twins"
MIN_WORDS, MAX_WORDS = 3, 40
MAX_MISSES = 5000  # after this many useless passages in a row, the corpus is refused
ABSENT = 0.1  # share of claims whose evidence is removed
NARROW = 0.6  # share of claims whose evidence is only their own sentence and perhaps its neighbours
FIRST_SENTENCE = 0.35  # share of claims from an article's first sentence: what its topic is, when somebody lived
ENDS = r"(?= (?:that|which|who|whose|in|of|from|for|by|at|on|with|and|used|based|located)\b|[,.;])"
IS_A = re.compile(rf"\b(is|was|are|were) (an?|the|one of the) ((?:[\w'’-]+ ){{0,5}}?[a-z][\w'’-]+?){ENDS}")
DAY = r"(?:\d{1,2} )?([A-Z][a-z]+ )?(?:\d{1,2}, )?(\d{4})"
LIVED = re.compile(rf"\((?:[^()]*?[ ;])?{DAY}\s*[–-]\s*{DAY}\)")


def synthetic_claims(passages: Sequence[Passage], count: int, seed: int) -> list[LabelledClaim]:
    """`count` claims, about half of them true; the same passages and seed give the same claims.

    Raises DataError if hardly any passage states a fact.
    """
    draw = random.Random(seed)
    seen = draw.sample(passages, min(1500, len(passages)))
    names = sorted({name for passage in seen for name in NAME.findall(passage.text)})
    descriptions = sorted({match[0] for passage in seen if (match := IS_A.search(passage.text))})
    values = values_by_field(passages)
    made: list[LabelledClaim] = []
    misses = 0
    while len(made) < count:
        if not passages or misses == MAX_MISSES:
            found = f"{len(made)} claims of {count} in {len(passages)} passages"
            raise DataError("a corpus of English statements", found, "name another corpus in train_checker.twins")
        passage = draw.choice(passages)
        new = _from_record(passage, values, draw) or _from_prose(passage, names, descriptions, draw)
        misses = 0 if new else misses + 1
        made += [new] if new else []
    return made


def _from_record(passage: Passage, values: Values, draw: random.Random) -> LabelledClaim | None:
    """A claim from a `Field: value` line, with its own or another record's value; None if there is none."""
    found = field_values(passage)
    if not found:
        return None
    chosen = draw.choice(found)
    if draw.random() < 0.5:
        return _labelled(paraphrase(chosen.statement(draw), draw, changes=2), passage, True)
    other = with_other_value(chosen, values, passage.text, draw)
    return None if other is None else _labelled(restate(other.statement(draw), draw), passage, False)


def _from_prose(
    passage: Passage, names: Sequence[str], descriptions: Sequence[str], draw: random.Random
) -> LabelledClaim | None:
    """A claim from one of the passage's facts; None if the passage has no usable fact."""
    if draw.random() < FIRST_SENTENCE:
        facts = list(_from_first_sentence(passage, draw))
    else:
        facts = [fact.text for fact in decompose(passage.text, draw.choice(("rule", "sentence"))).facts_F]
    facts = [fact for fact in facts if MIN_WORDS <= len(fact.split()) <= MAX_WORDS]
    if not facts:
        return None
    fact = draw.choice(facts)
    kind = draw.random()
    if kind < ABSENT:
        rest = _without(passage, fact)
        return None if rest is None else _labelled(paraphrase(fact, draw), rest, False)
    evidence = _narrowed(passage, fact, draw) if draw.random() < NARROW else passage
    if kind < 0.5 + ABSENT / 2:
        return _labelled(paraphrase(fact, draw), evidence, True)
    changed = perturb(shorten(fact, draw), Context(passage.text, names, descriptions), draw)
    return None if changed is None else _labelled(restate(changed, draw), evidence, False)


def _labelled(text: str, passage: Passage, supported: bool) -> LabelledClaim:
    return LabelledClaim(Claim(Fact(f"{text.rstrip('.')}.", 0), (passage,)), supported, GROUP)


def _from_first_sentence(passage: Passage, draw: random.Random) -> Iterator[str]:
    """`Marie Curie was a physicist`, `Marie Curie was born in November`: what a first sentence says of its title."""
    first = next(iter(sentences(passage.text)), "")
    if match := IS_A.search(first):
        words = match[3].split()
        short = [*words[: draw.randint(0, len(words) - 1)], words[-1]] if draw.random() < 0.5 else words
        article = match[2] if match[2] not in ("a", "an") else "an" if short[0][0] in "aeiouAEIO" else "a"
        yield f"{passage.title} {match[1]} {article} {' '.join(short)}"
    if match := LIVED.search(first):
        for verb, month, year in (("was born", match[1], match[2]), ("died", match[3], match[4])):
            times = [f"in {year}", *loose_year_phrases(int(year), draw), *([f"in {month.strip()}"] if month else [])]
            yield f"{passage.title} {verb} {draw.choice(times)}"
        yield f"{passage.title} lived to be {'over' if int(match[4]) - int(match[2]) > 51 else 'under'} 50"


def _narrowed(passage: Passage, fact: str, draw: random.Random) -> Passage:
    """Only the sentence that the fact comes from, with no, one or both of its neighbours."""
    stems, lines = content(fact), sentences(passage.text)
    if not lines:
        return passage
    place = max(range(len(lines)), key=lambda index: len(stems & content(lines[index])))
    around = lines[max(0, place - draw.randint(0, 1)) : place + 1 + draw.randint(0, 1)]
    return Passage(passage.id, passage.title, " ".join(around))


def _without(passage: Passage, statement: str) -> Passage | None:
    """The passage without the sentences that share half of the statement's words; None if no or every sentence does."""
    stems, lines = content(statement), sentences(passage.text)
    rest = [line for line in lines if len(stems & content(line)) < 0.5 * len(stems)]
    return Passage(passage.id, passage.title, " ".join(rest)) if rest and len(rest) < len(lines) else None
