"""The judge's agreement with people's preferences by hand, and what length alone would say."""

import json

import pytest

from flame_ray.evaluation.labels import preference_of
from flame_ray.evaluation.preferences import ComparedPair, preference_agreement
from flame_ray.storage.jsonl import parse_line
from tests.builders import make_missing, make_score

A, B, TIE = 1.0, 0.0, 0.5


def agreement(*pairs: ComparedPair, **more):
    return preference_agreement(pairs, seed=0, resamples=200, **more)


# The judge is right on the first and third, wrong on the second, and says nothing on the fourth.
PAIRS = (ComparedPair(A, 0.9, 5), ComparedPair(A, -0.2, -5), ComparedPair(B, -0.3, 2), ComparedPair(B, 0.0, -1))


def test_agreement_is_the_share_of_pairs_and_equal_scores_count_half():
    found = agreement(*PAIRS)
    assert (found["agreement"], found["n"]) == ((1 + 0 + 1 + 0.5) / 4, 4)
    assert found["ci95"][0] < found["agreement"] < found["ci95"][1]


def test_length_is_measured_on_the_same_pairs_both_ways():
    found = agreement(*PAIRS, ComparedPair(B, None, 9))
    assert found["longer_wins"]["agreement"] == 2 / 4 and found["longer_wins"]["n"] == 4
    unequal = agreement(ComparedPair(A, 1.0, 5), ComparedPair(B, 1.0, -3), ComparedPair(A, 1.0, 1), ComparedPair(A, 1.0, 0))
    assert (unequal["longer_wins"]["agreement"], unequal["shorter_wins"]["agreement"]) == (3.5 / 4, 0.5 / 4)


def test_a_judge_that_goes_by_length_agrees_only_where_the_longer_side_is_better():
    by_length = [ComparedPair(wins, longer / 10, longer) for wins in (A, B) for longer in (-4, 4)]
    found = agreement(*by_length)
    assert found["agreement"] == 0.5
    assert (found["longer_is_helpful"]["agreement"], found["shorter_is_helpful"]["agreement"]) == (1.0, 0.0)
    assert (found["longer_is_helpful"]["n"], found["shorter_is_helpful"]["n"]) == (2, 2)


def test_ties_and_pairs_on_which_the_judge_failed_are_counted_apart():
    ties = (ComparedPair(TIE, 0.1, 3), ComparedPair(TIE, -0.3, 3))
    found = agreement(*PAIRS, *ties, ComparedPair(A, None, 1), ComparedPair(TIE, None, 1))
    assert (found["n"], found["ties"], found["missing"]) == (4, 2, 2)
    assert found["agreement"] == agreement(*PAIRS)["agreement"]
    assert found["tie_gap"] == pytest.approx(0.2) and found["other_gap"] == pytest.approx((0.9 + 0.2 + 0.3) / 4)


def test_the_pairs_that_a_run_would_train_on_are_those_with_a_wide_gap():
    found = agreement(*PAIRS, min_gap=0.3)["wide_gap"]
    assert (found["agreement"], found["n"], found["min_gap"]) == (1.0, 2, 0.3)


def test_each_group_has_all_figures_of_its_own():
    found = agreement(
        ComparedPair(A, 0.5, 1, "facts"), ComparedPair(A, -0.5, 1, "stories"), ComparedPair(TIE, 0.5, 1, "stories")
    )
    assert {name: each["agreement"] for name, each in found["groups"].items()} == {"facts": 1.0, "stories": 0.0}
    assert found["groups"]["stories"]["ties"] == 1
    assert set(found) == {*found["groups"]["facts"], "groups"}
    assert "groups" not in agreement(*PAIRS)


def test_a_pair_is_compared_by_the_difference_of_the_judges_scores_and_of_the_words():
    line = {"prompt": "Peru?", "a": "It is a country.", "b": "Lima.", "helpful": "a", "group": "mine"}
    labelled = preference_of(parse_line(json.dumps(line).encode(), 1, "l.jsonl"))
    assert ComparedPair.of(labelled, (make_score(-1.0), make_score(-1.5))) == ComparedPair(A, 0.5, 3, "mine")
    assert ComparedPair.of(labelled, (make_score(-1.0), make_missing())).gap is None
    assert ComparedPair.of(labelled, (make_missing(), make_score(-1.0))).gap is None


def test_the_figures_can_be_written_as_json():
    for found in (agreement(*PAIRS), agreement(ComparedPair(A, 0.5, 1)), agreement()):
        assert json.loads(json.dumps(found, allow_nan=False)) == found
