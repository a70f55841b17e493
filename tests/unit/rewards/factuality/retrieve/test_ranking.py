"""Fusion by hand-computed sums of reciprocal ranks; re-ranking by the scorer's order, ties in the retriever's."""

import pytest

from flame_ray.errors import ModelError
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.retrieve.ranking import DEPTH, CrossReranker, FusionRetriever, fuse
from flame_ray.types import Passage
from tests.builders import make_passage
from tests.doubles import FakeRetriever, FakeScorer

A, B, C, D = (Passage(name, name, name) for name in "abcd")
PASSAGES = tuple(
    make_passage(text, id=str(i), title=title)
    for i, (title, text) in enumerate([("A", "one"), ("B", "B, two"), ("C", "three")])
)


def reranker(*logits: tuple[float, ...], labels: tuple[str, ...] = ("relevant",)) -> CrossReranker:
    """Gives these logits to PASSAGES."""
    by_text = dict(zip(("A\none", "B, two", "C\nthree"), logits, strict=False))
    return CrossReranker(FakeScorer(lambda _, text: by_text[text], labels))


def ids(passages):
    return [passage.id for passage in passages]


def test_second_for_both_beats_first_for_one():
    """b: 1/62 + 1/61 = .03252; a: 1/61 = .01639; c: 1/62 = .01613; d: 1/63 = .01587."""
    assert fuse([(A, B, D), (B, C)], 4) == (B, A, C, D)


def test_sixty_first_for_both_beats_first_for_one_and_sixty_third_does_not():
    """2/121 > 1/61 = 2/122 > 2/123."""
    others = [make_passage("", id=str(i), title="") for i in range(200)]
    first = (A, *others[:59], B, others[59], C)
    second = (*others[100:160], B, others[160], C)
    assert [p for p in fuse([first, second], 200) if p in (A, B, C)] == [B, A, C]


def test_ties_keep_the_order_of_the_first_retriever():
    assert fuse([(A, C), (B, D)], 4) == (A, B, C, D)
    assert fuse([(B, D), (A, C)], 4) == (B, A, D, C)


def test_one_ranking_stays_as_it_is_and_none_gives_none():
    assert fuse([(C, A, B)], 2) == (C, A)
    assert fuse([(), ()], 5) == ()


def test_each_retriever_is_asked_for_more_than_is_kept():
    first, second = FakeRetriever(A, B), FakeRetriever(B)
    assert FusionRetriever((first, second)).retrieve(["x", "y"], 1) == [(B,), (B,)]
    assert first.asked == second.asked == [DEPTH]


def test_no_queries_give_no_rankings():
    assert FusionRetriever((FakeRetriever(A), FakeRetriever(B))).retrieve([], 5) == []


def test_the_most_relevant_come_first_and_ties_stay_in_order():
    assert ids(reranker((1.0,), (2.0,), (1.0,)).rerank("q", PASSAGES, 3)) == ["1", "0", "2"]


def test_of_two_labels_the_difference_counts():
    """Differences: 2 - 1 = 1, 5 - 5 = 0, 1 - -1 = 2."""
    two = reranker((1.0, 2.0), (5.0, 5.0), (-1.0, 1.0), labels=("no", "yes"))
    assert ids(two.rerank("q", PASSAGES, 2)) == ["2", "0"]


def test_more_labels_are_refused_by_name():
    with pytest.raises(ModelError, match="entailment"):
        reranker(labels=("contradiction", "entailment", "neutral"))


def test_a_passage_is_read_with_its_title_once():
    scorer = FakeScorer(lambda *_: (1.0,))
    CrossReranker(scorer).rerank("q", PASSAGES, 1)
    assert scorer.pairs == [("q", "A\none"), ("q", "B, two"), ("q", "C\nthree")]


def test_nothing_found_is_nothing_to_read():
    assert reranker().rerank("q", (), 5) == ()


def test_evidence_is_retrieved_reranked_and_cut():
    evidence = Evidence(FakeRetriever(*PASSAGES), retrieve=3, keep=2, reranker=reranker((1.0,), (2.0,), (3.0,)))
    assert ids(evidence.find(["q"])[0]) == ["2", "1"]
