"""What Prometheus and the trackers get to see of a run."""

import math
import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flame_ray.journal.telemetry import EVALUATION, EXPORTED, FIGURES, Metrics, audit_text
from flame_ray.journal.trackers import Trackers
from flame_ray.report.summary import EVALUATION_METRICS
from flame_ray.types import Synced, VerdictLabel
from tests.builders import (
    make_evaluation,
    make_fact_score,
    make_group,
    make_interval,
    make_missing,
    make_pair,
    make_pair_set,
    make_prompt,
    make_response,
    make_score,
    make_scored,
    make_scored_group,
    make_step_report,
)

UNITS = ("_ratio", "_seconds", "_nats", "_tokens", "_facts", "_versions", "_items", "_total")
TRUE, FALSE = VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED


class FakeFigure:
    """Keeps what Prometheus would show: the last value of a gauge, the sum of a counter, by the values of the tags."""

    def __init__(self, figure):
        self.figure, self.values = figure, {}

    def set(self, value, tags):
        assert not self.figure.is_counter
        self.values[self._labels(tags)] = value

    def inc(self, value, tags):
        assert self.figure.is_counter and value > 0
        labels = self._labels(tags)
        self.values[labels] = self.values.get(labels, 0.0) + value

    def _labels(self, tags):
        assert set(tags) == set(self.figure.tags)
        return tuple(tags[name] for name in self.figure.tags)


class FakeTracker:
    errors = (OSError,)

    def __init__(self):
        self.logged = []

    def log(self, group, step, values):
        self.logged.append((group, step, dict(values)))

    def close(self, status):
        self.logged.append(status)


class Shown:
    """The figures of a run with fakes behind them."""

    def __init__(self):
        self.tracker, self.figures = FakeTracker(), {}
        self.metrics = Metrics("mine", Trackers({"fake": self.tracker}), self._make)

    def _make(self, figure, run):
        assert run == "mine"
        return self.figures.setdefault(figure.name, FakeFigure(figure))

    def __getitem__(self, name):
        """The only value of a figure without tags, or all of them by their tags."""
        values = self.figures[name].values
        return values.get((), values)


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_every_name_is_one_of_prometheus_and_every_figure_says_what_it_is():
    assert len({figure.name for figure in EXPORTED}) == len(EXPORTED)
    for figure in EXPORTED:
        assert re.fullmatch(r"flame_[a-z_]+", figure.name) and figure.help and "run" not in figure.tags


def test_a_figure_with_a_unit_ends_in_it():
    named = [figure.name for figure in EXPORTED if any(unit.strip("_") in figure.name.split("_") for unit in UNITS)]
    assert len(named) > 20
    assert [name for name in named if not name.endswith(UNITS)] == []


def test_every_metric_of_an_evaluation_has_a_figure():
    assert set(EVALUATION) == set(EVALUATION_METRICS)
    assert set(EVALUATION.values()) <= {figure.name for figure in FIGURES}


def test_a_stage_is_shown_as_running_with_its_round_and_then_no_more(shown):
    shown.metrics.stage("sample", 2, running=True)
    shown.metrics.stage("train", 1, running=False)
    shown.metrics.stage("evaluate", 1, running=True)
    assert shown["flame_round"] == 2
    assert shown["flame_stage"] == {("sample",): 1.0, ("train",): 0.0, ("evaluate",): 1.0}


def test_an_evaluation_is_shown_by_its_prompts_and_what_has_no_mean_is_not(shown):
    shown.metrics.evaluation(make_evaluation(0.5, f_at_k=make_interval(None)))
    shown.metrics.evaluation(make_evaluation(0.25), "dev")
    assert shown["flame_factual_precision_ratio"] == {("heldout",): 0.5, ("dev",): 0.25}
    assert shown["flame_f_at_k_ratio"] == {("dev",): 0.25}


