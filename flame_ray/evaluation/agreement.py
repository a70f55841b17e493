"""How well a checker, or the whole reward, agrees with people. Pure.

In: what people said and what was scored, side by side. Out: balanced accuracy and AUC of claims, Kendall's tau of responses,
with 95 % percentile bootstrap intervals. A score that failed is left out and counted, never taken for a 0. Every figure is
a share or a correlation, not a percentage, and higher is better agreement. Knows nothing of files, checkers or actors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata

from flame_ray.types import LabelledClaim, Verdict, VerdictLabel

RESAMPLES = 1000
Numbers = dict[str, Any]  # what is written as JSON; None where a figure does not exist


@dataclass(frozen=True, slots=True)
class ComparedClaim:
    """A claim with its human label, and what the checker said; `score` is None where it failed."""

    supported: bool
    said: bool
    score: float | None
    group: str | None = None

    @classmethod
    def of(cls, labelled: LabelledClaim, verdict: Verdict) -> "ComparedClaim":
        score = None if verdict.label is VerdictLabel.ERROR else verdict.score
        return cls(labelled.supported, verdict.label is VerdictLabel.SUPPORTED, score, labelled.group)


def claim_agreement(claims: Sequence[ComparedClaim], seed: int = 0, resamples: int = RESAMPLES) -> Numbers:
    """Over all claims, by group, and the mean over groups; a group with one label only has no figures.

    `balanced_accuracy`: mean of the shares that were told right among the supported claims and among the others. `auc`: the
    chance that a supported claim scores above another one, ties counting half. The intervals resample claims within their
    label; those of the mean over groups, within label and group.
    """
    scored = [claim for claim in claims if claim.score is not None]
    overall, _ = _of_claims(scored, seed, resamples)
    overall["missing"] = len(claims) - len(scored)
    names = sorted({claim.group for claim in scored if claim.group is not None})
    if not names:
        return overall
    found = [_of_claims([claim for claim in scored if claim.group == name], seed, resamples) for name in names]
    by_name = {name: of for name, (of, _) in zip(names, found, strict=True)}
    return overall | {"groups": by_name, "mean_over_groups": _mean(found)}


def _of_claims(claims: Sequence[ComparedClaim], seed: int, resamples: int) -> tuple[Numbers, np.ndarray]:
    """The figures, and the resampled balanced accuracies: counts of right answers are binomial when items are redrawn."""
    labels = np.array([claim.supported for claim in claims], dtype=bool)
    right = np.array([claim.said == claim.supported for claim in claims], dtype=bool)
    scores = np.array([claim.score for claim in claims], dtype=float)
    found: Numbers = {"balanced_accuracy": None, "auc": None, "n": len(claims), "ci95": None, "supported": int(labels.sum())}
    if labels.all() or not labels.any():
        return found, np.empty(0)
    draw = np.random.default_rng(seed)
    sides = [right[labels == side] for side in (True, False)]
    redrawn = np.mean([draw.binomial(len(side), side.mean(), resamples) / len(side) for side in sides], axis=0)
    found |= {"balanced_accuracy": float(np.mean([side.mean() for side in sides])), "auc": auc(labels, scores)}
    return found | {"ci95": _interval(redrawn)}, redrawn


def _mean(found: Sequence[tuple[Numbers, np.ndarray]]) -> Numbers:
    whole = [(of, redrawn) for of, redrawn in found if of["balanced_accuracy"] is not None]
    if not whole:
        return {"balanced_accuracy": None, "auc": None, "groups": 0, "ci95": None}
    return {
        "balanced_accuracy": float(np.mean([of["balanced_accuracy"] for of, _ in whole])),
        "auc": float(np.mean([of["auc"] for of, _ in whole])),
        "groups": len(whole),
        "ci95": _interval(np.mean([redrawn for _, redrawn in whole], axis=0)),
    }


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve from ranks (Mann and Whitney 1947). `labels` [N] bool, `scores` [N]; needs both labels.

    >>> auc(np.array([True, True, False]), np.array([0.9, 0.4, 0.4]))
    0.75
    """
    positive = int(labels.sum())
    rank_sum = float(rankdata(scores)[labels].sum())
    return (rank_sum - positive * (positive + 1) / 2) / (positive * (len(labels) - positive))


