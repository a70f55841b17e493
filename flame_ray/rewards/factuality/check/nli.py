"""Is a fact true, by the evidence? A model of natural language inference reads it with every window of evidence.

In: claims. Out: verdicts in their order. Knows nothing of responses or retrieval, nor where the model runs.

Evidence is read in windows of a few sentences that overlap by one, each with its passage's title. Any window may support a
fact: the score is the highest probability of entailment. Only the window that matches best may contradict it, which is the
one with most of the fact's content words: of many windows about something else, one always looks like a contradiction to
such a model. A model with two labels tells supported from not and no more; as with `llm`, the rest is CONTRADICTED then.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import sentencex

from flame_ray.errors import ModelError
from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.types import Claim, Passage, Verdict, VerdictLabel

VERSION = 1  # of the windows and of what their labels add up to
THRESHOLD = 0.5
CONTRADICTS = 0.5  # probability of contradiction from which the best match contradicts
WINDOW = 600  # characters, about 150 tokens of English: these models were trained on premises of a sentence or a few
ENTAILMENT = ("entailment", "entailed", "entail", "supported", "supports", "support", "consistent")
CONTRADICTION = ("contradiction", "contradictory", "contradicts", "contradict", "refuted", "refutes", "refute")
NEUTRAL = ("neutral", "not enough info", "nei", "unknown")
NOT_ENTAILMENT = ("not entailment", "non entailment", "not entailed", "not supported", "unsupported", "inconsistent")


class PairScorer(Protocol):
    """A cross-encoder; `engines/cross_encoder.py` has one. `labels` [L] are in the order of its logits."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Float [N, L] for N pairs of premise and hypothesis."""
        ...


class NliChecker:
    """Entailment by any window, contradiction by the best match. `model` names the scorer's weights in `identity`."""

    def __init__(self, scorer: PairScorer, model: str, threshold: float | None = None):
        self.threshold = THRESHOLD if threshold is None else threshold
        self._scorer, self._model = scorer, model
        self._labels = _columns(scorer.labels)

    @property
    def identity(self) -> str:
        return f"nli/{VERSION}/{self._model}/{self.threshold}"

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        windows = [windows_of(claim.passages_K) for claim in claims]
        pairs = [
            (window.text, claim.fact.text) for claim, windows_W in zip(claims, windows, strict=True) for window in windows_W
        ]
        distinct = list(dict.fromkeys(pairs))
        scores = dict(zip(distinct, self._probabilities(distinct), strict=True))
        return tuple(
            self._verdict(claim, windows_W, np.array([scores[window.text, claim.fact.text] for window in windows_W]))
            for claim, windows_W in zip(claims, windows, strict=True)
        )

    def _probabilities(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """[N, 2]: of entailment and of contradiction, by a softmax over all labels."""
        if not pairs:
            return np.zeros((0, 2))
        logits = np.asarray(self._scorer.logits(pairs), np.float64)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (shares / shares.sum(axis=1, keepdims=True))[:, list(self._labels)]

    def _verdict(self, claim: Claim, windows_W: Sequence["Window"], scores_W2: np.ndarray) -> Verdict:
        if not windows_W:
            return Verdict(claim.fact, VerdictLabel.NOT_FOUND, 0.0, None)
        if not np.isfinite(scores_W2).all():
            return Verdict(claim.fact, VerdictLabel.ERROR, 0.0, None)
        best = int(scores_W2[:, 0].argmax())
        score = float(scores_W2[best, 0])
        if score >= self.threshold:
            return Verdict(claim.fact, VerdictLabel.SUPPORTED, score, windows_W[best].passage_id)
        match = best_match(claim.fact.text, windows_W)
        if scores_W2[match, 1] >= CONTRADICTS:
            return Verdict(claim.fact, VerdictLabel.CONTRADICTED, score, windows_W[match].passage_id)
        return Verdict(claim.fact, VerdictLabel.NOT_FOUND, score, None)


def _columns(labels: Sequence[str]) -> tuple[int, int]:
    """Where entailment and contradiction stand, whatever their order and spelling; of two labels, the other contradicts."""
    plain = [re.sub(r"[\W_]+", " ", label).strip().lower() for label in labels]
    entailment = [index for index, label in enumerate(plain) if label in ENTAILMENT]
    against = [index for index, label in enumerate(plain) if label in CONTRADICTION or label in NOT_ENTAILMENT]
    known = sum(label in (*ENTAILMENT, *CONTRADICTION, *NEUTRAL, *NOT_ENTAILMENT) for label in plain)
    if len(entailment) != 1 or len(against) != 1 or known != len(plain) or len(plain) > 3:
        expected = "labels entailment, neutral and contradiction, or entailment and not_entailment (factuality.checker_model)"
        fix = "use a model of natural language inference, or write its labels into id2label of its config.json"
        raise ModelError(expected, ", ".join(labels) or "none", fix)
    return entailment[0], against[0]


# --- windows --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of evidence as the model reads it, and the content words in it."""

    passage_id: str
    text: str
    words: frozenset[str]


def best_match(fact: str, windows_W: Sequence[Window]) -> int:
    """The place of the window with most of the fact's content words; the first of several."""
    words = content(fact)
    shared = [len(words & window.words) for window in windows_W]
    return shared.index(max(shared))


def windows_of(passages_K: Sequence[Passage]) -> tuple[Window, ...]:
    """Every window of every passage."""
    return tuple(window for passage in passages_K for window in _windows(passage))


@lru_cache(maxsize=4096)
def _windows(passage: Passage) -> tuple[Window, ...]:
    """Cached, because the responses to a prompt share evidence."""
    texts = (f"{passage.title}. {text}" if passage.title else text for text in _stretches(list(_sentences(passage.text))))
    return tuple(Window(passage.id, text, content(text)) for text in texts)


def _stretches(sentences: Sequence[str]) -> Iterator[str]:
    """As many sentences as a window takes; the next window begins with the last of them, if it is not that alone."""
    start = 0
    while start < len(sentences):
        end, length = start + 1, len(sentences[start])
        while end < len(sentences) and length + 1 + len(sentences[end]) <= WINDOW:
            length += 1 + len(sentences[end])
            end += 1
        yield " ".join(sentences[start:end])
        if end == len(sentences):
            return
        overlaps = end - start > 1 and len(sentences[end - 1]) + 1 + len(sentences[end]) <= WINDOW
        start = end - 1 if overlaps else end


def _sentences(text: str) -> Iterator[str]:
    """Sentences of at most a window; what is longer is cut at a blank, or anywhere if it has none."""
    for line in text.splitlines():
        for sentence in sentencex.segment("en", line):
            rest = sentence.strip()
            while len(rest) > WINDOW:
                end = rest.rfind(" ", 1, WINDOW + 1)
                yield rest[: end if end > 0 else WINDOW].strip()
                rest = rest[end if end > 0 else WINDOW :].strip()
            if rest:
                yield rest
