"""Is a fact true, by the evidence? A small model of our own and the lexical checker decide together.

In: claims. Out: verdicts in their order. Knows nothing of responses or retrieval, nor how the model was trained: see
commands/train_checker.py, and the card beside the weights. The model reads the few sentences that the fact is about, some
150 tokens; it knows paraphrase, and the lexical checker figures and names: their logits are added, by a weight that was
learned with the model. A record, a line `Field: value`, is no sentence: where the best match is one, words decide alone, and
the model is not asked.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
import sentencex

from flame_ray.rewards.factuality.check.lexical import LexicalChecker
from flame_ray.rewards.factuality.check.nli import PairScorer
from flame_ray.rewards.factuality.check.sentence_selection import focus
from flame_ray.types import Claim, Passage, Verdict, VerdictLabel

EVIDENCE_WORDS = 110  # of evidence that the model reads with a claim
THRESHOLD = 0.5
VERSION = 3  # of how a question is made of a claim, and of what the two logits add up to
SUREST = 1e-4  # a lexical score is taken to be no nearer to 0 or 1


class WeighedScorer(PairScorer, Protocol):
    """A pair scorer that knows what the lexical logit is worth beside its own."""

    @property
    def words(self) -> float: ...


class SmallChecker:
    """P(supported) of both together. What only the model doubts is not found; what the words contradict, contradicted."""

    def __init__(self, scorer: WeighedScorer, model: str, threshold: float | None = None):
        self.threshold = THRESHOLD if threshold is None else threshold
        self._scorer, self._model, self._lexical = scorer, model, LexicalChecker()

    @property
    def identity(self) -> str:
        return f"small/{VERSION}/{self._model}/{self._lexical.identity}/{self.threshold}"

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        by_words = [self._lexical.decide(claim) for claim in claims]
        questions = [None if on_record else question(claim) for claim, (_, on_record) in zip(claims, by_words, strict=True)]
        asked = [each for each in questions if each and each[1]]
        logits = iter(np.asarray(self._scorer.logits(asked), np.float64).reshape(-1) if asked else ())
        each = zip(claims, by_words, questions, strict=True)
        return tuple(
            self._verdict(claim, words, next(logits) if read and read[1] else None) for claim, (words, _), read in each
        )

    def _verdict(self, claim: Claim, words: Verdict, logit: float | None) -> Verdict:
        if logit is None:
            return words
        if not math.isfinite(logit):
            return Verdict(words.fact, VerdictLabel.ERROR, 0.0, None)
        score = float(1 / (1 + np.exp(-(logit + self._scorer.words * words_logit(words)))))
        if score >= self.threshold:
            alone = claim.passages_K[0].id if len(claim.passages_K) == 1 else None
            return Verdict(words.fact, VerdictLabel.SUPPORTED, score, words.passage_id or alone)
        if words.label is VerdictLabel.CONTRADICTED:
            return Verdict(words.fact, VerdictLabel.CONTRADICTED, score, words.passage_id)
        return Verdict(words.fact, VerdictLabel.NOT_FOUND, score, None)


def words_logit(verdict: Verdict) -> float:
    """The lexical checker's score as a logit.

    >>> from flame_ray.types import Fact
    >>> round(words_logit(Verdict(Fact("Peru", 0), VerdictLabel.NOT_FOUND, 0.0, None)), 2)
    -9.21
    """
    score = min(max(verdict.score, SUREST), 1 - SUREST)
    return math.log(score / (1 - score))


def question(claim: Claim) -> tuple[str, str]:
    """The claim, and what the model reads of its evidence; nothing where there is none."""
    lines = [line for passage in claim.passages_K for line in _lines(passage)]
    return claim.fact.text, focus(claim.fact.text, lines, EVIDENCE_WORDS)


@lru_cache(maxsize=4096)
def _lines(passage: Passage) -> tuple[str, ...]:
    """Sentences, those of a titled passage under its title where they do not name it; cached, because responses share them."""
    sentences = [part.strip() for line in passage.text.splitlines() for part in sentencex.segment("en", line) if part.strip()]
    if not passage.title:
        return tuple(sentences)
    return tuple(line if passage.title in line else f"{passage.title}: {line}" for line in sentences)
