"""How long a model's answers are: figures that stand beside those of every suite whose prompts our samplers answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from flame_ray.config import Config
from flame_ray.evaluation.clusters import ClusterBootstrap
from flame_ray.evaluation.suites.base import Answered, Figures, Needs, Values, means
from flame_ray.types import Interval


@dataclass(frozen=True, slots=True)
class LengthMeasure:
    """Nothing but the lengths, which every suite has."""

    needs: ClassVar[Needs] = "answers"

    def values(self, answered: Answered, config: Config) -> Values:
        return {}

    def figures(self, answered_P: Sequence[Answered], config: Config) -> Figures:
        return {}

    def columns(self, answered: Answered, config: Config) -> dict[str, Any]:
        return {}


def length_values(answered: Answered) -> Values:
    """Tokens and characters (the unit of FLAME's table 8) of an answer."""
    return {"tokens": len(answered.response.token_ids), "characters": len(answered.response.text)}


def lengths(answered_P: Sequence[Answered], config: Config) -> Figures:
    """Their means, and the share of answers that the token limit cut off."""
    truncated = share([each.response.truncated for each in answered_P], config)
    return means([length_values(each) for each in answered_P], config) | {"truncated": truncated}


def share(is_so: Sequence[bool], config: Config) -> Interval:
    """The share of values that are true. Where all are alike the interval is Wilson's; a resample would give no width."""
    columns_P2 = np.array([(value, 1) for value in is_so], dtype=float).reshape(-1, 2)
    return ClusterBootstrap(config.evaluation.bootstrap, config.run.seed).share(columns_P2)
