"""Differences between two systems, whose models answer the same prompts, seed by seed."""

from collections.abc import Mapping, Sequence

import numpy as np

from flame_ray.evaluation.metrics import Bounds, are_equal, equal_values
from flame_ray.types import Interval

ByPrompt = Mapping[str, float]  # a figure's value for each prompt that has one, by the prompt's id
RESAMPLES = 10_000
SEED = 0


def paired(pairs_S: Sequence[tuple[ByPrompt, ByPrompt]], bounds: Bounds | None = None) -> Interval:
    """The mean over seeds and prompts of the first system's value minus the second's, of the prompts that both have.

    `n` counts the prompts that have a difference in any seed. `bounds` are those of a difference.

    >>> paired([({"a": 1.0, "b": 0.5}, {"a": 0.5, "b": 0.0}), ({"a": 1.0}, {"a": 0.0, "b": 0.0})]).n
    2
    """
    prompts = {
        prompt: place for place, prompt in enumerate(sorted({each for pair in pairs_S for side in pair for each in side}))
    }
    differences_SP = np.full((len(pairs_S), len(prompts)), np.nan)
    for row, (first, second) in zip(differences_SP, pairs_S, strict=True):
        for prompt in first.keys() & second.keys():
            row[prompts[prompt]] = first[prompt] - second[prompt]
    return mean_over_both(differences_SP[:, ~np.isnan(differences_SP).all(axis=0)], bounds)


def mean_over_both(values_SP: np.ndarray, bounds: Bounds | None = None) -> Interval:
    """The mean of values by seed and prompt (NaN: no value), with a 95 % interval over both.

    Each resample draws seeds and prompts, and takes the values where they cross (Owen 2007, "The pigeonhole bootstrap",
    Annals of Applied Statistics 1:386). One seed alone is not drawn again. Equal values have the interval of one value a
    prompt, within these bounds.
    """
    seeds, n = values_SP.shape
    if not n:
        return Interval(None, None, None, 0)
    is_known_SP = ~np.isnan(values_SP)
    filled_SP = np.where(is_known_SP, values_SP, 0.0)
    mean = float(filled_SP.sum() / is_known_SP.sum())
    if n < 2:
        return Interval(mean, None, None, n)
    if are_equal(values_SP[is_known_SP]):
        return equal_values(mean, n, bounds)
    rng = np.random.default_rng(SEED)
    seeds_BS, prompts_BP = (rng.multinomial(size, np.full(size, 1 / size), RESAMPLES).astype(float) for size in (seeds, n))
    sums_B, counts_B = (((seeds_BS @ each) * prompts_BP).sum(axis=1) for each in (filled_SP, is_known_SP.astype(float)))
    low, high = np.percentile(sums_B[counts_B > 0] / counts_B[counts_B > 0], [2.5, 97.5])
    return Interval(mean, float(low), float(high), n)
