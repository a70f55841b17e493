"""The learning rate, as a function of where training is. In: settings and a place. Out: a rate. Knows no optimizer."""

from flame_ray.config import LearnerConfig


def learning_rate(config: LearnerConfig, round: int, step: int, steps: int) -> float:
    """Linear from `lr` at a round's first step to `lr_final` at its last, both times `lr_round_factor` a round after the first.

    >>> config = LearnerConfig(lr=1e-6, lr_final=1e-7, lr_round_factor=0.5)
    >>> learning_rate(config, round=2, step=0, steps=10)
    5e-07
    """
    share = step / (steps - 1) if steps > 1 else 0.0
    return config.lr_round_factor ** (round - 1) * (config.lr + share * (config.lr_final - config.lr))
