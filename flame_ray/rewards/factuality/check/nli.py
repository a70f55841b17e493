"""Checks facts with a model of natural language inference (NLI), which reads a fact after each premise from the evidence.

A premise is a few sentences of a passage with its title; neighbouring premises share one sentence. Any premise can support a
fact: the score is the highest probability of entailment. Only the premise that shares most content words with the fact can
contradict it, because of many premises about other things, one always looks like a contradiction to such a model. A model with
two labels only distinguishes supported from not supported; as with `llm`, the rest is then CONTRADICTED.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sentencex
from scipy.special import softmax

from flame_ray.engines.cross_encoder import PairScorer
from flame_ray.errors import ModelError
from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.types import Claim, Passage, Verdict, VerdictLabel

VERSION = 1  # raise it when the premises, or how their labels make a verdict, change
THRESHOLD = 0.5
CONTRADICTS = 0.5  # probability of contradiction from which the best match contradicts the fact
PREMISE_CHARACTERS = 600  # about 150 tokens of English: such models are trained on premises of one or a few sentences
ENTAILMENT = ("entailment", "entailed", "entail", "supported", "supports", "support", "consistent")
CONTRADICTION = ("contradiction", "contradictory", "contradicts", "contradict", "refuted", "refutes", "refute")
NEUTRAL = ("neutral", "not enough info", "nei", "unknown")
NOT_ENTAILMENT = ("not entailment", "non entailment", "not entailed", "not supported", "unsupported", "inconsistent")


class NliChecker:
    """Entailment by any premise, contradiction by the best match. `model` names the scorer's weights in `identity`."""

    def __init__(self, scorer: PairScorer, model: str, threshold: float | None = None):
        self.threshold = THRESHOLD if threshold is None else threshold
        self._scorer, self._model = scorer, model
        self._labels = _columns(scorer.labels)

    @property
    def identity(self) -> str:
        return f"nli/{VERSION}/{self._model}/{self.threshold}"

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        premises = [premises_of(claim.passages_K) for claim in claims]
        pairs = [
            (premise.text, claim.fact.text)
            for claim, premises_P in zip(claims, premises, strict=True)
            for premise in premises_P
        ]
        distinct = list(dict.fromkeys(pairs))
        scores = dict(zip(distinct, self._probabilities(distinct), strict=True))
        return tuple(
            self._verdict(claim, premises_P, np.array([scores[premise.text, claim.fact.text] for premise in premises_P]))
            for claim, premises_P in zip(claims, premises, strict=True)
        )

    def _probabilities(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Entailment and contradiction [N, 2], by a softmax over all labels."""
        if not pairs:
            return np.zeros((0, 2))
        return softmax(np.asarray(self._scorer.logits(pairs), np.float64), axis=1)[:, list(self._labels)]

    def _verdict(self, claim: Claim, premises_P: Sequence["Premise"], scores_P2: np.ndarray) -> Verdict:
        if not premises_P:
            return Verdict(claim.fact, VerdictLabel.NOT_FOUND, 0.0, None)
        if not np.isfinite(scores_P2).all():
            return Verdict(claim.fact, VerdictLabel.ERROR, 0.0, None)
        best = int(scores_P2[:, 0].argmax())
        score = float(scores_P2[best, 0])
        if score >= self.threshold:
            return Verdict(claim.fact, VerdictLabel.SUPPORTED, score, premises_P[best].passage_id)
        match = best_match(claim.fact.text, premises_P)
        if scores_P2[match, 1] >= CONTRADICTS:
            return Verdict(claim.fact, VerdictLabel.CONTRADICTED, score, premises_P[match].passage_id)
        return Verdict(claim.fact, VerdictLabel.NOT_FOUND, score, None)


def _columns(labels: Sequence[str]) -> tuple[int, int]:
    """The columns of entailment and contradiction, in any order and spelling; of two labels, the other one contradicts."""
    plain = [re.sub(r"[\W_]+", " ", label).strip().lower() for label in labels]
    entailment = [index for index, label in enumerate(plain) if label in ENTAILMENT]
    against = [index for index, label in enumerate(plain) if label in CONTRADICTION or label in NOT_ENTAILMENT]
    known = sum(label in (*ENTAILMENT, *CONTRADICTION, *NEUTRAL, *NOT_ENTAILMENT) for label in plain)
    if len(entailment) != 1 or len(against) != 1 or known != len(plain) or len(plain) > 3:
        expected = "labels entailment, neutral and contradiction, or entailment and not_entailment (factuality.checker_model)"
        fix = "use a model of natural language inference, or write its labels into id2label of its config.json"
        raise ModelError(expected, ", ".join(labels) or "none", fix)
    return entailment[0], against[0]


# --- premises -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Premise:
    """A piece of evidence as the model reads it, and its content words."""

    passage_id: str
    text: str
    words: frozenset[str]


def best_match(fact: str, premises_P: Sequence[Premise]) -> int:
    """The position of the premise with most of the fact's content words; the first of several."""
    words = content(fact)
    shared = [len(words & premise.words) for premise in premises_P]
    return shared.index(max(shared))


def premises_of(passages_K: Sequence[Passage]) -> tuple[Premise, ...]:
    """Every premise of every passage."""
    return tuple(premise for passage in passages_K for premise in _premises(passage))


@lru_cache(maxsize=4096)
def _premises(passage: Passage) -> tuple[Premise, ...]:
    """Cached, because the responses to a prompt share evidence."""
    texts = (f"{passage.title}. {text}" if passage.title else text for text in _joined(list(_sentences(passage.text))))
    return tuple(Premise(passage.id, text, content(text)) for text in texts)


def _joined(sentences: Sequence[str]) -> Iterator[str]:
    """As many sentences as fit; the next text begins with the last of them, unless a text is that sentence alone."""
    start = 0
    while start < len(sentences):
        end, length = start + 1, len(sentences[start])
        while end < len(sentences) and length + 1 + len(sentences[end]) <= PREMISE_CHARACTERS:
            length += 1 + len(sentences[end])
            end += 1
        yield " ".join(sentences[start:end])
        if end == len(sentences):
            return
        overlaps = end - start > 1 and len(sentences[end - 1]) + 1 + len(sentences[end]) <= PREMISE_CHARACTERS
        start = end - 1 if overlaps else end


def _sentences(text: str) -> Iterator[str]:
    """Sentences of at most PREMISE_CHARACTERS; a longer one is split at a space, or anywhere if it has none."""
    for line in text.splitlines():
        for sentence in sentencex.segment("en", line):
            rest = sentence.strip()
            while len(rest) > PREMISE_CHARACTERS:
                end = rest.rfind(" ", 1, PREMISE_CHARACTERS + 1)
                yield rest[: end if end > 0 else PREMISE_CHARACTERS].strip()
                rest = rest[end if end > 0 else PREMISE_CHARACTERS :].strip()
            if rest:
                yield rest
