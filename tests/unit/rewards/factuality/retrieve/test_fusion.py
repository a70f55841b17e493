"""Reciprocal rank fusion, by hand-computed sums."""

from flame_ray.rewards.factuality.retrieve.fusion import DEPTH, FusionRetriever, fuse
from flame_ray.types import Passage

A, B, C, D = (Passage(name, name, name) for name in "abcd")


class Fixed:
    """Gives the same passages for every query, and keeps how many it was asked for."""

    def __init__(self, *passages: Passage):
        self.passages, self.asked = passages, []

    def retrieve(self, queries, k):
        self.asked.append(k)
        return [self.passages[:k] for _ in queries]


def test_second_for_both_beats_first_for_one():
    """b: 1/62 + 1/61 = .03252; a: 1/61 = .01639; c: 1/62 = .01613; d: 1/63 = .01587."""
    assert fuse([(A, B, D), (B, C)], 4) == (B, A, C, D)


def test_sixty_first_for_both_beats_first_for_one_and_sixty_third_does_not():
    """2/121 > 1/61 = 2/122 > 2/123."""
    others = [Passage(str(i), "", "") for i in range(200)]
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
    first, second = Fixed(A, B), Fixed(B)
    assert FusionRetriever((first, second)).retrieve(["x", "y"], 1) == [(B,), (B,)]
    assert first.asked == second.asked == [DEPTH]


def test_no_queries_give_no_rankings():
    assert FusionRetriever((Fixed(A), Fixed(B))).retrieve([], 5) == []
