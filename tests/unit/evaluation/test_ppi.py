"""Prediction-powered inference: numbers by hand, the formula of the paper, and what it is for, on made-up prompts."""

import numpy as np
import pytest

from flame_ray.evaluation import ppi
from flame_ray.evaluation.clusters import ClusterBootstrap


def prompts(people, same, all):
    """The first prompts are labelled; `all` goes on with those that nobody read."""
    rest = [0.0] * (len(all) - len(people))
    labelled = [1.0] * len(people) + rest
    return ppi.Prompts(*map(np.array, (labelled, people + rest, same + rest, [1.0] * len(all), all)))


def estimate(made, weight):
    return float(ppi.debiased(ppi.columns(made, weight).sum(axis=0)))


def test_the_estimate_by_hand():
    """Verdicts say 0.4 on average. On the labelled prompts people say 0.75 where the verdicts say 0.5: 0.25 is added."""
    made = prompts(people=[1.0, 0.5], same=[1.0, 0.0], all=[1.0, 0.0, 0.0, 0.5, 0.5])
    assert estimate(made, 1.0) == pytest.approx(0.4 + 0.25)
    assert estimate(made, 0.5) == pytest.approx(0.2 + 0.75 - 0.25)
    assert estimate(made, 0.0) == pytest.approx(0.75)  # of the labels alone


def test_the_power_by_hand():
    """With whole responses it is Cov(people, verdicts) / Var(verdicts) = 0.25 / 0.5 over labelled prompts, when the others
    vary as these do."""
    made = prompts(people=[1.0, 0.5], same=[1.0, 0.0], all=[1.0, 0.0, 1.0, 0.0])
    assert ppi.power(made) == pytest.approx(0.5)


def test_the_power_is_that_of_the_paper_where_labelled_prompts_are_labelled_whole():
    """PPI++ keeps the N other prompts apart and has Cov / ((1 + n / N) Var). Here all n + N are in the mean of verdicts, so
    the weight of the others is N / (n + N) of ours: the two are one."""
    rng = np.random.default_rng(0)
    n, rest = 4000, 6000
    all = rng.random(n + rest)
    people = np.clip(0.6 * all[:n] + 0.2 * rng.random(n), 0, 1)
    found = ppi.power(prompts(list(people), list(all[:n]), list(all)))
    paper = np.cov(people, all[:n])[0, 1] / np.var(all[:n], ddof=1) / (1 + n / rest)
    assert found * rest / (n + rest) == pytest.approx(paper, rel=0.02)


def test_verdicts_that_say_nothing_about_the_labels_or_the_opposite_have_no_weight():
    assert ppi.power(prompts([1.0, 0.0, 1.0, 0.0], [0.5] * 4, [0.5] * 6)) == 0
    assert ppi.power(prompts([0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0])) == 0
    assert ppi.power(prompts([1.0], [1.0], [1.0, 0.0])) == 0  # one prompt tells no covariance


def test_a_prompt_without_facts_is_in_no_mean():
    with_empty = ppi.Prompts(*map(np.array, ([1.0, 0, 0], [1.0, 0, 0], [0.5, 0, 0], [1.0, 1.0, 0], [0.5, 0.0, 0])))
    assert estimate(with_empty, 1.0) == pytest.approx(0.25 + 0.5)


@pytest.fixture(scope="module")
def repeated():
    """300 audits of 40 of 120 prompts: the checker finds 3 of 4 true facts and calls 1 of 5 false ones true."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        made, true = audited(rng)
        interval = ClusterBootstrap(300, seed=1).interval(ppi.debiased, ppi.columns(made, ppi.power(made)))
        labels = ClusterBootstrap(300, seed=1).interval(ppi.debiased, ppi.columns(made, 0.0))
        found.append((true, interval, labels))
    return found


def audited(rng):
    """One audit. Prompts differ in how true their answers are; people read 2 of the 5 facts of each third prompt."""
    truth = rng.random((120, 5)) < rng.beta(1, 2, size=(120, 1))
    verdicts = np.where(truth, rng.random(truth.shape) < 0.75, rng.random(truth.shape) < 0.2)
    people, same = truth[:40, :2].mean(axis=1), verdicts[:40, :2].mean(axis=1)
    return prompts(list(people), list(same), list(verdicts.mean(axis=1))), 1 / 3


def test_the_estimate_is_right_on_average_although_the_verdicts_are_wrong(repeated):
    assert np.mean([interval.mean for _, interval, _ in repeated]) == pytest.approx(1 / 3, abs=0.01)


def test_the_interval_holds_the_truth_as_often_as_it_says(repeated):
    held = np.mean([interval.low <= true <= interval.high for true, interval, _ in repeated])
    assert 0.91 <= held <= 0.98


def test_the_verdicts_make_the_interval_narrower_than_that_of_the_labels_alone(repeated):
    widths = [(interval.high - interval.low, labels.high - labels.low) for _, interval, labels in repeated]
    assert np.mean([ours for ours, _ in widths]) < 0.9 * np.mean([alone for _, alone in widths])
