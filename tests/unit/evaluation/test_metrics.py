"""Held-out means by hand, and the bootstrap interval against a slow loop."""

import random

import pytest

from flame_ray.config import EvaluationConfig
from flame_ray.evaluation.metrics import METRICS, SHARE, bootstrap_mean, evaluate_responses, paired_change
from flame_ray.types import (
    Interval,
    MetricIntervals,
    Prompt,
    ScoredResponse,
    VerdictLabel,
)
from tests.builders import make_fact_score, make_response, make_scored, make_verdict

S, C, N, E = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND, VerdictLabel.ERROR


def answer(
    name: str, judge: float | None, verdicts: list[VerdictLabel] | None, tokens: int = 4, fact_fails: bool = False
) -> ScoredResponse:
    """One greedy answer; judge None failed, verdicts None: the prompt needs no facts."""
    response = make_response("text", prompt=name, tokens=range(tokens))
    facts = "checker failed" if fact_fails else verdicts
    return make_scored(response, judge="no answer" if judge is None else judge, facts=facts)


CONFIG = EvaluationConfig(bootstrap=200, recall_at=2)
ANSWERS_P = [
    answer("half", 2.0, [S, C], tokens=10),
    answer("mostly", None, [S, S, S, N], tokens=20),
    answer("abstains", 4.0, [], tokens=2),
    answer("unchecked", 3.0, None, tokens=8, fact_fails=True),
    answer("poem", -1.0, None, tokens=0),
]


def evaluate(answers_P, seed=0):
    return evaluate_responses([Prompt(a.response.id.prompt_id, "?") for a in answers_P], answers_P, CONFIG, seed)


def test_the_means_are_those_computed_by_hand():
    found = evaluate(ANSWERS_P)
    assert found.factual_precision.mean == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert found.correct_facts.mean == pytest.approx((1 + 3 + 0) / 3)
    assert found.erroneous_facts.mean == pytest.approx((1 + 1 + 0) / 3)
    assert found.f_at_k.mean == pytest.approx((1 / 2 + 6 / 7 + 0) / 3)  # F1@2 of 1 of 2 and of 3 of 4 facts
    assert found.abstention_rate.mean == pytest.approx(1 / 3)
    assert found.instruction_score.mean == pytest.approx((2 + 4 + 3 - 1) / 4)
    assert found.response_tokens.mean == pytest.approx((10 + 20 + 2 + 8 + 0) / 5)
    assert found.prompts == 5


def test_correct_facts_that_do_not_answer_the_prompt_are_not_among_the_relevant_ones():
    facts = [make_verdict(S, relevant=True), make_verdict(S, relevant=False), make_verdict(C, relevant=True)]
    scored = [make_scored(make_response(prompt="padded"), facts=facts), answer("silent", 1.0, [])]
    found = evaluate(scored)
    assert (found.correct_facts.mean, found.relevant_facts.mean, found.relevant_facts.n) == (1.0, 0.5, 2)


def test_each_mean_says_over_how_many_responses_it_is():
    found = evaluate(ANSWERS_P)
    counts = [found.factual_precision, found.correct_facts, found.abstention_rate, found.instruction_score]
    assert [interval.n for interval in counts] == [2, 3, 3, 4]
    assert found.response_tokens.n == 5


def test_a_response_that_abstains_is_in_the_abstention_rate_and_in_no_precision():
    with_it, without = evaluate(ANSWERS_P), evaluate([a for a in ANSWERS_P if a.response.id.prompt_id != "abstains"])
    assert with_it.factual_precision == without.factual_precision
    assert with_it.abstention_rate.mean > without.abstention_rate.mean == 0.0


def test_missing_rewards_are_counted_and_left_out_of_every_mean():
    assert evaluate(ANSWERS_P).missing == 2
    alone = evaluate([answer("both", None, None, fact_fails=True)])
    assert alone.missing == 2
    assert alone.instruction_score == alone.factual_precision == alone.correct_facts == Interval(None, None, None, 0)


def test_without_responses_every_mean_is_none():
    found = evaluate([])
    assert found.factual_precision == found.instruction_score == found.response_tokens == Interval(None, None, None, 0)
    assert (found.prompts, found.missing) == (0, 0)


