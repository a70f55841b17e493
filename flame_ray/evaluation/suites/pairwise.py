"""Compares two answers by asking a language model, once in each order, and turns the verdicts into win rates.

A judge prefers what it reads first, or last, so that one order alone would measure the order too. It also prefers the longer
answer, for which the length-controlled win rate corrects.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from flame_ray.config import Config
from flame_ray.engines.base import Sample
from flame_ray.evaluation.metrics import SHARE, are_equal, equal_values
from flame_ray.evaluation.suites.base import Answered, Comparison, Figures, Needs, Values, means
from flame_ray.evaluation.suites.lengths import share
from flame_ray.rewards.judge.pairwise import FIRST, SECOND, comparison_messages
from flame_ray.rewards.verifier.protocol import last_line
from flame_ray.seeds import derived_seed
from flame_ray.types import Interval, Missing

REASONED = f"""Give your reasons in at most 50 words. End with one line that holds nothing but "Verdict: {FIRST}", \
"Verdict: {SECOND}" or "Verdict: tie"."""

# The whole last line, so that a verdict which the judge quotes from a response is not taken for its own.
VERDICT = re.compile(r"[\s*_#]*verdict[\s*_]*[:=][\s*_]*(?:response\s+)?(a|b|tie)[\s*_.]*", re.IGNORECASE)
VALUES = {"a": 1.0, "b": 0.0, "tie": 0.5}  # of response A
UNREAD, NO_ROOM = "judge: no verdict in its answer", "judge: too long for its model"
PRIOR_SD = 10.0  # of the coefficients below: keeps them finite where one side wins every comparison
STEPS = 25


def reasoned_messages(instruction: str, first: str, second: str) -> list[dict[str, str]]:
    """The question of the pairwise judge, to be answered by reasons and then a verdict."""
    return comparison_messages(instruction, first, second, REASONED)


def read_verdict(sample: Sample) -> float | None:
    """1 for A, 0 for B, one half for a tie; None if the answer does not end in a line with a verdict, or was cut off.

    >>> read_verdict(Sample("A is complete.\\nVerdict: A", (), "stop")), read_verdict(Sample("A is better.", (), "stop"))
    (1.0, None)
    """
    match = VERDICT.fullmatch(last_line(sample.text)) if sample.finish_reason == "stop" else None
    return VALUES[match[1].lower()] if match else None


def compared(answer_first: Sample | None, answer_second: Sample | None) -> Comparison | str:
    """From the judge's words in both orders (None: they had no room); or why there is no result. A half result is none."""
    if answer_first is None or answer_second is None:
        return NO_ROOM
    first, second = read_verdict(answer_first), read_verdict(answer_second)
    return UNREAD if first is None or second is None else Comparison((first, 1.0 - second))


@dataclass(frozen=True, slots=True)
class WinRate:
    """How often an answer beats the reference answer; a tie is half a win.

    `length_controlled_win_rate`: see `length_controlled`. `longer`: how often the answer is the longer one, which is what a
    judge of length alone would say. `orders_agree`: how often the two orders give one result. `judge_score`: the answer's own,
    where answers are compared by scores.
    """

    references: dict[str, str]  # by prompt id
    needs: ClassVar[Needs] = "comparison"

    def figures(self, answered_P: Sequence[Answered], config: Config) -> Figures:
        known = [(each, each.comparison) for each in answered_P if isinstance(each.comparison, Comparison)]
        values = [comparison.value for _, comparison in known]
        longer = [len(each.response.text) - len(self.references[each.prompt.id]) for each, _ in known]
        both = [comparison.orders for _, comparison in known if len(comparison.orders) > 1]
        resamples, seed = config.evaluation.bootstrap, config.run.seed
        found = {
            **means([self.values(each, config) for each in answered_P], config),
            "length_controlled_win_rate": length_controlled(values, longer, resamples, seed),
            "longer": share([each > 0 for each in longer], config),
        }
        return found | ({"orders_agree": share([len(set(each)) == 1 for each in both], config)} if both else {})

    def values(self, answered: Answered, config: Config) -> Values:
        comparison = answered.comparison
        known = comparison if isinstance(comparison, Comparison) else None
        score = {"judge_score": known.scores[0]} if known and known.scores else {}
        return {"win_rate": known.value if known else None} | score

    def columns(self, answered: Answered, config: Config) -> dict[str, Any]:
        comparison = answered.comparison
        orders = comparison.orders if isinstance(comparison, Comparison) else None
        reason = comparison.reason if isinstance(comparison, Missing) else None
        return {"reference": self.references[answered.prompt.id], "orders": orders, "missing": reason}


def length_controlled(values_P: Sequence[float], longer_P: Sequence[float], resamples: int, seed: int) -> Interval:
    """The win rate at equal length (Dubois et al. 2024, arXiv 2404.04475, section 3), with a bootstrap interval over prompts.

    A logistic regression, P(win) = s(theta + phi tanh(d / sd(d))), where d is by how much the answer is longer; the result is
    s(theta), its value at d = 0. The paper has a third term, the difficulty of each instruction, which is fitted over many
    models at once and has none for one model alone.
    """
    n = len(values_P)
    if n < 2:
        return Interval(None, None, None, n)
    difference = np.asarray(longer_P, float)
    spread = difference.std()
    x_P = np.tanh(difference / spread) if spread else np.zeros(n)
    counts = np.random.default_rng(derived_seed(seed, "bootstrap")).multinomial(n, np.full(n, 1 / n), size=resamples)
    weights_BP = np.concatenate([np.ones((1, n)), counts.astype(float)])
    rates_B = _sigmoid(_fit(np.asarray(values_P, float), x_P, weights_BP)[:, 0])
    if are_equal(values_P):  # a resample always gives the same
        return replace(equal_values(float(np.mean(values_P)), n, SHARE), mean=float(rates_B[0]))
    low, high = np.percentile(rates_B[1:], [2.5, 97.5])
    return Interval(float(rates_B[0]), float(low), float(high), n)


def _fit(y_P: np.ndarray, x_P: np.ndarray, weights_BP: np.ndarray) -> np.ndarray:
    """(theta, phi) [B, 2] of weighted logistic regressions, by Newton's method."""
    design_P2 = np.stack([np.ones_like(x_P), x_P], axis=1)
    beta_B2 = np.zeros((len(weights_BP), 2))
    ridge = np.eye(2) / PRIOR_SD**2
    for _ in range(STEPS):
        p_BP = _sigmoid(beta_B2 @ design_P2.T)
        slope_B2 = (weights_BP * (y_P - p_BP)) @ design_P2 - beta_B2 @ ridge
        curve_B22 = np.einsum("bp,pi,pj->bij", weights_BP * p_BP * (1 - p_BP), design_P2, design_P2) + ridge
        step_B2 = np.linalg.solve(curve_B22, slope_B2[..., None])[..., 0]
        beta_B2 += np.clip(step_B2, -2.0, 2.0)  # far from its end, a Newton step may overshoot
    return beta_B2


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(z, -500, 500)))
