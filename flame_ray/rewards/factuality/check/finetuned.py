"""Checks facts with small fine-tuned models.

Prose is read by one model together with the lexical checker: the model knows paraphrase, the lexical checker knows figures and
names, and decides alone where a sentence says the same with another figure or the opposite word. Their logits are added, with
a weight that was learned in training (`flame-ray train-checker`; the card beside the weights says how). The model reads only
the few sentences that a fact is about, some 150 tokens. Records, lines `Field: value`
under one title, are read by another model, which sees the main fields (records.py). What a field of a country's record decides,
rules decide before it (record_rules/).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import sentencex

from flame_ray.engines.cross_encoder import PairScorer, RecordScorer
from flame_ray.rewards.factuality.check.lexical import LexicalChecker
from flame_ray.rewards.factuality.check.record_rules import decided
from flame_ray.rewards.factuality.check.records import Record, nearest_passage, record_for
from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.types import Claim, Passage, Verdict, VerdictLabel

SHIPPED = Path(__file__).with_name("finetuned_weights")  # the weights in the package
EVIDENCE_WORDS = 110  # words of evidence that the model reads with a claim
THRESHOLD = 0.5
VERSION = 15  # raise it when the models' input, how the two logits are added, or a rule on records changes
MIN_PROBABILITY = 1e-4  # a lexical score is kept this far from 0 and 1, so that its logit is finite
NEIGHBOUR = 0.2  # share of its better neighbour's score that a line gains: a line with a pronoun lacks the name
LENGTH = 0.02  # what each word of a line costs
DOUBT = 0.02  # what a rule leaves of the way between the threshold and 0 or 1: at 0.5, it is 99 % sure


class WeightedScorer(PairScorer, Protocol):
    """A pair scorer that knows the weight of the lexical logit beside its own."""

    @property
    def lexical_weight(self) -> float: ...


class FinetunedChecker:
    """P(supported) from both logits. Below the threshold, only the lexical checker can tell CONTRADICTED from NOT_FOUND.

    `reader` judges on records; without one, the lexical checker does. `model` names the weights of both in `identity`.
    """

    def __init__(self, scorer: WeightedScorer, model: str, threshold: float | None = None, reader: RecordScorer | None = None):
        self.threshold = THRESHOLD if threshold is None else threshold
        self._scorer, self._model, self._lexical, self._reader = scorer, model, LexicalChecker(), reader

    @property
    def identity(self) -> str:
        return f"small/{VERSION}/{self._model}/{self._lexical.identity}/{self.threshold}"

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        records = [record_for(claim) if self._reader else None for claim in claims]
        read = [(claim, record) for claim, record in zip(claims, records, strict=True) if record]
        on_records = self._on_records(self._reader, read) if self._reader else iter(())
        on_prose = self._on_prose([claim for claim, record in zip(claims, records, strict=True) if not record])
        return tuple(next(on_records if record else on_prose) for record in records)

    def _on_records(self, reader: RecordScorer, claims: Sequence[tuple[Claim, Record]]) -> Iterator[Verdict]:
        """Statements on one record are read together."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, (_, record) in enumerate(claims):
            places[record.text].append(place)
        asked = [
            (text, [record.statement(claim.fact.text) for claim, record in (claims[place] for place in those)])
            for text, those in places.items()
        ]
        logits = np.zeros((len(claims), 3))
        for those, found in zip(places.values(), reader.logits(asked), strict=True):
            logits[those] = found
        return (
            self._record_verdict(claim, record, *three) for (claim, record), three in zip(claims, logits.tolist(), strict=True)
        )

    def _record_verdict(
        self, claim: Claim, record: Record, supported: float, contradicted: float, says_nothing: float
    ) -> Verdict:
        if not all(map(math.isfinite, (supported, contradicted, says_nothing))):
            return Verdict(claim.fact, VerdictLabel.ERROR, 0.0, None)
        score = _probability(supported)
        if label := decided(claim.fact.text, record):
            score = self._surely(label, score)
        elif says_nothing >= 0:
            label = VerdictLabel.SAYS_NOTHING
        elif score >= self.threshold:
            label = VerdictLabel.SUPPORTED
        else:
            label = VerdictLabel.CONTRADICTED if contradicted >= 0 else VerdictLabel.NOT_FOUND
        tells = label in (VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED)
        return Verdict(claim.fact, label, score, nearest_passage(claim) if tells else None)

    def _surely(self, label: VerdictLabel, score: float) -> float:
        """The reader's score, moved to the label's side of the threshold, a share of DOUBT from the end."""
        if label is VerdictLabel.SUPPORTED:
            return max(score, 1 - DOUBT * (1 - self.threshold))
        return min(score, DOUBT * self.threshold)

    def _on_prose(self, claims: Sequence[Claim]) -> Iterator[Verdict]:
        lexical = [self._lexical.decide(claim) for claim in claims]
        inputs = [
            None if decided.on_record or decided.is_edited else model_input(claim)
            for claim, decided in zip(claims, lexical, strict=True)
        ]
        asked = [pair for pair in inputs if pair and pair[1]]
        logits = iter(np.asarray(self._scorer.logits(asked), np.float64).reshape(-1) if asked else ())
        return (
            self._verdict(claim, decided.verdict, next(logits) if pair and pair[1] else None)
            for claim, decided, pair in zip(claims, lexical, inputs, strict=True)
        )

    def _verdict(self, claim: Claim, lexical: Verdict, logit: float | None) -> Verdict:
        if logit is None:
            return lexical
        if not math.isfinite(logit):
            return Verdict(claim.fact, VerdictLabel.ERROR, 0.0, None)
        score = _probability(logit + self._scorer.lexical_weight * lexical_logit(lexical))
        if score >= self.threshold:
            only = claim.passages_K[0].id if len(claim.passages_K) == 1 else None
            return Verdict(claim.fact, VerdictLabel.SUPPORTED, score, lexical.passage_id or only)
        if lexical.label is VerdictLabel.CONTRADICTED:
            return Verdict(claim.fact, VerdictLabel.CONTRADICTED, score, lexical.passage_id)
        return Verdict(claim.fact, VerdictLabel.NOT_FOUND, score, None)


