"""Is a fact true, by the evidence? A small model of our own says, from the few sentences that the fact is about.

In: claims. Out: verdicts in their order. Knows nothing of responses or retrieval, nor how the model was trained: see
runtime/train_checker.py, and the card beside the weights. One question a claim, of some 150 tokens: a few milliseconds.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import sentencex

from flame_ray.rewards.check.focus import focus
from flame_ray.rewards.check.nli import PairScorer
from flame_ray.types import Claim, Passage, Verdict, VerdictLabel

WORDS = 110  # of evidence that the model reads with a claim
THRESHOLD = 0.5
VERSION = 1  # of how a question is made of a claim


class SmallChecker:
    """P(supported) of a binary model; like `llm`, it cannot tell contradicted from not mentioned."""

    def __init__(self, scorer: PairScorer, model: str, threshold: float | None = None):
        self.threshold = THRESHOLD if threshold is None else threshold
        self._scorer, self._model = scorer, model

    @property
    def identity(self) -> str:
        return f"small/{VERSION}/{self._model}/{self.threshold}"

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        questions = [question(claim) for claim in claims]
        asked = [each for each in questions if each[1]]
        logits = iter(np.asarray(self._scorer.logits(asked), np.float64).reshape(-1) if asked else ())
        pairs = zip(claims, questions, strict=True)
        return tuple(self._verdict(claim, next(logits) if evidence else None) for claim, (_, evidence) in pairs)

    def _verdict(self, claim: Claim, logit: float | None) -> Verdict:
        if logit is None:
            return Verdict(claim.fact, VerdictLabel.NOT_FOUND, 0.0, None)
        if not np.isfinite(logit):
            return Verdict(claim.fact, VerdictLabel.ERROR, 0.0, None)
        score = float(1 / (1 + np.exp(-logit)))
        label = VerdictLabel.SUPPORTED if score >= self.threshold else VerdictLabel.NOT_FOUND
        return Verdict(claim.fact, label, score, claim.passages_K[0].id if len(claim.passages_K) == 1 else None)


def question(claim: Claim) -> tuple[str, str]:
    """The claim, and what the model reads of its evidence; nothing where there is none."""
    lines = [line for passage in claim.passages_K for line in _lines(passage)]
    return claim.fact.text, focus(claim.fact.text, lines, WORDS)


@lru_cache(maxsize=4096)
def _lines(passage: Passage) -> tuple[str, ...]:
    """Sentences, those of a titled passage under its title where they do not name it; cached, because responses share them."""
    sentences = [part.strip() for line in passage.text.splitlines() for part in sentencex.segment("en", line) if part.strip()]
    if not passage.title:
        return tuple(sentences)
    return tuple(line if passage.title in line else f"{passage.title}: {line}" for line in sentences)
