"""Judgements that cannot be read and facts that cannot be checked are counted, and too many of them are told."""

import logging

import pytest

from flame_ray.evaluation.judgements import CheckedFacts, Failures, Judgements
from flame_ray.types import Missing, Score, VerdictLabel
from tests.builders import make_fact_score, make_id, make_scored


def test_what_is_read_and_what_is_not_is_counted_over_scores_and_missing_rewards():
    found = Judgements()
    found.add([Score(make_id(0), 3.0, (3.0, 3.0), unread=1), Missing(make_id(1), "judge", unread=3)])
    found.add([Score(make_id(2), -1.5, (-1.5,)), Missing(make_id(3), "worker lost"), make_fact_score()])
    assert (found.read, found.unread) == (3, 4)
    assert found.share == 4 / 7


def test_no_judgement_is_no_share():
    assert Judgements().share == 0.0


@pytest.mark.parametrize(("read", "unread", "told"), [(95, 5, False), (94, 6, True), (0, 3, True), (0, 0, False)])
def test_more_than_a_twentieth_is_told_with_what_to_do(caplog, read, unread, told):
    with caplog.at_level(logging.WARNING):
        Judgements(read, unread).warn("round 3")
    assert bool(caplog.messages) is told
    if told:
        (message,) = caplog.messages
        assert message.startswith(f"round 3: no score could be read in {unread} of {read + unread} judgements (")
        assert "judge.max_tokens" in message and "more than 5 %" in message


def test_facts_are_counted_by_whether_they_were_checked_and_a_reward_that_failed_has_none():
    labels = [VerdictLabel.SUPPORTED, VerdictLabel.SAYS_NOTHING, VerdictLabel.ERROR]
    found = Failures()
    found.add([make_scored(facts=labels), make_scored(facts="worker lost"), make_scored()])
    assert found.facts == CheckedFacts(checked=2, failed=1)


@pytest.mark.parametrize(("checked", "failed", "told"), [(95, 5, False), (94, 6, True), (0, 3, True), (0, 0, False)])
def test_more_than_a_twentieth_of_the_facts_is_told_with_what_to_do(caplog, checked, failed, told):
    with caplog.at_level(logging.WARNING):
        CheckedFacts(checked, failed).warn("round 3")
    assert bool(caplog.messages) is told
    if told:
        (message,) = caplog.messages
        assert message.startswith(f"round 3: the checker failed on {failed} of {checked + failed} facts (")
        assert "verifier.max_length" in message and "more than 5 %" in message
