"""Prediction-powered inference: the mean of people's labels, from the few that there are and the verdicts on everything.

Angelopoulos et al. 2023 (arXiv 2301.09633, algorithm 1) and, for the power that is tuned, 2023 (PPI++, arXiv 2311.01453,
section 6). The package `ppi-python` is not used: it knows no clusters, and brings numba, statsmodels and gdown.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is known of each prompt of a round, as arrays [P]; where nothing is known, the value is 0.

    `labelled`, `scored`: 1 if people read facts of the prompt; if it has facts at all. `people`: the share of the facts that
    they read which they found supported. `same`: the share of those facts that the checker found supported. `all`: the
    same share of all facts of the prompt.
    """

    labelled: np.ndarray
    people: np.ndarray
    same: np.ndarray
    scored: np.ndarray
    all: np.ndarray


def power(prompts: Prompts) -> float:
    """The weight of the verdicts, between 0 and 1, that gives the estimate of `columns` the least variance.

        theta(w) = mean over labelled of people + w * (mean over scored of all - mean over labelled of same)

    Write the bracket as a sum over prompts: a labelled prompt adds b = all / N - same / n, any other one b = all / N. With
    a = people / n, the best weight is -Cov(sum of a, sum of b) / Var(sum of b). If `same` equals `all` it is
    Cov(people, all) / Var(all), as in PPI++.
    """
    is_labelled, rest = prompts.labelled > 0, (prompts.labelled == 0) & (prompts.scored > 0)
    n, total = int(is_labelled.sum()), int(prompts.scored.sum())
    if n < 2:
        return 0.0
    a = prompts.people[is_labelled] / n
    b = prompts.all[is_labelled] / total - prompts.same[is_labelled] / n
    spread = n * np.var(b, ddof=1)
    if rest.sum() > 1:
        spread += rest.sum() * np.var(prompts.all[rest] / total, ddof=1)
    return float(np.clip(-n * np.cov(a, b)[0, 1] / spread, 0.0, 1.0)) if spread > 1e-15 else 0.0


def columns(prompts: Prompts, weight: float) -> np.ndarray:
    """What each prompt adds to the sums that `debiased` takes [P, 4]."""
    corrected = prompts.labelled * (prompts.people - weight * prompts.same)
    return np.stack([corrected, prompts.labelled, weight * prompts.scored * prompts.all, prompts.scored], axis=1)


def debiased(sums: np.ndarray) -> np.ndarray:
    """The estimate: the mean verdict, and the mean of what people say less what the verdicts say of the same facts."""
    return sums[..., 0] / sums[..., 1] + sums[..., 2] / sums[..., 3]
