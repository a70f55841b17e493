"""Computes the metrics of scored greedy answers, and their paired change between two rounds, with 95 % bootstrap intervals.

Facts are counted on fact-based prompts only. A reward that failed is left out and counted as missing. A response that states
no fact counts as an abstention and enters no precision. Where the checker failed on some facts of a response, its precision is
that of the others, and a figure that those facts might raise is missing.
"""

from collections.abc import Callable, Sequence

import numpy as np

from flame_ray.config import EvaluationConfig
from flame_ray.rewards.factuality.scores import f_at_of, wilson
from flame_ray.seeds import derived_seed
from flame_ray.types import (
    FACTUALITY,
    INSTRUCTION,
    Evaluation,
    FactScore,
    Interval,
    MetricIntervals,
    Missing,
    Prompt,
    Score,
    ScoredResponse,
    VerdictLabel,
)

# The value of a metric for one response; None where there is none, and then the response does not enter the metric.
Value = Callable[[ScoredResponse, EvaluationConfig], float | None]


def _of_facts(value: Callable[[FactScore, EvaluationConfig], float | None]) -> Value:
    """A metric of the factuality reward's result."""

    def of(scored: ScoredResponse, config: EvaluationConfig) -> float | None:
        score = scored.rewards.get(FACTUALITY)
        return value(score, config) if isinstance(score, FactScore) else None

    return of


def _instruction_score(scored: ScoredResponse, config: EvaluationConfig) -> float | None:
    score = scored.rewards.get(INSTRUCTION)
    return score.value if isinstance(score, Score) else None


def _f_at_k(score: FactScore, config: EvaluationConfig) -> float | None:
    """All facts count, as in precision: SAFE (arXiv 2403.18802) leaves those out that do not answer the prompt."""
    return f_at_of(score, config.recall_at, config.recall_weight)


def _relevant_facts(score: FactScore, config: EvaluationConfig) -> float | None:
    might_rise = any(verdict.relevant and verdict.label is VerdictLabel.ERROR for verdict in score.verdicts)
    return None if might_rise else score.relevant_supported


def _abstention(score: FactScore, config: EvaluationConfig) -> float | None:
    """None where only facts on which the checker failed might state something."""
    is_unknown = score.failed and score.failed + score.count(VerdictLabel.SAYS_NOTHING) == len(score.verdicts)
    return None if is_unknown else float(score.abstained)


METRICS: dict[str, Value] = {  # by the names of the fields of `MetricIntervals`
    "factual_precision": _of_facts(lambda score, config: score.precision),
    "correct_facts": _of_facts(lambda score, config: None if score.failed else score.supported),
    "relevant_facts": _of_facts(_relevant_facts),
    "erroneous_facts": _of_facts(lambda score, config: None if score.failed else score.unsupported),
    "f_at_k": _of_facts(_f_at_k),
    "abstention_rate": _of_facts(_abstention),
    "instruction_score": _instruction_score,
    "response_tokens": lambda scored, config: len(scored.response.token_ids),
}

Bounds = tuple[float, float]  # the least and the greatest value that there can be
SHARE: Bounds = (0.0, 1.0)
SHARES = frozenset({"factual_precision", "f_at_k", "abstention_rate"})  # those whose values lie in these bounds


def evaluate_responses(
    prompts_P: Sequence[Prompt], scored_P: Sequence[ScoredResponse], config: EvaluationConfig, seed: int
) -> Evaluation:
    """The metrics of one response a prompt. The same seed resamples the same prompts in every round."""
    values = {name: [value(scored, config) for scored in scored_P] for name, value in METRICS.items()}
    known = {name: [each for each in found if each is not None] for name, found in values.items()}
    return Evaluation(
        **{
            name: bootstrap_mean(found, config.bootstrap, seed, SHARE if name in SHARES else None)
            for name, found in known.items()
        },
        prompts=len(prompts_P),
        missing=sum(isinstance(result, Missing) for scored in scored_P for result in scored.rewards.values()),
        failed_facts=sum(each.failed for scored in scored_P for each in scored.rewards.values() if isinstance(each, FactScore)),
    )


def paired_change(
    before_P: Sequence[ScoredResponse], after_P: Sequence[ScoredResponse], config: EvaluationConfig, seed: int
) -> MetricIntervals:
    """By how much each metric rose from the responses before to those after.

    The differences are taken prompt by prompt, over the prompts that have the metric in both, and then resampled. What makes
    a prompt easy or hard is in both rounds, so such an interval is narrower than those of the two means.
    """
    return MetricIntervals(**{name: metric_change(name, before_P, after_P, config, seed) for name in METRICS})


def metric_change(
    name: str, before_P: Sequence[ScoredResponse], after_P: Sequence[ScoredResponse], config: EvaluationConfig, seed: int
) -> Interval:
    """The same for one metric."""
    value = METRICS[name]
    before = {scored.response.id.prompt_id: value(scored, config) for scored in before_P}
    values = [(before.get(scored.response.id.prompt_id), value(scored, config)) for scored in after_P]
    rises = [second - first for first, second in values if first is not None and second is not None]
    return bootstrap_mean(rises, config.bootstrap, seed, difference(SHARE) if name in SHARES else None)


def bootstrap_mean(values: Sequence[float], resamples: int, seed: int, bounds: Bounds | None = None) -> Interval:
    """The mean with its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13); one value has no interval.

    Resamples of equal values are all the same, as if the mean were certain. Their interval is that of `equal_values`.
    """
    if len(values) < 2:
        return Interval(float(values[0]) if values else None, None, None, len(values))
    if are_equal(values):
        return equal_values(float(np.mean(values)), len(values), bounds)
    from scipy.stats import bootstrap  # slow to import, and no start needs it

    rng = derived_seed(seed, "bootstrap")
    found = bootstrap(
        (np.asarray(values, dtype=float),), np.mean, n_resamples=resamples, method="percentile", batch=200, rng=rng
    ).confidence_interval
    return Interval(float(np.mean(values)), float(found.low), float(found.high), len(values))


def equal_values(value: float, n: int, bounds: Bounds | None) -> Interval:
    """The mean of `n` values that are all `value`, with a 95 % interval for values that cannot leave these bounds.

    By Wilson's interval of none of n, at most a share r = z^2 / (n + z^2) of all values is another one. If those are as low, or
    as high, as can be, the mean moves by r of the way to that bound. At a bound this is Wilson's interval of a share. Values
    without bounds, such as counts and scores, have no interval: the others may be far away, and nothing says how far.

    >>> [round(bound, 3) for bound in (equal_values(0.5, 8, SHARE).low, equal_values(0.5, 8, SHARE).high)]
    [0.338, 0.662]
    >>> equal_values(2.0, 8, None)
    Interval(mean=2.0, low=None, high=None, n=8)
    """
    if bounds is None:
        return Interval(value, None, None, n)
    _, others = wilson(0, n)
    return Interval(value, value - others * (value - bounds[0]), value + others * (bounds[1] - value), n)


def are_equal(values: Sequence[float] | np.ndarray) -> bool:
    """Whether the values are the same up to rounding.

    >>> are_equal([0.3 - 0.1, 0.2]), are_equal([0.2, 0.21])
    (True, False)
    """
    return float(np.ptp(values)) <= 1e-12 * max(1.0, float(np.max(np.abs(values))))


def difference(bounds: Bounds | None) -> Bounds | None:
    """The bounds of a difference of two values.

    >>> difference(SHARE)
    (-1.0, 1.0)
    """
    return bounds and (bounds[0] - bounds[1], bounds[1] - bounds[0])