@dataclass(frozen=True, slots=True)
class ComparedResponse:
    """A response with the facts that people, and the reward, found in it; `words` is its length.

    `precision` is None where the reward abstains; `missing` says that it failed.
    """

    prompt: str
    system: str
    words: int
    human_supported: int
    human_unsupported: int
    precision: float | None
    unsupported: int
    missing: bool = False


Side = Callable[[ComparedResponse], float]
# What is set beside what: of the reward (or of the length), and of the people.
SIDES: dict[str, tuple[Side, Side]] = {
    "tau_fraction": (lambda r: r.precision or 0.0, lambda r: _fraction(r)),
    "tau_errors": (lambda r: r.unsupported, lambda r: r.human_unsupported),
    "tau_precision_errors": (lambda r: r.precision or 0.0, lambda r: -r.human_unsupported),
    "tau_length_control": (lambda r: r.words, lambda r: r.human_unsupported),
    "tau_length_control_fraction": (lambda r: -r.words, lambda r: _fraction(r)),
}


def response_agreement(responses: Sequence[ComparedResponse], seed: int = 0, resamples: int = RESAMPLES) -> Numbers:
    """Kendall's tau-b (Kendall 1945), within a system and pooled over all, each with its interval.

    tau_fraction: the reward's precision and the human share of supported facts. tau_errors: the reward's count of unsupported
    facts and the human one. tau_precision_errors: precision and the human count of errors, negated (FLAME, table 10).
    tau_length_control: words in place of the reward's count (longer, more errors); tau_length_control_fraction: words,
    negated, in place of the precision. Positive is agreement. Within a system: the mean of the systems' taus, weighted by
    their responses; a system whose tau does not exist (one response, or all tied) is left out. Every figure is of the same
    responses: those with a precision and with human facts. The intervals resample prompts, with all responses to each.
    """
    kept = [each for each in responses if not each.missing and each.precision is not None and _labelled(each)]
    counts = {
        "n": len(kept),
        "systems": len({each.system for each in kept}),
        "missing": sum(each.missing for each in responses),
        "abstained": sum(not each.missing and each.precision is None for each in responses),
        "no_human_facts": sum(not each.missing and each.precision is not None and not _labelled(each) for each in responses),
    }
    return counts | {name: _of_responses(kept, *sides, seed, resamples) for name, sides in SIDES.items()}


def _of_responses(kept: Sequence[ComparedResponse], ours: Side, theirs: Side, seed: int, resamples: int) -> Numbers:
    """Both taus and their intervals; a resample in which a tau does not exist is left out of its interval."""
    pairs = np.array([(ours(each), theirs(each)) for each in kept], dtype=float).reshape(-1, 2)
    systems = np.array([each.system for each in kept])
    prompts = _by_prompt(kept)
    draw = np.random.default_rng(seed)
    redrawn: list[tuple[float | None, float | None]] = []
    for _ in range(resamples if len(prompts) > 1 else 0):
        index = np.concatenate([prompts[i] for i in draw.integers(len(prompts), size=len(prompts))])
        redrawn.append(_taus(pairs[index], systems[index]))
    within, pooled = _taus(pairs, systems)
    return {
        "within_system": within,
        "within_system_ci95": _interval(np.array([w for w, _ in redrawn if w is not None])),
        "pooled": pooled,
        "pooled_ci95": _interval(np.array([p for _, p in redrawn if p is not None])),
    }


def _by_prompt(kept: Sequence[ComparedResponse]) -> list[np.ndarray]:
    order = sorted(range(len(kept)), key=lambda i: kept[i].prompt)
    return [np.array(list(group)) for _, group in groupby(order, key=lambda i: kept[i].prompt)]


def _taus(pairs: np.ndarray, systems: np.ndarray) -> tuple[float | None, float | None]:
    """Within a system, and pooled. `pairs` [N, 2], `systems` [N]."""
    found = [(tau_b(*pairs[systems == name].T), int((systems == name).sum())) for name in np.unique(systems)]
    exist = [(tau, n) for tau, n in found if tau is not None]
    within = float(np.average([tau for tau, _ in exist], weights=[n for _, n in exist])) if exist else None
    return within, tau_b(*pairs.T)


def tau_b(x: np.ndarray, y: np.ndarray) -> float | None:
    """Kendall's tau-b of two series [N]; None when one of them is constant, or shorter than two.

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
    return [float(bound) for bound in np.percentile(values, [2.5, 97.5])] if len(values) else None