def test_a_figure_that_a_later_round_has_not_is_shown_as_nan_and_not_as_that_of_the_round_before(shown):
    shown.metrics.evaluation(make_evaluation(0.5))
    shown.metrics.evaluation(make_evaluation(0.25, factual_precision=make_interval(None)))
    assert math.isnan(shown["flame_factual_precision_ratio"]["heldout",])
    assert shown["flame_correct_facts"]["heldout",] == 0.25
    shown.metrics.paired(make_pair_set(make_pair(), responses=8, truncated=2))
    shown.metrics.paired(make_pair_set(make_pair(), responses=0))  # given pairs
    assert math.isnan(shown["flame_pair_yield_ratio"]) and math.isnan(shown["flame_truncated_ratio"])


def test_sampled_groups_are_added_up_with_their_tokens_and_how_far_behind_the_last_one_is(shown):
    cut_off = replace(make_response("a", index=1, tokens=(1, 2, 3)), finish_reason="length")
    shown.metrics.sampled(make_group(make_response("a", index=0, tokens=(1, 2)), cut_off), 0)
    shown.metrics.sampled(make_group(make_response("a", index=0, tokens=(1,))), 1)
    names = ("flame_sampled_responses_total", "flame_sampled_tokens_total", "flame_truncated_responses_total")
    assert [shown[name] for name in (*names, "flame_staleness_versions")] == [3, 6, 1, 1]


def scored(source: str, *facts, judge: float = 1.0):
    prompt = replace(make_prompt(), source=source)
    return make_scored_group(make_scored(judge=make_score(judge), facts=make_fact_score(*facts)), prompt=prompt)


def test_rewards_are_means_of_the_round_by_kind_and_by_the_set_of_the_prompt(shown):
    for group in (scored("factbook", TRUE, FALSE, judge=3.0), scored("factbook", TRUE, judge=4.0), scored("mine")):
        shown.metrics.scored(1, group)
    assert shown["flame_reward_mean"] == {
        ("factuality", "factbook"): 0.75,
        ("instruction", "factbook"): 3.5,
        ("instruction", "mine"): 1.0,  # it states nothing, so it has no precision
    }
    shown.metrics.scored(2, scored("factbook", FALSE, judge=1.0))
    assert shown["flame_reward_mean"]["factuality", "factbook"] == 0.0
    assert shown["flame_reward_mean"]["instruction", "factbook"] == 1.0
    assert math.isnan(shown["flame_reward_mean"]["instruction", "mine"]), "the second round has none so far"


def test_groups_that_an_earlier_process_scored_are_in_the_mean_of_their_round_and_are_not_counted_again(shown):
    failed = make_scored_group(make_scored(judge=make_missing()), prompt=replace(make_prompt(), source="mine"))
    shown.metrics.scored(1, scored("mine", judge=3.0), is_new=False)
    shown.metrics.scored(1, failed, is_new=False)
    shown.metrics.scored(1, scored("mine", judge=4.0))
    assert shown["flame_reward_mean"]["instruction", "mine"] == 3.5
    assert shown["flame_missing_rewards_total"] == {}


def test_a_reward_that_failed_is_counted_and_is_in_no_mean(shown):
    group = make_scored_group(make_scored(judge=make_missing()), prompt=replace(make_prompt(), source="mine"))
    shown.metrics.scored(1, group)
    assert shown["flame_missing_rewards_total"] == {("instruction", "mine"): 1}
    assert shown["flame_reward_mean"] == {}


def test_pairs_are_shown_by_kind_and_what_was_dropped_by_reason_and_what_a_round_has_not_is_0(shown):
    pair = make_pair()
    shown.metrics.paired(make_pair_set(pair, pair, dropped={"factuality: tie": 3}, responses=8, truncated=2))
    assert shown["flame_pairs"] == {(pair.kind,): 2}
    assert shown["flame_dropped_pairs"] == {("factuality: tie",): 3}
    assert (shown["flame_pair_yield_ratio"], shown["flame_truncated_ratio"]) == (0.25, 0.25)
    shown.metrics.paired(make_pair_set(dropped={"response: empty": 1}, responses=8))
    assert shown["flame_pairs"] == {(pair.kind,): 0}
    assert shown["flame_dropped_pairs"] == {("factuality: tie",): 0, ("response: empty",): 1}


