"""The tables of agreement: percent with intervals, signs on correlations, and what was left out."""

import io

from rich.console import Console

from flame_ray.evaluation.agreement import ComparedClaim, ComparedResponse, claim_agreement, response_agreement
from flame_ray.evaluation.classification import ClassifiedText, classification_agreement
from flame_ray.evaluation.preferences import ComparedPair, preference_agreement
from flame_ray.report.agreement import claims_table, classification_table, preferences_table, responses_table

ABOUT = {"checker": "lexical/1/0.5 [red]", "threshold": 0.5}


def printed(table):
    out = io.StringIO()
    Console(file=out, width=160).print(table)
    return out.getvalue()


def test_claims_are_shown_by_group_their_mean_and_all():
    claims = [ComparedClaim(s, v, 0.5, g) for g in ("[b]mine[/]", "yours") for s in (True, False) for v in (True, False)]
    out = printed(claims_table(ABOUT | claim_agreement([*claims, ComparedClaim(True, True, None)])))
    assert "lexical/1/0.5 [red]" in out and "[b]mine[/]" in out and "mean of 2 groups" in out
    assert "50.0 [" in out and "0.500" in out and "sensitivity, %" in out and "specificity, %" in out
    assert "1 claims on which the checker failed are left out" in out


def test_the_table_says_where_the_evidence_came_from():
    some = claim_agreement([ComparedClaim(True, True, 0.5), ComparedClaim(False, True, 0.5)])
    how = {"corpus": "factbook", "retriever": "bm25", "query": "prompt", "retrieve": 20, "keep": None, "reranker": None}
    out = printed(claims_table(ABOUT | {"evidence": {"given": 1, "retrieved": 2, **how}} | some))
    assert "retrieved for 2 claims (bm25 by prompt in factbook, 20 of 20 passages kept), given with 1" in " ".join(out.split())
    assert "brought its evidence" in printed(claims_table(ABOUT | {"evidence": {"given": 3, "retrieved": 0}} | some))


def test_preferences_are_shown_by_group_beside_length_with_what_was_left_out():
    pairs = [ComparedPair(wins, gap, 1, "[b]mine[/]") for wins in (1.0, 0.0) for gap in (0.5, 1.5, None)]
    pairs += [ComparedPair(0.5, gap, 1) for gap in (2.0, 3.0, None)]
    judge = {"judge": {"backend": "rubric"}}
    out = " ".join(printed(preferences_table(judge | preference_agreement(pairs, 0, 50))).split())
    assert "judge rubric" in out and "[b]mine[/]" in out and "50.0 [" in out and "longer wins" in out
    assert "left out: 2 ties, 3 pairs on which the judge failed" in out and "2.5 on ties, 1 on other pairs" in out
    assert "- (0)" in printed(preferences_table(judge | preference_agreement([], 0, 50)))


def test_correlations_have_a_sign_and_the_table_says_what_was_left_out():
    responses = [ComparedResponse(str(i), "a", i, 5, i, 5 / (5 + i), i) for i in range(4)]
    out = printed(responses_table(ABOUT | response_agreement([*responses, ComparedResponse("x", "a", 1, 1, 1, None, 0)])))
    assert "+1.000" in out and "[+1.000" not in out, "all resamples give the same, which makes no interval"
    assert "4 responses of 1 systems" in out
    assert "1 abstained, 0 missing, 0 without human facts" in out


def test_a_figure_that_does_not_exist_is_a_dash():
    assert " - " in printed(responses_table(ABOUT | response_agreement([])))


def test_a_classifier_has_each_share_with_its_n_by_group_and_over_all():
    texts = [ClassifiedText(label, p, "[b]mine[/]") for label, p in ((True, 0.9), (True, 0.1), (False, 0.8), (False, 0.2))]
    about = {"texts": "instructions", "by": "embedding", "model": "mini", "threshold": 0.5, "left_out": 3}
    out = " ".join(printed(classification_table(about | classification_agreement(texts, 0.5))).split())
    assert "instructions by embedding mini, fact-based from 0.5; [95 % interval]" in out
    assert out.count("50.0 [15.0, 85.0]") == 2  # the accuracy of 4 texts, of the group and of all
    assert out.count("50.0 [9.5, 90.5] (2)") == 4  # precision and recall
    assert "[b]mine[/]" in out and "3 that the classifier was trained on are left out" in out


def test_judgements_without_a_score_are_counted_below_the_preferences():
    found = {"judge": {"backend": "rubric"}} | preference_agreement([ComparedPair(1.0, 0.5, 1)], 0, 50)
    unread = found | {"judgements": {"read": 9, "unread": 3, "unread_share": 0.25}}
    assert "3 of 12 judgements without a score (25.0%)" in " ".join(printed(preferences_table(unread)).split())
    none = found | {"judgements": {"read": 12, "unread": 0, "unread_share": 0.0}}
    assert "without a score" not in printed(preferences_table(none))
