"""Checks facts by the words, names and numbers that they share with the evidence, without a model.

A fact is compared with every window of evidence: a line, a sentence or a list item, each with its passage's title. A logistic
model of a few features gives each window a score: how many of the fact's words, names and numbers the window has, and what
conflicts. The best window decides. The checker does not understand meaning: it misses a paraphrase without shared words, and
it accepts a fact whose subject and object are exchanged.
"""

import math
from collections.abc import Sequence
from operator import mul
from typing import NamedTuple

from flame_ray.rewards.factuality.check.lexical_features import (
    OPPOSITES,
    TextFeatures,
    Window,
    Windows,
    claim_features,
    windows_of,
)
from flame_ray.types import Claim, Verdict, VerdictLabel


class Features(NamedTuple):
    """How one window compares with one claim. Shares are in [0, 1]; the other fields are counts, up to a limit."""

    plain: float  # share of plain words (no names, numbers or words of the title) found, by weight; 1 if there are none
    no_plain: float  # 1 if there are plain words and none of them is found
    names_missed: float  # names that the window lacks
    names_missed_on_record: float  # the same, if the window is a `Field: value` line, whose neighbours say other things
    names_absent: float  # names that the whole passage lacks
    subject_missed: float  # share of the names at the start of the claim that the window lacks
    numbers_missed: float  # figures that the window lacks
    numbers_elsewhere: float  # figures that the window has only in clauses that share no word with the claim
    opposites: float  # 1 if the window has the opposite of a missed word
    verbatim: float  # 1 if the claim stands in the window word by word; signs such as $ are no words
    twin: float  # 1 if the window says the same with another figure, the opposite word or a denial
    reversed: float  # 1 if the opposites of all missed words are in the window: `less efficient` and `more efficient`
    value_missed: float  # 1 if a statement of the form `The capital of Peru is Lima` has another value
    denial: float  # 1 if only one of the two denies
    plain_absent: float  # share of plain words that the whole passage lacks
    matched: float  # log(1 + words found outside the title): ten of twelve words are better evidence than two of three
    prose: float  # 1 if the window is no `Field: value` line: prose may say the same in other words
    prose_length: float  # in prose, log(words of the claim / 5): the longer a claim, the more of it is paraphrased


# Fitted on one half of each development set of tests/benchmarks/lexical_checker.py, by gradient descent on a smoothed balanced
# accuracy with fixed signs. The data also had sentences moved to the evidence of another country or article: without those,
# length and prose would let generic sentences pass anywhere. Two weights were set by hand, because the sets have too few lists
# to fit them: numbers_elsewhere and names_missed_on_record; so were verbatim, twin, reversed and value_missed.
INTERCEPT = -2.0
COEFFICIENTS = Features(
    plain=3.3,
    no_plain=-1.6,
    names_missed=-0.5,
    names_missed_on_record=-1.5,
    names_absent=-5.0,
    subject_missed=-2.3,
    numbers_missed=-6.1,
    numbers_elsewhere=-2.0,
    opposites=-0.7,
    verbatim=6.0,
    twin=-4.0,
    reversed=-6.0,
    value_missed=-3.0,
    denial=-6.0,
    plain_absent=-2.4,
    matched=0.4,
    prose=2.75,
    prose_length=1.7,
)
THRESHOLD = 0.5
VERSION = 5  # raise it when the coefficients, lexical_features.py or figures.py change, so that no old verdict is reused
TWIN = 0.8  # share of plain words from which a window with a conflict says the same with an edit
ROUNDING = 1e-9  # what a bound may be too low by, as its sums are in another order
SAME_TOPIC = 0.5  # share of plain words from which a conflicting window contradicts the claim


class LexicalChecker:
    """Weighs shared words against conflicts, in less than a millisecond per fact.

    >>> from flame_ray.types import Fact, Passage
    >>> passage = Passage("pe/0", "Peru", "Capital, name: Lima")
    >>> [v.label.value for v in LexicalChecker().check((Claim(Fact("The capital of Peru is Cuzco", 0), (passage,)),))]
    ['contradicted']
    """

    def __init__(self, threshold: float | None = None):
        self.threshold = THRESHOLD if threshold is None else threshold

    @property
    def identity(self) -> str:
        return f"lexical/{VERSION}/{self.threshold}"

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        return tuple(self.decide(claim)[0] for claim in claims)

    def decide(self, claim: Claim) -> tuple[Verdict, bool]:
        """The verdict, and whether the window that decides is a record, a line `Field: value`."""
        fact = claim.fact
        features, window = best_window(fact.text, windows_of(claim.passages_K))
        if features is None or window is None:
            return Verdict(fact, VerdictLabel.NOT_FOUND, 0.0, None), False
        score, on_record = _score(features), not window.is_prose
        if score >= self.threshold:
            return Verdict(fact, VerdictLabel.SUPPORTED, score, window.passage_id), on_record
        if features.plain >= SAME_TOPIC and _conflicts(features):
            return Verdict(fact, VerdictLabel.CONTRADICTED, score, window.passage_id), on_record
        return Verdict(fact, VerdictLabel.NOT_FOUND, score, None), on_record


