"""Intervals of statistics whose values come in clusters, such as the facts of a prompt: whole clusters are drawn again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from flame_ray.evaluation.metrics import SHARE, Bounds, are_equal, equal_values
from flame_ray.rewards.factuality.scores import wilson
from flame_ray.types import Interval

Statistic = Callable[[np.ndarray], np.ndarray]  # sums of columns [..., C] -> values [...]


def ratio(sums: np.ndarray) -> np.ndarray:
    """The first column's sum over the second's."""
    return sums[..., 0] / sums[..., 1]


@dataclass(frozen=True, slots=True)
class ClusterBootstrap:
    """95 % percentile intervals over resampled clusters (Field and Welsh 2007, J. R. Stat. Soc. B 69).

    A row of `columns_PC` holds what one cluster adds to each sum. The same seed draws the same clusters for every statistic,
    so that differences of them are paired.
    """

    resamples: int
    seed: int

    def interval(
        self, statistic: Statistic, columns_PC: np.ndarray, n: int | None = None, bounds: Bounds | None = None
    ) -> Interval:
        """Of a statistic of sums. `n`: its number of values; if not given, of clusters with something in column 1.

        A resample in which the statistic does not exist does not count. Where all resamples give the same, the interval is that
        of one equal value a cluster, within the statistic's `bounds`.
        """
        clusters = int(np.count_nonzero(columns_PC[:, 1]))
        n = clusters if n is None else n
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(statistic(columns_PC.sum(axis=0)))
            if not np.isfinite(value):
                return Interval(None, None, None, n)
            values_B = statistic(_draws(len(columns_PC), self.resamples, self.seed) @ columns_PC)
        if clusters < 2:
            return Interval(value, None, None, n)
        known_B = values_B[np.isfinite(values_B)]
        if are_equal(known_B):
            return replace(equal_values(value, clusters, bounds), n=n)
        low, high = np.percentile(known_B, [2.5, 97.5])
        return Interval(value, float(low), float(high), n)

    def share(self, columns_P2: np.ndarray, n: int | None = None) -> Interval:
        """Of a ratio of two columns where the first counts some of what the second counts.

        At 0 and 1 a resample always gives the same. There the interval is Wilson's, as wide as for one value a cluster, also
        of one cluster alone.

        >>> found = ClusterBootstrap(100, seed=0).share(np.array([[2.0, 2.0], [1.0, 1.0], [3.0, 3.0]]), n=6)
        >>> found.mean, round(found.low, 2), found.high
        (1.0, 0.44, 1.0)
        """
        found = self.interval(ratio, columns_P2, n, SHARE)
        if found.mean not in (0.0, 1.0):
            return found
        clusters = int(np.count_nonzero(columns_P2[:, 1]))
        return Interval(found.mean, *wilson(int(found.mean) * clusters, clusters), found.n)


@lru_cache(maxsize=1)
def _draws(clusters: int, resamples: int, seed: int) -> np.ndarray:
    """How often each resample has each cluster [B, P]; one matrix serves every statistic of the same clusters."""
    return np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples)
