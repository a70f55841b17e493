"""Results that rank responses by their counts of facts: F1@K, FActScore's length penalty, and Wilson's interval."""

import math

from flame_ray.types import FactScore


def f_at(k: int, weight: float, supported: int, facts: int) -> float:
    """F-beta of precision and recall at K; `weight` is beta, and recall at K is `supported / k`, at most 1.

    With beta 1 this is F1@K (Wei et al. 2024, SAFE, arXiv 2403.18802, section 5), which there counts only facts that answer the
    prompt: whoever calls decides which facts count. A response cannot raise it by saying less: without a supported fact it is
    0, also for one that states nothing.

    >>> f_at(3, 1.0, supported=3, facts=3), f_at(3, 1.0, supported=1, facts=1), round(f_at(2, 0.5, supported=2, facts=4), 3)
    (1.0, 0.5, 0.556)
    """
    if not supported:
        return 0.0
    precision, recall, square = supported / facts, min(supported / k, 1.0), weight**2
    return (1 + square) * precision * recall / (square * precision + recall)


def length_penalty(facts: int, gamma: float) -> float:
    """FActScore's factor for a response that states fewer than `gamma` facts (Min et al. 2023, arXiv 2305.14251, section 3.1).

    >>> length_penalty(3, gamma=3.0), round(length_penalty(1, gamma=3.0), 3)
    (1.0, 0.135)
    """
    return math.exp(1 - gamma / facts) if facts < gamma else 1.0


def f_at_of(score: FactScore, k: int, weight: float) -> float | None:
    """F-beta at K of a response; None if facts on which the checker failed might raise its recall."""
    is_low = score.failed > 0 and score.supported < k
    return None if is_low else f_at(k, weight, score.supported, score.counted)


def factscore_of(score: FactScore, gamma: float) -> float | None:
    """Precision with FActScore's penalty; None if no fact counts, or if facts on which the checker failed might lower that."""
    is_low = score.failed > 0 and score.counted < gamma
    return None if is_low or score.precision is None else score.precision * length_penalty(score.counted, gamma)


def wilson(supported: int, facts: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (Wilson 1927): it stays within 0 and 1, and is wide for a few facts.

    >>> [round(bound, 3) for bound in wilson(8, 10)]
    [0.49, 0.943]
    """
    from scipy.stats import binomtest  # slow to import, and no start needs it

    interval = binomtest(supported, facts).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
