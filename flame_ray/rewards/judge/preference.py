"""Judges a response by a small model that was trained on people's preferences between two answers.

The model is a reward model as in reinforcement learning from human feedback: the difference of two scores is the log-odds
that a reader finds the first response more helpful (Bradley and Terry; Ouyang et al., arXiv 2203.02155, equation 1).
`flame-ray train-judge` trained it, and the card beside its weights says how well it agrees with people.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from flame_ray.types import Missing, Prompt, Response, Score

SHIPPED = Path(__file__).with_name("preference_weights")  # the weights in the package


class ResponseScorer(Protocol):
    """A model that scores responses to instructions."""

    def scores(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[np.ndarray]:
        """For each instruction with its N responses, float32 [N]: higher is more helpful, and a difference is in log-odds."""
        ...


class PreferenceJudge:
    """Scores a response in log-odds: of two whose scores differ by 1, readers prefer the better one by 73 %."""

    def __init__(self, scorer: ResponseScorer):
        self._scorer = scorer

    def score(self, items: Sequence[tuple[Prompt, Response]]) -> list[Score | Missing]:
        """One result an item, in order. The responses to one instruction are read together."""
        by_text: dict[str, list[int]] = {}
        for place, (prompt, response) in enumerate(items):
            if response.text.strip():
                by_text.setdefault(prompt.text, []).append(place)
        asked = [(text, [items[place][1].text for place in places]) for text, places in by_text.items()]
        values: dict[int, float] = {}
        for places, scores in zip(by_text.values(), self._scorer.scores(asked), strict=True):
            values |= zip(places, scores.tolist(), strict=True)
        return [_result(response, values.get(place)) for place, (_, response) in enumerate(items)]


def _result(response: Response, value: float | None) -> Score | Missing:
    if value is None:
        return Missing(response.id, "judge: empty response")
    return Score(response.id, value, (value,)) if math.isfinite(value) else Missing(response.id, "judge: no finite score")
