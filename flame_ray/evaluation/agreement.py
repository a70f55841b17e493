"""Measures how well a checker, or the whole reward, agrees with people.

Claims are compared by sensitivity, specificity, their mean and AUC, responses by Kendall's tau. The 95 % intervals are
Wilson's for a share, and else those of a percentile bootstrap. Where no resample differs, only balanced accuracy has one.
A score that failed is left out and counted as missing. Results are shares and correlations, not percentages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata

from flame_ray.evaluation.labels import LabelledFact
from flame_ray.evaluation.metrics import are_equal
from flame_ray.rewards.factuality.scores import wilson
from flame_ray.types import LabelledClaim, Verdict, VerdictLabel

RESAMPLES = 1000
Results = dict[str, Any]  # written as JSON; a metric that does not exist is None


@dataclass(frozen=True, slots=True)
class ComparedClaim:
    """A claim with its human label and the checker's verdict; `score` is None if the checker failed."""

    supported: bool  # according to people
    predicted: bool  # according to the checker
    score: float | None
    group: str | None = None

    @classmethod
    def of(cls, labelled: LabelledClaim | LabelledFact, verdict: Verdict) -> "ComparedClaim":
        score = None if verdict.label is VerdictLabel.ERROR else verdict.score
        return cls(labelled.supported, verdict.label is VerdictLabel.SUPPORTED, score, labelled.group)


def claim_agreement(claims: Sequence[ComparedClaim], seed: int = 0, resamples: int = RESAMPLES) -> Results:
    """Results over all claims, for each group, and as the mean over groups. A group with one label has only that label's share.

    `sensitivity`: the share of the supported claims that the checker calls so. `specificity`: the share of the others that it
    does not. `balanced_accuracy`: the mean of both; `ci95` is its interval. `auc`: the chance that a supported claim scores
    higher than another one; a tie counts half. The intervals resample claims within their label, and those of the mean over
    groups within label and group.
    """
    scored = [claim for claim in claims if claim.score is not None]
    overall, _ = _of_claims(scored, seed, resamples)
    overall["missing"] = len(claims) - len(scored)
    names = sorted({claim.group for claim in scored if claim.group is not None})
    if not names:
        return overall
    by_group = [_of_claims([claim for claim in scored if claim.group == name], seed, resamples) for name in names]
    groups = {name: metrics for name, (metrics, _) in zip(names, by_group, strict=True)}
    return overall | {"groups": groups, "mean_over_groups": _mean(by_group)}


def _of_claims(claims: Sequence[ComparedClaim], seed: int, resamples: int) -> tuple[Results, np.ndarray]:
    """The metrics and the resampled balanced accuracies; the number of right answers in a resample is binomial."""
    labels = np.array([claim.supported for claim in claims], dtype=bool)
    right = np.array([claim.predicted == claim.supported for claim in claims], dtype=bool)
    scores = np.array([claim.score for claim in claims], dtype=float)
    counts = {"n": len(claims), "supported": int(labels.sum())}
    metrics: Results = {"balanced_accuracy": None, "auc": None, "ci95": None} | counts
    metrics |= _share("sensitivity", right[labels]) | _share("specificity", right[~labels])
    if labels.all() or not labels.any():
        return metrics, np.empty(0)
    rng = np.random.default_rng(seed)
    by_label = [right[labels == label] for label in (True, False)]
    resampled = np.mean([rng.binomial(len(each), each.mean(), resamples) / len(each) for each in by_label], axis=0)
    metrics |= {"balanced_accuracy": float(np.mean([each.mean() for each in by_label])), "auc": auc(labels, scores)}
    return metrics | {"ci95": _interval(resampled) or _of_two(metrics)}, resampled


def _of_two(metrics: Results) -> list[float]:
    """The interval of the balanced accuracy where no resample differs: the means of the ends of both shares' intervals.

    It is wide rather than narrow: both shares would have to be at an end at once.
    """
    ends = zip(metrics["sensitivity_ci95"], metrics["specificity_ci95"], strict=True)
    return [sum(each) / 2 for each in ends]


def _share(name: str, right: np.ndarray) -> Results:
    """The share of right answers with Wilson's interval; None where there is no claim."""
    if not len(right):
        return {name: None, f"{name}_ci95": None}
    return {name: float(right.mean()), f"{name}_ci95": list(wilson(int(right.sum()), len(right)))}