def best_window(claim: str, windows: Windows) -> tuple[Features | None, Window | None]:
    """The features and the window that support the claim best, of the windows that share more than the title with it."""
    text = claim_features(claim)
    best, at = -math.inf, -1
    found: Features | None = None
    for bound, place in _bounded(text, windows):
        if bound < best:
            break
        features = _compare(text, windows.all[place])
        logit = _logit(features)
        if logit > best or (logit == best and place < at):
            best, at, found = logit, place, features
    return found, windows.all[at] if found else None


def _bounded(claim: TextFeatures, windows: Windows) -> list[tuple[float, int]]:
    """For each window that may decide, what its logit is at most, and its place; the highest first.

    It takes less time than the logit, and most windows share too little to be the best. A claim with figures is compared with
    all windows.
    """
    shared, plain = windows.shared(claim.stems), claim.stems - claim.names - claim.subject
    totals: dict[frozenset[str], float] = {}
    bounds = []
    for place in range(len(windows.all)) if claim.numbers else shared:
        window = windows.all[place]
        if window.title not in totals:
            totals[window.title] = math.fsum(claim.weights[stem] for stem in plain - window.title)
        stems: Sequence[str] = shared.get(place, ())
        got, total = sum(claim.weights[stem] for stem in stems if stem in plain), totals[window.title]
        bounds.append((_bound(claim, window, len(stems), got / total if total else 1.0), place))
    return sorted(bounds, key=lambda each: (-each[0], each[1]))


def _bound(claim: TextFeatures, window: Window, matched: int, share: float) -> float:
    """The features of which a window profits, and without most of those that count against it."""
    weight, missed = COEFFICIENTS, claim.names - window.own - window.title
    bound = INTERCEPT + ROUNDING + weight.plain * share + weight.matched * math.log1p(matched)
    if missed:
        on_record = 0.0 if window.is_prose else weight.names_missed_on_record
        bound += min(3, len(missed)) * (weight.names_missed + on_record)
        bound += min(3, len(missed - window.passage)) * weight.names_absent
    if claim.numbers and not window.numbers:
        bound += min(2, sum(number.figure.kind != "rank" for number in claim.numbers)) * weight.numbers_missed
    if window.is_prose:
        bound += weight.prose + weight.prose_length * _prose_length(claim)
    return bound + weight.verbatim if claim.words in window.words else bound


def _logit(features: Features) -> float:
    return INTERCEPT + sum(map(mul, COEFFICIENTS, features))


def _score(features: Features) -> float:
    return 1 / (1 + math.exp(-_logit(features)))


def _conflicts(features: Features) -> bool:
    return any((features.names_missed, features.numbers_missed, features.opposites, features.value_missed, features.denial))


def _compare(claim: TextFeatures, window: Window) -> Features:
    missed = claim.stems - window.own - window.title
    plain = claim.stems - claim.names - claim.subject - window.title
    plain_total = math.fsum(claim.weights[stem] for stem in plain)
    plain_got = math.fsum(claim.weights[stem] for stem in plain - missed)
    names = claim.names & missed
    numbers_missed, numbers_elsewhere = _compare_numbers(claim, window)
    reversed_, denial = _is_reversed(missed - names, window), float(claim.denies != window.denies)
    subject_missed = len(claim.subject & missed) / len(claim.subject) if claim.subject else 0.0
    share = plain_got / plain_total if plain_total else 1.0
    alike = not names and claim.subject & missed <= window.passage and (share >= TWIN or reversed_)
    return Features(
        plain=share,
        no_plain=float(plain_total > 0 and plain_got == 0),
        names_missed=min(3, len(names)),
        names_missed_on_record=0.0 if window.is_prose else min(3, len(names)),
        names_absent=min(3, len(names - window.passage)),
        subject_missed=subject_missed,
        numbers_missed=min(2, numbers_missed),
        numbers_elsewhere=min(2, numbers_elsewhere),
        opposites=float(any(not OPPOSITES[stem].isdisjoint(window.own) for stem in missed if stem in OPPOSITES)),
        verbatim=float(not denial and not numbers_missed and claim.words in window.words),
        twin=float(bool(alike and window.is_prose and (numbers_missed or reversed_ or denial))),
        reversed=reversed_,
        value_missed=float(bool(claim.value) and all(map(claim.value.isdisjoint, (window.own, window.passage, window.title)))),
        denial=denial,
        plain_absent=math.fsum(claim.weights[stem] for stem in plain - window.passage) / plain_total if plain_total else 0.0,
        matched=math.log1p(len(claim.stems - missed - window.title)),
        prose=float(window.is_prose),
        prose_length=window.is_prose * _prose_length(claim),
    )


def _prose_length(claim: TextFeatures) -> float:
    return max(0.0, math.log((len(claim.stems) + len(claim.numbers) or 1) / 5))


def _is_reversed(missed: frozenset[str], window: Window) -> float:
    return float(bool(missed) and all(not OPPOSITES.get(stem, frozenset()).isdisjoint(window.own) for stem in missed))


def _compare_numbers(claim: TextFeatures, window: Window) -> tuple[int, int]:
    missed = elsewhere = 0
    ranked = any(other.figure.kind == "rank" for other in window.numbers)
    for number in claim.numbers:
        if number.figure.kind == "rank" and not ranked:  # only another rank speaks against a rank
            continue
        clauses = [other.clause for other in window.numbers if number.figure.supported_by(other.figure)]
        if not clauses:
            missed += 1
        elif all(claim.stems.isdisjoint(clause - window.title) for clause in clauses):
            elsewhere += 1
    return missed, elsewhere