def test_a_step_is_shown_and_the_trackers_are_told_of_it_once(shown):
    shown.metrics.step(1, 1, make_step_report(loss=0.5, margin=0.25), is_new=True)
    shown.metrics.step(1, 2, make_step_report(2, loss=0.375, gradient_norm=None), is_new=False)
    assert (shown["flame_loss"], shown["flame_step_seconds"]) == (0.375, 2.0)
    assert math.isnan(shown["flame_gradient_norm"]), "that of the step before is no longer so"
    assert shown["flame_loss_metric"] == {("margin",): 0.125}
    assert (shown["flame_learner_steps_total"], shown["flame_learner_tokens_total"]) == (2, 20)
    ((group, number, values),) = shown.tracker.logged
    expected = {"loss": 0.5, "margin": 0.25, "gradient_norm": 2.0, "learning_rate": 1e-3, "tokens_per_second": 5.0, "round": 1}
    assert (group, number, values) == ("train", 1, expected)


def test_a_push_is_shown_as_far_as_it_is_known(shown):
    shown.metrics.synced(Synced(1, "", slope=0.99, gap=0.04, seconds=3.5))
    shown.metrics.synced(Synced(2))
    assert shown["flame_weight_version"] == 2
    names = ("flame_canary_slope_ratio", "flame_canary_gap_nats", "flame_weight_transfer_seconds")
    assert all(math.isnan(shown[name]) for name in names), "those were of version 1"
    shown.metrics.synced(Synced(3, "", slope=0.98, gap=0.05, seconds=2.5))
    assert [shown[name] for name in names] == [0.98, 0.05, 2.5]


def test_a_finding_without_a_value_is_not_shown_and_a_name_ends_no_line():
    rounds = [{"round": 0, "own": {"value": None}, "debiased": None}, {"round": 2, "own": {"value": 0.25}}]
    (figure,) = text_string_to_metric_families(audit_text({"run": 'a"b\\c\nd', "rounds": rounds}))
    (sample,) = figure.samples
    assert (sample.labels, sample.value) == ({"run": 'a"b\\c\nd', "finding": "own", "round": "2"}, 0.25)


def test_a_round_is_told_to_the_trackers_by_its_numbers(shown):
    shown.metrics.round({"round": 2, "pairs": {"instruction": 3, "dropped": {"factuality: tie": 1}}, "skipped": "no pairs"})
    assert shown.tracker.logged == [("round", 2, {"pairs/instruction": 3.0, "pairs/dropped/factuality tie": 1.0})]


def test_deaths_and_replacements_are_counted_from_the_totals_of_a_role(shown):
    shown.metrics.workers("rollout", serving=2, queued=7, deaths=0, replacements=1)
    shown.metrics.workers("rollout", serving=1, queued=0, deaths=1, replacements=3)
    shown.metrics.workers("judge", serving=1, queued=0, deaths=0, replacements=0)
    assert shown["flame_workers"] == {("rollout",): 1, ("judge",): 1}
    assert shown["flame_queue_items"] == {("rollout",): 0, ("judge",): 0}
    assert shown["flame_worker_deaths_total"] == {("rollout",): 1}
    assert shown["flame_worker_replacements_total"] == {("rollout",): 3}


def test_what_a_model_wrote_is_in_no_tag_and_in_no_name_of_a_curve(shown):
    quotes = [
        f"reward: ValueError: decompose: llm: the model's answer about 'Lima {n}\x1b[2J'...\nis not JSON" for n in range(3)
    ]
    dropped = dict.fromkeys(quotes, 1) | {"reward: judge: no score in its answer": 2, "factuality: tie": 1}
    kinds = {"reward: ValueError": 3, "reward: judge: no score in its answer": 2, "factuality: tie": 1}
    shown.metrics.paired(make_pair_set(dropped=dropped, responses=8))
    assert shown["flame_dropped_pairs"] == {(kind,): count for kind, count in kinds.items()}
    shown.metrics.round({"round": 2, "pairs": {"dropped": dropped}})
    ((_, _, curves),) = shown.tracker.logged
    assert len(curves) == 3 and not any("Lima" in name or "\x1b" in name for name in curves)
