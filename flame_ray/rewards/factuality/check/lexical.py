"""Is a fact true, by the evidence? A verdict for each claim, from the words that it shares with the passages.

In: claims. Out: verdicts in their order. Knows nothing of responses, prompts or retrieval.

The lexical checker compares a fact with every small window of evidence (a line, a sentence, an item of a list, each with
its passage's title): how much of its plain words, names and numbers the window bears out, and what conflicts. A logistic
model of those few features gives the score; the best window decides. It reads no meaning: a paraphrase without shared
words is not found, and a fact with its two sides exchanged looks like the fact.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from flame_ray.rewards.factuality.check.lexical_features import OPPOSITES, Reading, Window, read_claim, windows_of
from flame_ray.types import Claim, Verdict, VerdictLabel


class Features(NamedTuple):
    """What one window says of one claim. Shares are in [0, 1]; the other fields count, up to a limit."""

    plain: float  # share of plain words (neither names, numbers nor the title's), by weight; 1 when there are none
    no_plain: float  # 1 when there are plain words and the window has none of them
    names_missed: float
    names_missed_on_record: float  # as many, where the window is a `Field: value` line: its neighbours say other things
    names_absent: float  # not in the whole passage either
    subject_missed: float  # share of the names that open the claim and are not in the window
    numbers_missed: float
    numbers_elsewhere: float  # the figure is there, but in a clause that shares no word with the claim
    opposites: float
    denial: float  # one side denies, the other does not
    plain_absent: float  # share of plain words that are not in the whole passage
    matched: float  # log(1 + words in the window, title aside): ten words of twelve say more than two of three
    prose: float  # the window is no `Field: value` line: prose says the same in other words
    prose_length: float  # in prose, log(words of the claim / 5): the more a claim says, the more of it is paraphrased


# Fitted on one half of each development set of tests/benchmarks/lexical_checker.py by gradient descent on a smoothed balanced
# accuracy, signs fixed, against sentences that were moved to another country's or article's evidence: without those, length
# and prose would let generic sentences pass anywhere. Two weights were then set by hand, because
# the sets have too few lists to fit them: a figure in the wrong clause, and a name that stands beside the record.
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
    denial=-6.0,
    plain_absent=-2.4,
    matched=0.4,
    prose=2.75,
    prose_length=1.7,
)
THRESHOLD = 0.5
VERSION = 3  # of the coefficients above, reading.py and figures.py: with any change it rises, and cached verdicts are new
ABOUT = 0.5  # share of plain words from which a window that conflicts is about the same thing


class LexicalChecker:
    """Word coverage against conflicts: under a millisecond a fact, no model to load.

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
        """The verdict, and whether it rests on a record: a line `Field: value`."""
        fact = claim.fact
        features, window = best_window(fact.text, windows_of(claim.passages_K))
        if features is None or window is None:
            return Verdict(fact, VerdictLabel.NOT_FOUND, 0.0, None), False
        score, on_record = _score(features), not window.is_prose
        if score >= self.threshold:
            return Verdict(fact, VerdictLabel.SUPPORTED, score, window.passage_id), on_record
        if features.plain >= ABOUT and _conflicts(features):
            return Verdict(fact, VerdictLabel.CONTRADICTED, score, window.passage_id), on_record
        return Verdict(fact, VerdictLabel.NOT_FOUND, score, None), on_record


def best_window(claim: str, windows: Sequence[Window]) -> tuple[Features | None, "Window | None"]:
    """The window that supports the claim best, among those that share with it more than the title."""
    reading = read_claim(claim)
    best, found, decided = -math.inf, None, None
    for window in windows:
        if (reading.stems - window.title).isdisjoint(window.own) and not reading.numbers:
            continue
        features = _compare(reading, window)
        logit = _logit(features)
        if logit > best:
            best, found, decided = logit, features, window
    return found, decided


def _logit(features: Features) -> float:
    return INTERCEPT + sum(weight * value for weight, value in zip(COEFFICIENTS, features, strict=True))


def _score(features: Features) -> float:
    return 1 / (1 + math.exp(-_logit(features)))


def _conflicts(features: Features) -> bool:
    return any((features.names_missed, features.numbers_missed, features.opposites, features.denial))


def _compare(claim: Reading, window: Window) -> Features:
    missed = claim.stems - window.own - window.title
    plain = claim.stems - claim.names - claim.subject - window.title
    plain_total = math.fsum(claim.weights[stem] for stem in plain)
    plain_got = math.fsum(claim.weights[stem] for stem in plain - missed)
    names = claim.names & missed
    numbers_missed, numbers_elsewhere = _compare_numbers(claim, window)
    return Features(
        plain=plain_got / plain_total if plain_total else 1.0,
        no_plain=float(plain_total > 0 and plain_got == 0),
        names_missed=min(3, len(names)),
        names_missed_on_record=0.0 if window.is_prose else min(3, len(names)),
        names_absent=min(3, len(names - window.passage)),
        subject_missed=len(claim.subject & missed) / len(claim.subject) if claim.subject else 0.0,
        numbers_missed=min(2, numbers_missed),
        numbers_elsewhere=min(2, numbers_elsewhere),
        opposites=float(any(not OPPOSITES[stem].isdisjoint(window.own) for stem in missed if stem in OPPOSITES)),
        denial=float(claim.denies != window.denies),
        plain_absent=math.fsum(claim.weights[stem] for stem in plain - window.passage) / plain_total if plain_total else 0.0,
        matched=math.log1p(len(claim.stems - missed - window.title)),
        prose=float(window.is_prose),
        prose_length=window.is_prose * max(0.0, math.log((len(claim.stems) + len(claim.numbers) or 1) / 5)),
    )


def _compare_numbers(claim: Reading, window: Window) -> tuple[int, int]:
    missed = elsewhere = 0
    for number in claim.numbers:
        clauses = [other.clause for other in window.numbers if number.figure.borne_out_by(other.figure)]
        if not clauses:
            missed += 1
        elif all(claim.stems.isdisjoint(clause - window.title) for clause in clauses):
            elsewhere += 1
    return missed, elsewhere
