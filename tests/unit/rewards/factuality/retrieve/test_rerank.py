"""Re-ranking: the order is the scorer's, and ties are the retriever's."""

import numpy as np
import pytest

from flame_ray.errors import ModelError
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.retrieve.rerank import CrossReranker
from flame_ray.types import Passage

PASSAGES = tuple(
    Passage(str(i), title, text) for i, (title, text) in enumerate([("A", "one"), ("B", "B, two"), ("C", "three")])
)


class Scores:
    """Gives the logits that it was made with, and keeps the pairs."""

    def __init__(self, *logits: tuple[float, ...], labels: tuple[str, ...] = ("relevant",)):
        self._logits, self.labels, self.pairs = logits, labels, []

    def logits(self, pairs):
        self.pairs += pairs
        return np.array(self._logits[: len(pairs)], np.float32).reshape(len(pairs), len(self.labels))


class Found:
    def retrieve(self, queries, k):
        return [PASSAGES[:k] for _ in queries]


def _ids(passages):
    return [passage.id for passage in passages]


def test_the_most_relevant_come_first_and_ties_stay_in_order():
    assert _ids(CrossReranker(Scores((1.0,), (2.0,), (1.0,))).rerank("q", PASSAGES, 3)) == ["1", "0", "2"]


def test_of_two_labels_the_difference_counts():
    """Differences: 2 - 1 = 1, 5 - 5 = 0, 1 - -1 = 2."""
    scorer = Scores((1.0, 2.0), (5.0, 5.0), (-1.0, 1.0), labels=("no", "yes"))
    assert _ids(CrossReranker(scorer).rerank("q", PASSAGES, 2)) == ["2", "0"]


def test_more_labels_are_refused_by_name():
    with pytest.raises(ModelError, match="entailment"):
        CrossReranker(Scores(labels=("contradiction", "entailment", "neutral")))


def test_a_passage_is_read_with_its_title_once():
    scorer = Scores((1.0,), (2.0,), (3.0,))
    CrossReranker(scorer).rerank("q", PASSAGES, 1)
    assert scorer.pairs == [("q", "A\none"), ("q", "B, two"), ("q", "C\nthree")]


def test_nothing_found_is_nothing_to_read():
    assert CrossReranker(Scores()).rerank("q", (), 5) == ()


def test_evidence_is_retrieved_reranked_and_cut():
    evidence = Evidence(Found(), retrieve=3, keep=2, reranker=CrossReranker(Scores((1.0,), (2.0,), (3.0,))))
    assert _ids(evidence.find(["q"])[0]) == ["2", "1"]
