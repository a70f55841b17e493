"""The figures of a suite of facts, against numbers made by hand."""

import math
from dataclasses import replace

import pytest

from flame_ray.config import Config
from flame_ray.evaluation.suites.base import Answered
from flame_ray.evaluation.suites.facts import FactMeasure
from flame_ray.evaluation.suites.lengths import lengths, share
from flame_ray.types import VerdictLabel
from tests.builders import make_fact_score, make_missing, make_prompt, make_response, make_verdict

YES, NO, ERROR = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.ERROR
CONFIG = Config.model_validate({"score": {"gamma": 4.0, "recall_at": 4}})


def answered(*facts, **response) -> Answered:
    return Answered(make_prompt(fact_based=True), make_response(**response), facts=make_fact_score(*facts))


def test_each_figure_is_that_of_the_answers_which_have_it():
    failed = Answered(make_prompt(), make_response(), facts=make_missing("checker: failed"))
    found = FactMeasure().figures([answered(YES, YES, NO, NO), answered(NO), answered(), failed], CONFIG)
    assert (found["precision"].mean, found["precision"].n) == (0.25, 2)
    penalty = math.exp(1 - 4 / 1)
    assert found["factscore"].mean == pytest.approx((0.5 * 1.0 + 0.0 * penalty) / 2)
    assert found["f1_at_4"].mean == pytest.approx((0.5 + 0.0 + 0.0) / 3)  # precision and recall at 4 are both a half
    assert (found["correct_facts"].mean, found["correct_facts"].n) == (pytest.approx(2 / 3), 3)
    assert found["erroneous_facts"].mean == pytest.approx(1.0)
    assert (found["abstentions"].mean, found["abstentions"].n) == (pytest.approx(1 / 3), 3)
    assert found["precision"].low is not None


def test_an_answer_of_a_few_true_facts_has_factscores_penalty():
    found = FactMeasure().figures([answered(YES, YES)], CONFIG)
    assert found["factscore"].mean == pytest.approx(math.exp(1 - 4 / 2))
    assert found["f1_at_4"].mean == pytest.approx(2 * 1.0 * 0.5 / 1.5)


def test_as_safe_counts_facts_that_do_not_answer_the_prompt_have_no_part_in_f1():
    """Of one relevant true fact, one relevant false one and two others, F1@4 is that of one of two: 2 p r / (p + r)."""
    verdicts = [
        *make_fact_score(YES, NO).verdicts,
        *(replace(each, relevant=False) for each in make_fact_score(YES, NO).verdicts),
    ]
    mixed = Answered(make_prompt(fact_based=True), make_response(), facts=replace(make_fact_score(), verdicts=tuple(verdicts)))
    found = FactMeasure(as_safe=True).values(mixed, CONFIG)
    assert found["f1_at_4"] == pytest.approx(2 * 0.5 * 0.25 / 0.75) != FactMeasure().values(mixed, CONFIG)["f1_at_4"]
    assert (found["precision"], found["correct_facts"]) == (0.5, 2)
    assert FactMeasure(as_safe=True).columns(mixed, CONFIG)["f1_at_k"] == found["f1_at_4"]
    beside = Answered(make_prompt(), make_response(), facts=replace(make_fact_score(), verdicts=tuple(verdicts[2:])))
    assert FactMeasure(as_safe=True).values(beside, CONFIG)["f1_at_4"] == 0.0


def test_a_failed_answer_says_why_and_a_row_has_the_facts():
    assert Answered(make_prompt(), make_response(), facts=make_missing("worker lost")).missing == "worker lost"
    row = FactMeasure().columns(answered(YES, NO), CONFIG)
    assert (row["supported"], row["precision"], len(row["facts"])) == (1, 0.5, 2)


def test_an_answer_has_the_values_that_the_figures_are_means_of():
    found = FactMeasure().values(answered(YES, YES, NO, NO), CONFIG)
    assert found == {
        "precision": 0.5,
        "correct_facts": 2,
        "relevant_correct_facts": 2,
        "erroneous_facts": 2,
        "abstentions": 0.0,
        "factscore": 0.5,
        "f1_at_4": 0.5,
    }
    failed = Answered(make_prompt(), make_response(), facts=make_missing("checker: failed"))
    assert set(FactMeasure().values(failed, CONFIG).values()) == {None}


def test_a_figure_that_a_failed_fact_might_change_is_missing():
    found = FactMeasure().values(answered(YES, NO, ERROR), CONFIG)
    assert (found["precision"], found["abstentions"]) == (0.5, 0.0)
    of_counts = ("correct_facts", "relevant_correct_facts", "erroneous_facts", "factscore", "f1_at_4")
    assert [found[name] for name in of_counts] == [None] * 5
    long = FactMeasure().values(answered(YES, YES, YES, YES, ERROR), CONFIG)
    assert (long["factscore"], long["f1_at_4"], long["correct_facts"]) == (1.0, 1.0, None)


def test_as_safe_counts_a_failed_fact_that_does_not_answer_the_prompt_takes_nothing_from_f1():
    def f1(*verdicts):
        row = Answered(make_prompt(fact_based=True), make_response(), facts=make_fact_score(*verdicts))
        return FactMeasure(as_safe=True).values(row, CONFIG)["f1_at_4"]

    assert f1(YES, make_verdict(ERROR, relevant=False)) == pytest.approx(2 * 1.0 * 0.25 / 1.25)
    assert f1(YES, ERROR) is None
    assert f1(make_verdict(YES, relevant=False), ERROR) is None


def test_shares_that_are_all_alike_have_an_interval_and_counts_have_none():
    found = FactMeasure().figures([answered(YES)] * 8, CONFIG)
    assert (found["abstentions"].low, round(found["abstentions"].high, 4)) == (0.0, 0.3244)
    assert (round(found["precision"].low, 4), found["precision"].high) == (0.6756, 1.0)
    assert found["f1_at_4"].low < found["f1_at_4"].mean == 0.4 < found["f1_at_4"].high
    assert (found["correct_facts"].mean, found["correct_facts"].low) == (1.0, None)


def test_lengths_are_means_of_all_answers_and_cut_ones_are_a_share():
    found = lengths([answered(text="abcd", tokens=(1, 2)), answered(text="ab", tokens=(1,), finish_reason="length")], CONFIG)
    assert (found["tokens"].mean, found["characters"].mean, found["truncated"].mean) == (1.5, 3.0, 0.5)


def test_a_share_that_is_all_or_nothing_still_has_an_interval():
    none, some = share([False] * 4, CONFIG), share([True, False, True, True], CONFIG)
    assert (none.mean, none.low, none.n) == (0.0, 0.0, 4) and none.high == pytest.approx(0.49, abs=0.01)
    assert some.mean == 0.75 and some.low < 0.75 < some.high <= 1.0
    assert share([], CONFIG).mean is None