def test_one_value_has_a_mean_and_no_interval():
    assert bootstrap_mean([3.0], 200, 0) == Interval(3.0, None, None, 1)


OF_EIGHT = 3.8415 / (8 + 3.8415)  # Wilson's bound for none of eight: z^2 / (n + z^2)


def test_equal_values_without_bounds_have_no_interval():
    assert bootstrap_mean([2.0] * 5, 200, 0) == Interval(2.0, None, None, 5)
    assert bootstrap_mean([2 / 3 - 1 / 3, 1 - 2 / 3], 200, 0).low is None, "they differ by rounding alone"


def test_equal_shares_have_an_interval_as_wide_as_if_others_might_be_at_its_bounds():
    rows = [answer(str(place), 1.0, [S, C]) for place in range(8)]
    found = evaluate(rows)
    assert found.abstention_rate == Interval(0.0, 0.0, pytest.approx(OF_EIGHT, abs=1e-4), 8)
    precision = found.factual_precision
    half = OF_EIGHT / 2
    assert precision == Interval(0.5, pytest.approx(0.5 - half, abs=1e-4), pytest.approx(0.5 + half, abs=1e-4), 8)
    assert found.correct_facts == Interval(1.0, None, None, 8)
    ones = bootstrap_mean([1.0] * 8, 200, 0, SHARE)
    assert ones == Interval(1.0, pytest.approx(1 - OF_EIGHT, abs=1e-4), 1.0, 8)


def test_a_change_that_all_prompts_share_has_the_interval_of_a_difference_of_shares():
    rows = [answer(str(place), 1.0, [S, C]) for place in range(8)]
    same = paired_change(rows, rows, CONFIG, 0)
    for each in (same.abstention_rate, same.factual_precision, same.f_at_k):
        assert each == Interval(0.0, pytest.approx(-OF_EIGHT, abs=1e-4), pytest.approx(OF_EIGHT, abs=1e-4), 8)
    assert same.correct_facts == same.instruction_score == Interval(0.0, None, None, 8)
    worse = paired_change(rows, [answer(str(place), 1.0, [C]) for place in range(8)], CONFIG, 0).factual_precision
    assert (worse.mean, worse.low, worse.high) == (
        -0.5,
        pytest.approx(-0.5 - 0.5 * OF_EIGHT, abs=1e-4),
        pytest.approx(-0.5 + 1.5 * OF_EIGHT, abs=1e-4),
    )


def test_bounds_change_nothing_where_values_differ():
    mixed = [1.0, 0.0, 0.5, 1.0]
    assert bootstrap_mean(mixed, 200, 0, SHARE) == bootstrap_mean(mixed, 200, 0)
    assert bootstrap_mean([1.0], 200, 0, SHARE).low is None


def test_every_metric_has_its_values():
    assert list(METRICS) == list(MetricIntervals.__slots__)


def change(before_P, after_P, seed=0):
    return paired_change(before_P, after_P, CONFIG, seed)


def test_a_change_is_that_of_each_prompt_and_only_of_prompts_that_have_the_metric_in_both_rounds():
    after_P = [
        answer("half", 3.0, [S, S]),
        answer("mostly", 5.0, [S, S, N, N]),
        answer("abstains", 4.0, [S]),
        answer("unchecked", 1.0, None, fact_fails=True),
    ]
    found = change(ANSWERS_P, after_P[::-1])
    assert (found.factual_precision.mean, found.factual_precision.n) == (pytest.approx((1 / 2 - 1 / 4) / 2), 2)
    assert (found.correct_facts.mean, found.correct_facts.n) == (pytest.approx((1 - 1 + 1) / 3), 3)
    assert (found.abstention_rate.mean, found.abstention_rate.n) == (pytest.approx(-1 / 3), 3)
    assert (found.instruction_score.mean, found.instruction_score.n) == (pytest.approx((1 + 0 - 2) / 3), 3)


def test_a_small_rise_on_every_prompt_shows_although_the_prompts_differ_by_much():
    """From 0 to 9 correct facts a prompt, each one more in the later round: the two means alone could not tell."""
    before_P = [answer(f"p{i}", 0.0, [S] * (i % 10) + [C]) for i in range(40)]
    after_P = [answer(f"p{i}", 0.0, [S] * (i % 10 + (i < 36)) + [C]) for i in range(40)]
    first, second, rise = evaluate(before_P).correct_facts, evaluate(after_P).correct_facts, change(before_P, after_P)
    assert first.high > second.low
    assert rise.correct_facts.low > 0 and rise.correct_facts.mean == pytest.approx(second.mean - first.mean)