def _probability(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def lexical_logit(verdict: Verdict) -> float:
    """The lexical checker's score as a logit.

    >>> from flame_ray.types import Fact
    >>> round(lexical_logit(Verdict(Fact("Peru", 0), VerdictLabel.NOT_FOUND, 0.0, None)), 2)
    -9.21
    """
    score = min(max(verdict.score, MIN_PROBABILITY), 1 - MIN_PROBABILITY)
    return math.log(score / (1 - score))


def model_input(claim: Claim) -> tuple[str, str]:
    """The claim's text, and what the model reads of its evidence: empty if there is no evidence."""
    lines = [line for passage in claim.passages_K for line in _lines(passage)]
    return claim.fact.text, select_sentences(claim.fact.text, lines, EVIDENCE_WORDS)


@lru_cache(maxsize=4096)
def _lines(passage: Passage) -> tuple[str, ...]:
    """Sentences, each with the passage's title in front unless it names it. Cached, because responses share evidence."""
    sentences = [part.strip() for line in passage.text.splitlines() for part in sentencex.segment("en", line) if part.strip()]
    if not passage.title:
        return tuple(sentences)
    return tuple(line if passage.title in line else f"{passage.title}: {line}" for line in sentences)


def select_sentences(claim: str, lines: Sequence[str], words: int) -> str:
    """The lines that share most with the claim, up to `words` words in all, in their order; always one if there is any.

    Rare words count more.

    >>> select_sentences("Peru exports copper.", ["Lima is big.", "Peru exports copper and gold.", "It rains."], words=6)
    'Peru exports copper and gold.'
    """
    contents = [content(line) for line in lines]
    frequencies = Counter(word for each in contents for word in each)
    wanted = content(claim)
    own = [
        sum(math.log1p(len(lines) / frequencies[word]) for word in sorted(wanted & each)) / (1 + LENGTH * len(line.split()))
        for each, line in zip(contents, lines, strict=True)
    ]
    padded = [0.0, *own, 0.0]
    scores = [value + NEIGHBOUR * max(padded[index], padded[index + 2]) for index, value in enumerate(own)]
    chosen: list[int] = []
    left = words
    for index in sorted(range(len(lines)), key=lambda index: (-scores[index], index)):
        size = len(lines[index].split())
        if size <= left or not chosen:
            chosen.append(index)
            left -= size
    return " ".join(lines[index] for index in sorted(chosen))
