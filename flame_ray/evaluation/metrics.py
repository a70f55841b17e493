"""Scored held-out responses -> an `Evaluation`: means with 95 % bootstrap intervals. Pure.

In: one greedy response a prompt, scored. Facts are counted over fact-based prompts only; a failed reward is left out
and counted as missing; a response that states no fact counts as an abstention and in no precision.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap

from flame_ray.types import Evaluation, FactScore, Interval, JudgeScore, Missing, Prompt, ScoredResponse


def evaluate_responses(
    prompts_P: Sequence[Prompt], scored_P: Sequence[ScoredResponse], resamples: int, seed: int
) -> Evaluation:
    """Metrics of one response a prompt; the same seed resamples the same prompts in every round."""
    facts = [scored.fact for scored in scored_P if isinstance(scored.fact, FactScore)]
    judged = [scored.judge.value for scored in scored_P if isinstance(scored.judge, JudgeScore)]
    missing = sum(isinstance(part, Missing) for scored in scored_P for part in (scored.fact, scored.judge))

    def interval(values: Sequence[float]) -> Interval:
        return bootstrap_mean(values, resamples, seed)

    return Evaluation(
        factual_precision=interval([score.precision for score in facts if score.precision is not None]),
        correct_facts=interval([score.supported for score in facts]),
        erroneous_facts=interval([score.unsupported for score in facts]),
        abstention_rate=interval([float(score.abstained) for score in facts]),
        instruction_score=interval(judged),
        response_tokens=interval([len(scored.response.token_ids) for scored in scored_P]),
        prompts=len(prompts_P),
        missing=missing,
    )


def bootstrap_mean(values: Sequence[float], resamples: int, seed: int) -> Interval:
    """Mean with the percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13); one value has no interval."""
    if len(values) < 2:
        return Interval(float(values[0]) if values else None, None, None, len(values))
    found = bootstrap(
        (np.asarray(values, dtype=float),), np.mean, n_resamples=resamples, method="percentile", batch=200, rng=seed
    ).confidence_interval
    return Interval(float(np.mean(values)), float(found.low), float(found.high), len(values))
