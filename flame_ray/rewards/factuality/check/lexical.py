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
    Comparison,
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
VERSION = 6  # raise it when the coefficients, lexical_features.py or figures.py change, so that no old verdict is reused
TWIN = 0.8  # share of plain words from which a window with a conflict says the same with an edit
MOST_ADDED = 3  # words that such a sentence has beside those of the claim
ROUNDING = 1e-9  # what a bound may be too low by, as its sums are in another order
SAME_TOPIC = 0.5  # share of plain words from which a conflicting window contradicts the claim


class Decision(NamedTuple):
    """A verdict, and what decided."""

    verdict: Verdict
    on_record: bool = False  # a line `Field: value`
    is_edited: bool = False  # a sentence that says the same with another figure, the opposite word or a denial


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
        return tuple(self.decide(claim).verdict for claim in claims)

    def decide(self, claim: Claim) -> Decision:
        fact, windows = claim.fact, windows_of(claim.passages_K)
        features, window = best_window(fact.text, windows)
        if features is None or window is None:
            return Decision(Verdict(fact, VerdictLabel.NOT_FOUND, 0.0, None))
        if window.is_prose and _score(features) >= self.threshold and not features.verbatim:
            features, window = edited_sentence(fact.text, windows) or (features, window)
        score = _score(features)
        if score >= self.threshold:
            label = VerdictLabel.SUPPORTED
        elif features.plain >= SAME_TOPIC and _conflicts(features):
            label = VerdictLabel.CONTRADICTED
        else:
            label = VerdictLabel.NOT_FOUND
        passage = None if label is VerdictLabel.NOT_FOUND else window.passage_id
        is_edited = label is VerdictLabel.CONTRADICTED and _is_edit(claim_features(fact.text), window, features)
        return Decision(Verdict(fact, label, score, passage), not window.is_prose, is_edited)


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


def edited_sentence(claim: str, windows: Windows) -> tuple[Features, Window] | None:
    """The sentence that says the same as the claim but for an edit; None if another one alone says as much and supports it.

    It counts more than what several sentences seem to say together, and than one that says less of the claim.
    """
    text = claim_features(claim)
    shared = (windows.all[place] for place in windows.shared(text.stems))
    compared = [(_compare(text, window), window) for window in shared if window.is_prose and not window.is_stretch]
    supporting = [
        each for each, _ in compared if _score(each) >= THRESHOLD and not each.names_missed and not each.subject_missed
    ]
    said = max((each.plain for each in supporting), default=-1.0)
    edited = [each for each in compared if each[0].plain > said and _is_edit(text, each[1], each[0])]
    return max(edited, key=lambda each: _logit(each[0]), default=None)


def _is_edit(claim: TextFeatures, window: Window, features: Features) -> bool:
    """Whether a sentence says the same but for an edit: not more, and with a figure for each of the claim's."""
    if not (features.twin and features.matched) or len(window.own - claim.stems - window.title) > MOST_ADDED:
        return False
    if features.denial and features.plain < 1:
        return False
    return not features.numbers_missed or len(window.numbers) >= len(claim.numbers)


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
        compared = claim.comparison is not None and window.comparison is not None
        bounds.append((math.inf if compared else _bound(claim, window, len(stems), got / total if total else 1.0), place))
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
    turned = _turned(claim.comparison, window.comparison)
    if turned is False and claim.comparison:  # the same in other words
        missed -= claim.comparison.how
    plain = claim.stems - claim.names - claim.subject - window.title
    plain_total = math.fsum(claim.weights[stem] for stem in plain)
    plain_got = math.fsum(claim.weights[stem] for stem in plain - missed)
    names = claim.names & missed
    numbers_missed, numbers_elsewhere = _compare_numbers(claim, window)
    reversed_ = 1.0 if turned else 0.0 if turned is False else _is_reversed(missed - names, claim, window)
    denial = float(claim.denies != window.denies)
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


def _is_reversed(missed: frozenset[str], claim: TextFeatures, window: Window) -> float:
    """1 if the window has an opposite of each missed word."""
    negated = {stem: bare for stem, bare in claim.bare if bare in window.own}
    negated |= {bare: stem for stem, bare in window.bare}
    return float(
        bool(missed) and all(stem in negated or not OPPOSITES.get(stem, frozenset()).isdisjoint(window.own) for stem in missed)
    )


def _turned(claim: Comparison | None, window: Comparison | None) -> bool | None:
    """Whether two comparisons of the same things contradict each other; None if they compare different things.

    `Silver is heavier than gold` contradicts `Gold is heavier than silver`, and `Silver is lighter than gold` does not.
    """
    if claim is None or window is None:
        return None
    crossed = not (claim.right.isdisjoint(window.left) or claim.left.isdisjoint(window.right))
    opposite = any(not OPPOSITES.get(stem, frozenset()).isdisjoint(window.how) for stem in claim.how - window.how)
    if not (crossed or claim.right & window.right) or not (opposite or claim.how <= window.how):
        return None
    return crossed != opposite


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
