"""How long a model's answers are: figures that stand beside those of every suite whose prompts our samplers answer."""

from collections.abc import Sequence

import numpy as np

from flame_ray.config import Config
from flame_ray.evaluation.clusters import ClusterBootstrap
from flame_ray.evaluation.metrics import bootstrap_mean
from flame_ray.evaluation.suites.base import Answered, Figures
from flame_ray.types import Interval


def lengths(answered_P: Sequence[Answered], config: Config) -> Figures:
    """Mean tokens and characters (the unit of FLAME's table 8) of an answer, and the share that the token limit cut off."""
    resamples, seed = config.evaluation.bootstrap, config.run.seed
    return {
        "tokens": bootstrap_mean([len(each.response.token_ids) for each in answered_P], resamples, seed),
        "characters": bootstrap_mean([len(each.response.text) for each in answered_P], resamples, seed),
        "truncated": share([each.response.truncated for each in answered_P], config),
    }


def share(is_so: Sequence[bool], config: Config) -> Interval:
    """The share of values that are true. Where all are alike the interval is Wilson's; a resample would give no width."""
    columns_P2 = np.array([(value, 1) for value in is_so], dtype=float).reshape(-1, 2)
    return ClusterBootstrap(config.evaluation.bootstrap, config.run.seed).share(columns_P2)