def _mean(groups: Sequence[tuple[Results, np.ndarray]]) -> Results:
    """The mean over the groups that have metrics."""
    complete = [(metrics, resampled) for metrics, resampled in groups if metrics["balanced_accuracy"] is not None]
    names = ("balanced_accuracy", "auc", "sensitivity", "specificity")
    if not complete:
        return {**dict.fromkeys(names), "groups": 0, "ci95": None}
    return {
        **{name: float(np.mean([metrics[name] for metrics, _ in complete])) for name in names},
        "groups": len(complete),
        "ci95": _interval(np.mean([resampled for _, resampled in complete], axis=0)),
    }


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The area under the ROC curve, from ranks (Mann and Whitney 1947). `labels` [N] has both labels; `scores` [N].

    >>> auc(np.array([True, True, False]), np.array([0.9, 0.4, 0.4]))
    0.75
    """
    positive = int(labels.sum())
    rank_sum = float(rankdata(scores)[labels].sum())
    return (rank_sum - positive * (positive + 1) / 2) / (positive * (len(labels) - positive))


@dataclass(frozen=True, slots=True)
class ComparedResponse:
    """A response with the facts that people and the reward found in it. `words`: its length.

    `precision` is None if the reward abstains or failed; `missing`: it failed, or its checker did on some of the facts.
    """

    prompt: str
    system: str
    words: int
    human_supported: int
    human_unsupported: int
    precision: float | None
    unsupported: int
    missing: bool = False


Value = Callable[[ComparedResponse], float]
# What is compared: a value of the reward (or, as a control, of the length) with a value of people's labels.
COMPARISONS: dict[str, tuple[Value, Value]] = {
    "tau_fraction": (lambda r: r.precision or 0.0, lambda r: _fraction(r)),
    "tau_errors": (lambda r: r.unsupported, lambda r: r.human_unsupported),
    "tau_precision_errors": (lambda r: r.precision or 0.0, lambda r: -r.human_unsupported),
    "tau_length_control": (lambda r: r.words, lambda r: r.human_unsupported),
    "tau_length_control_fraction": (lambda r: -r.words, lambda r: _fraction(r)),
}


def response_agreement(responses: Sequence[ComparedResponse], seed: int = 0, resamples: int = RESAMPLES) -> Results:
    """Kendall's tau-b (Kendall 1945), within a system and pooled over all systems, with intervals. Positive is agreement.

    tau_fraction compares the reward's precision with the human share of supported facts; tau_errors the two counts of
    unsupported facts; tau_precision_errors the precision with the human count of errors, negated (FLAME, table 10). The
    controls use words: tau_length_control instead of the reward's count of errors, tau_length_control_fraction, negated,
    instead of its precision.

    Within a system: the mean of the systems' taus, weighted by their numbers of responses. A system without a tau (one
    response, or all tied) is left out. All taus are of the same responses: those with a precision and with human facts. The
    intervals resample prompts, each with all its responses.
    """
    kept = [each for each in responses if not each.missing and each.precision is not None and _labelled(each)]
    counts = {
        "n": len(kept),
        "systems": len({each.system for each in kept}),
        "missing": sum(each.missing for each in responses),
        "abstained": sum(not each.missing and each.precision is None for each in responses),
        "no_human_facts": sum(not each.missing and each.precision is not None and not _labelled(each) for each in responses),
    }
    return counts | {name: _of_responses(kept, *values, seed, resamples) for name, values in COMPARISONS.items()}


def _of_responses(kept: Sequence[ComparedResponse], reward: Value, people: Value, seed: int, resamples: int) -> Results:
    """Both taus with their intervals. A resample without a tau does not enter the interval."""
    pairs = np.array([(reward(each), people(each)) for each in kept], dtype=float).reshape(-1, 2)
    systems = np.array([each.system for each in kept])
    prompts = _by_prompt(kept)
    rng = np.random.default_rng(seed)
    resampled: list[tuple[float | None, float | None]] = []
    for _ in range(resamples if len(prompts) > 1 else 0):
        index = np.concatenate([prompts[i] for i in rng.integers(len(prompts), size=len(prompts))])
        resampled.append(_taus(pairs[index], systems[index]))
    within, pooled = _taus(pairs, systems)
    return {
        "within_system": within,
        "within_system_ci95": _interval(np.array([w for w, _ in resampled if w is not None])),
        "pooled": pooled,
        "pooled_ci95": _interval(np.array([p for _, p in resampled if p is not None])),
    }


def _by_prompt(kept: Sequence[ComparedResponse]) -> list[np.ndarray]:
    """For each prompt, the indices of its responses."""
    order = sorted(range(len(kept)), key=lambda i: kept[i].prompt)
    return [np.array(list(group)) for _, group in groupby(order, key=lambda i: kept[i].prompt)]


def _taus(pairs: np.ndarray, systems: np.ndarray) -> tuple[float | None, float | None]:
    """The mean tau within a system, and the pooled tau. `pairs` [N, 2], `systems` [N]."""
    by_system = [(tau_b(*pairs[systems == name].T), int((systems == name).sum())) for name in np.unique(systems)]
    known = [(tau, n) for tau, n in by_system if tau is not None]
    within = float(np.average([tau for tau, _ in known], weights=[n for _, n in known])) if known else None
    return within, tau_b(*pairs.T)


def tau_b(x: np.ndarray, y: np.ndarray) -> float | None:
    """Kendall's tau-b of two series [N]; None if one of them is constant, or if N is below 2.

    >>> tau_b(np.array([1, 2, 3]), np.array([1, 3, 2])).__round__(3)
    0.333
    """
    if len(x) < 2 or np.all(x == x[0]) or np.all(y == y[0]):
        return None
    return float(kendalltau(x, y).statistic)


def _fraction(response: ComparedResponse) -> float:
    return response.human_supported / (response.human_supported + response.human_unsupported)


def _labelled(response: ComparedResponse) -> bool:
    return response.human_supported + response.human_unsupported > 0


def _interval(values: np.ndarray) -> list[float] | None:
    """None where all resamples give the same, which says nothing of how sure the value is."""
    if not len(values) or are_equal(values):
        return None
    return [float(bound) for bound in np.percentile(values, [2.5, 97.5])]
