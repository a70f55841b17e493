"""Chooses the best round by its answers to the development prompts, and says when a round is rolled back.

Rounds can make a policy worse (TruthRL, arXiv 2509.25760, table 11: rounds of DPO change it by -4.4, -0.1, 12.6 and -2.0
points). The held-out prompts have no part in the choice, so what they measure of the chosen round stays honest.
"""

from collections.abc import Mapping

from flame_ray.config import EvaluationConfig, RunConfig
from flame_ray.evaluation.metrics import metric_change
from flame_ray.types import HeldOut, Interval, Selection


def select(
    developed: Mapping[int, HeldOut], before: Selection | None, run: RunConfig, evaluation: EvaluationConfig
) -> Selection:
    """The decision after the last of these rounds; `before` is that of the round before it, whose best one is among them.

    The round is the best if its metric is above the best one's on the prompts that both have it on. It is rolled back if the
    metric is below by more than the paired interval, or if the round abstains too often and the best one does not.
    """
    round = max(developed)
    now = developed[round]
    value: Interval = getattr(now.evaluation, run.select_by)
    if before is None:
        return Selection(round, round, round, value)
    best = developed[before.best]
    change = metric_change(run.select_by, best.scored_P, now.scored_P, evaluation, run.seed)
    excess, excess_before = (_abstains_too_often(each, run) for each in (now, best))
    rises = change.mean is not None and change.mean > 0
    if not excess and (rises or (excess_before and value.mean is not None)):
        return Selection(round, round, round, value, change)
    falls = change.high is not None and change.high < 0
    restart = before.best if falls or (excess and not excess_before) else round
    return Selection(round, before.best, restart, value, change, excess)


def _abstains_too_often(answers: HeldOut, run: RunConfig) -> bool:
    rate = answers.evaluation.abstention_rate.mean
    return rate is not None and rate > run.max_abstentions