def test_nothing_changes_between_a_round_and_itself():
    found = change(ANSWERS_P, ANSWERS_P)
    assert found.instruction_score == Interval(0.0, None, None, 4)
    assert change(ANSWERS_P, []).response_tokens == Interval(None, None, None, 0)


def test_f_at_k_is_zero_for_an_abstention_and_none_where_every_check_failed():
    assert evaluate([answer("abstains", 0.0, [])]).f_at_k == Interval(0.0, None, None, 1)
    assert evaluate([answer("failed", 0.0, [VerdictLabel.ERROR])]).f_at_k == Interval(None, None, None, 0)


def test_figures_that_facts_might_raise_on_which_the_checker_failed_are_missing_and_those_facts_are_counted():
    found = evaluate([answer("partly", 0.0, [S, E, E]), answer("whole", 0.0, [S, S, S, C])])
    counts = (found.correct_facts, found.relevant_facts, found.erroneous_facts, found.f_at_k)
    assert [(each.mean, each.n) for each in counts] == [(3.0, 1), (3.0, 1), (1.0, 1), (pytest.approx(6 / 7), 1)]
    assert (found.factual_precision.mean, found.factual_precision.n) == (pytest.approx(7 / 8), 2)
    assert (found.abstention_rate.mean, found.abstention_rate.n) == (0.0, 2)
    assert (found.failed_facts, found.missing) == (2, 0)


def test_a_failed_fact_takes_no_figure_that_it_could_not_raise():
    full = evaluate([answer("full", 0.0, [S, S, E])])  # both facts of recall at 2 are there
    assert full.f_at_k.mean == 1.0 and full.correct_facts.n == 0
    beside = make_scored(make_response(), facts=[make_verdict(S), make_verdict(E, relevant=False)])
    assert evaluate([beside]).relevant_facts.mean == 1.0 and evaluate([beside]).correct_facts.n == 0


def test_whether_an_answer_abstains_is_not_known_if_its_only_facts_failed():
    nothing = VerdictLabel.SAYS_NOTHING
    assert evaluate([answer("a", 0.0, [nothing, E])]).abstention_rate.n == 0
    assert evaluate([answer("a", 0.0, [nothing, nothing])]).abstention_rate.mean == 1.0
    unmentioned = make_scored(make_response(), facts=make_fact_score(N, E, not_found_counts=False))
    assert evaluate([unmentioned]).abstention_rate.mean == 0.0


def slow_interval(values: list[float], resamples: int, seed: int) -> tuple[float, float]:
    """Resample with replacement, take the mean; the 2.5th and the 97.5th percentile of those means."""
    rng = random.Random(seed)
    means = sorted(sum(rng.choice(values) for _ in values) / len(values) for _ in range(resamples))
    return means[int(0.025 * resamples)], means[int(0.975 * resamples)]


@pytest.mark.parametrize("values", [[0.0, 1.0, 1.0, 0.5] * 10, [float(i % 7) for i in range(50)], [0.0, 10.0] * 30])
def test_the_interval_is_that_of_a_slow_loop(values):
    found = bootstrap_mean(values, 4000, seed=1)
    low, high = slow_interval(values, 4000, seed=2)
    tolerance = 0.12 * (high - low)  # two sets of 4,000 resamples differ by a few hundredths of the width
    assert found.low == pytest.approx(low, abs=tolerance)
    assert found.high == pytest.approx(high, abs=tolerance)
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(sum(values) / len(values))


def test_the_interval_is_the_same_for_the_same_seed_and_another_for_another():
    values = [float(i) ** 1.5 for i in range(30)]
    assert bootstrap_mean(values, 200, 4) == bootstrap_mean(values, 200, 4)
    assert bootstrap_mean(values, 200, 4).low != bootstrap_mean(values, 200, 5).low
    assert evaluate(ANSWERS_P, seed=1) == evaluate(ANSWERS_P, seed=1)
