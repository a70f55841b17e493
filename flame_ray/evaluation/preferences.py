"""Measures how often a judge prefers the response that people find more helpful, beside what length alone would say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flame_ray.evaluation.labels import Preference
from flame_ray.evaluation.metrics import SHARE, bootstrap_mean
from flame_ray.types import RewardResult, Score

Results = dict[str, Any]  # written as JSON; a figure that does not exist is None


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """Two responses, first against second. `first_wins`: 1 if people find the first more helpful, 0 the second, 0.5 neither.

    `gap`: by how much the judge scores the first higher; None if it failed on one. `longer`: how many words longer it is.
    """

    first_wins: float
    gap: float | None
    longer: int
    group: str | None = None

    @classmethod
    def of(cls, labelled: Preference, results: Sequence[RewardResult]) -> "ComparedPair":
        first, second = results
        gap = first.value - second.value if isinstance(first, Score) and isinstance(second, Score) else None
        words = [len(response.text.split()) for response in labelled.pair.responses_G]
        return cls(labelled.first_wins, gap, words[0] - words[1], labelled.group)


def preference_agreement(pairs: Sequence[ComparedPair], seed: int, resamples: int, min_gap: float = 0.0) -> Results:
    """Results over all pairs and for each group.

    `agreement`: the share of the pairs that are no ties in which the judge prefers the side that people do; two equal scores
    count half.
    `longer_wins` and `shorter_wins`: the same for length in place of the judge, on the same pairs. `longer_is_helpful` and
    `shorter_is_helpful`: the judge's agreement where people prefer the longer and the shorter side; a judge that goes by length
    agrees on one kind only. `wide_gap`: on the pairs whose scores differ by `min_gap`, which a run would train on.
    `tie_gap` and `other_gap`: the mean distance of the scores on ties and on other pairs. Intervals resample pairs.
    """

    def share(some: Sequence[ComparedPair], value: Callable[[ComparedPair], float]) -> Results:
        found = bootstrap_mean([_agreement(each.first_wins, value(each)) for each in some], resamples, seed, SHARE)
        interval = None if found.low is None else [found.low, found.high]
        return {"agreement": found.mean, "ci95": interval, "n": found.n}

    def of(some: Sequence[ComparedPair]) -> Results:
        scored = [each for each in some if each.gap is not None]
        ties, decided = ([each for each in scored if (each.first_wins == 0.5) == tie] for tie in (True, False))
        return {
            **share(decided, _gap),
            "ties": len(ties),
            "missing": len(some) - len(scored),
            "longer_wins": share(decided, lambda each: each.longer),
            "shorter_wins": share(decided, lambda each: -each.longer),
            "longer_is_helpful": share([each for each in decided if _longer_helps(each) > 0], _gap),
            "shorter_is_helpful": share([each for each in decided if _longer_helps(each) < 0], _gap),
            "wide_gap": share([each for each in decided if abs(_gap(each)) >= min_gap], _gap) | {"min_gap": min_gap},
            "tie_gap": bootstrap_mean([abs(_gap(each)) for each in ties], resamples, seed).mean,
            "other_gap": bootstrap_mean([abs(_gap(each)) for each in decided], resamples, seed).mean,
        }

    names = sorted({each.group for each in pairs if each.group is not None})
    groups = {name: of([each for each in pairs if each.group == name]) for name in names}
    return of(pairs) | ({"groups": groups} if groups else {})


def _agreement(first_wins: float, gap: float) -> float:
    """1 if the sign of a gap says what people say, 0 if it says the opposite, and a half if it says nothing.

    >>> _agreement(1.0, 0.2), _agreement(0.0, 0.2), _agreement(0.0, 0.0)
    (1.0, 0.0, 0.5)
    """
    return 0.5 if gap == 0 else float((gap > 0) == (first_wins > 0.5))


def _gap(pair: ComparedPair) -> float:
    assert pair.gap is not None
    return pair.gap


def _longer_helps(pair: ComparedPair) -> float:
    """Above 0 if people prefer the longer side, below 0 if they prefer the shorter one."""
    return (pair.first_wins - 0.5) * pair.longer
