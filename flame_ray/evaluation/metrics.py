"""Computes the metrics of scored held-out responses: means with 95 % bootstrap intervals.

Facts are counted on fact-based prompts only. A reward that failed is left out and counted as missing. A response that states
no fact counts as an abstention and enters no precision.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap

from flame_ray.seeds import derived_seed
from flame_ray.types import FACTUALITY, INSTRUCTION, Evaluation, FactScore, Interval, Missing, Prompt, Score, ScoredResponse


def evaluate_responses(
    prompts_P: Sequence[Prompt], scored_P: Sequence[ScoredResponse], resamples: int, seed: int
) -> Evaluation:
    """The metrics of one response a prompt. The same seed resamples the same prompts in every round."""
    facts = [score for scored in scored_P if isinstance(score := scored.rewards.get(FACTUALITY), FactScore)]
    judged = [score.value for scored in scored_P if isinstance(score := scored.rewards.get(INSTRUCTION), Score)]
    missing = sum(isinstance(result, Missing) for scored in scored_P for result in scored.rewards.values())

    def interval(values: Sequence[float]) -> Interval:
        return bootstrap_mean(values, resamples, seed)

    return Evaluation(
        factual_precision=interval([score.precision for score in facts if score.precision is not None]),
        correct_facts=interval([score.supported for score in facts]),
        relevant_facts=interval([score.relevant_supported for score in facts]),
        erroneous_facts=interval([score.unsupported for score in facts]),
        abstention_rate=interval([float(score.abstained) for score in facts]),
        instruction_score=interval(judged),
        response_tokens=interval([len(scored.response.token_ids) for scored in scored_P]),
        prompts=len(prompts_P),
        missing=missing,
    )


def bootstrap_mean(values: Sequence[float], resamples: int, seed: int) -> Interval:
    """The mean with its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13); one value has no interval."""
    if len(values) < 2:
        return Interval(float(values[0]) if values else None, None, None, len(values))
    rng = derived_seed(seed, "bootstrap")
    found = bootstrap(
        (np.asarray(values, dtype=float),), np.mean, n_resamples=resamples, method="percentile", batch=200, rng=rng
    ).confidence_interval
    return Interval(float(np.mean(values)), float(found.low), float(found.high), len(values))
