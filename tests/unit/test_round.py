"""The algorithm, with stages that do nothing but write down what they were given."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from flame_ray.errors import EngineError
from flame_ray.round import Stages, collect, on_given_pairs, run_rounds
from flame_ray.types import (
    Evaluation,
    Group,
    HeldOut,
    Interval,
    PairSet,
    Prompt,
    ScoredGroup,
    Selection,
    Split,
    Synced,
)
from tests.builders import make_change, make_pair, make_response, make_scored, make_training_report

TRAIN_P = tuple(Prompt(f"train {i}", f"question {i}") for i in range(4))
HELDOUT_P = (Prompt("held out", "question"),)
COLLECT, IMPROVE = ["draw", "classify", "sample", "score", "pair"], ["train", "save", "sync", "evaluate"]
PAIR = make_pair(make_response(index=0), make_response(index=1))
PATIENCE_S = 30.0


def choose_none(developed, before) -> None:
    """As a run that continues each round from the one before it."""


def evaluation_of(round: int) -> Evaluation:
    interval = Interval(float(round), None, None, 1)
    return Evaluation(*([interval] * 8), prompts=1, missing=0)


class FakeStages:
    """Records (name, arguments) of each call; a round draws one prompt, by its number. `barren` rounds give no pair."""

    def __init__(self, *barren: int):
        self.barren = barren
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.delivered: list[Selection | None] = []
        self.flow: list[str] = []  # what streams say of each group that passes

    def stages(self, **other) -> Stages:
        recorded = {name: self._recording(name) for name in [*COLLECT, "skip", *IMPROVE]}
        silent = {"compare": self._compare, "develop": self._develop, "select": self._select, "deliver": self.delivered.append}
        return Stages(**(recorded | silent | other))

    def names(self, round: int | None = None) -> list[str]:
        return [name for name, arguments in self.calls if round in (None, arguments[-1])]

    def arguments(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for found, arguments in self.calls if found == name]

    def _recording(self, name: str):
        def stage(*arguments: Any) -> Any:
            self.calls.append((name, arguments))
            return getattr(self, "_" + name)(*arguments)

        return stage

    def _draw(self, prompts_P, round):
        return (prompts_P[round],)

    def _classify(self, prompts_P, round):
        return tuple(Prompt(p.id, p.text, fact_based=True) for p in prompts_P)

    def _sample(self, prompts_P, round):
        for prompt in prompts_P:
            self.flow.append(f"sample {prompt.id}")
            response = make_response("text", round=round, prompt=prompt.id, version=round - 1)
            yield Group(prompt, (response,))

    def _score(self, groups_P, round):
        for group in groups_P:
            self.flow.append(f"score {group.prompt.id}")
            (response,) = group.responses_G
            yield ScoredGroup(group.prompt, (make_scored(response),))

    def _pair(self, groups_P, round):
        seen = [group.prompt for group in groups_P]
        assert all(prompt.fact_based for prompt in seen)
        pairs = () if round in self.barren else (PAIR,)
        return PairSet(pairs, {f"instruction: tie of {prompt.id}": round for prompt in seen})

    def _skip(self, pairs, round):
        assert not pairs.sides_D

    def _train(self, pairs, round):
        return make_training_report(steps=round)

    def _sync(self, round):
        return Synced(10 + round)

    def _save(self, round):
        return None

    def _evaluate(self, prompts_P, round):
        return HeldOut((), evaluation_of(round))

    def _develop(self, prompts_P, round):
        assert all(prompt.fact_based for prompt in prompts_P)
        return HeldOut((), replace(evaluation_of(round), prompts=len(prompts_P)))

    def _select(self, developed, before):
        """Even rounds are rolled back to the one before."""
        round = max(developed)
        assert developed.keys() == {before.best if before else 0, round}
        assert self.barren or (before and before.round) == (round - 1 if round else None)
        restart = round - 1 + round % 2 if round else 0
        return Selection(round, restart, restart, developed[round].evaluation.f_at_k)

    def _compare(self, before, after):
        return make_change(after.evaluation.correct_facts.mean - before.evaluation.correct_facts.mean)


def test_a_round_runs_its_stages_in_the_order_of_the_data():
    fake = FakeStages()
    list(run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 1))
    assert fake.names(1) == COLLECT + IMPROVE


def test_a_round_on_given_pairs_draws_samples_and_scores_nothing_and_is_measured_like_any_other():
    fake, given = FakeStages(), PairSet((PAIR,), {"file: too long": 1})
    _, report = run_rounds(on_given_pairs(fake.stages(), given), TRAIN_P, HELDOUT_P, 1)
    assert fake.flow == [] and fake.names(1) == ["classify", "sample", "score", *IMPROVE]
    assert fake.arguments("train") == [(given, 1)] and report.pairs == given.counts
    assert fake.arguments("classify")[1] == ((), 1) == fake.arguments("sample")[0]


def test_a_group_is_scored_before_the_next_one_is_sampled():
    fake = FakeStages()
    collect(fake.stages(draw=lambda prompts_P, round: prompts_P), TRAIN_P[:2], 1)
    assert fake.flow == ["sample train 0", "score train 0", "sample train 1", "score train 1"]


def test_round_zero_is_an_evaluation_of_the_model_before_training_and_nothing_else():
    fake = FakeStages()
    first = next(run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 3))
    assert fake.names() == ["classify", "evaluate"]
    assert (first.round, first.evaluation, first.weight_version) == (0, evaluation_of(0), 0)
    assert (first.pairs, first.training) == (None, None)


def test_n_rounds_give_n_plus_one_reports_with_what_each_round_made():
    reports = list(run_rounds(FakeStages().stages(), TRAIN_P, HELDOUT_P, 3))
    assert [report.round for report in reports] == [0, 1, 2, 3]
    assert [report.weight_version for report in reports] == [0, 11, 12, 13]
    assert [report.evaluation.factual_precision.mean for report in reports] == [0.0, 1.0, 2.0, 3.0]
    assert [report.training.steps for report in reports[1:]] == [1, 2, 3]
    assert [report.pairs.dropped for report in reports[1:]] == [{f"instruction: tie of train {i}": i} for i in (1, 2, 3)]


def test_every_round_is_compared_with_the_start_of_the_run():
    reports = list(run_rounds(FakeStages().stages(), TRAIN_P, HELDOUT_P, 3))
    assert [report.change and report.change.correct_facts.mean for report in reports] == [None, 1.0, 2.0, 3.0]


def test_the_development_prompts_choose_after_every_round_and_are_no_part_of_the_evaluation():
    fake, dev_P = FakeStages(), (Prompt("dev", "question", split=Split.DEV),)
    reports = list(run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 2, dev_P=dev_P))
    assert [report.development.prompts for report in reports] == [1, 1, 1]
    assert [report.selection.restart for report in reports] == [0, 1, 1]
    assert fake.delivered == [report.selection for report in reports]
    assert fake.arguments("classify")[0] == ((*HELDOUT_P, *dev_P), 0)
    assert {prompt.id for prompts_P, _ in fake.arguments("evaluate") for prompt in prompts_P} == {"held out"}
    assert {prompt.id for prompts_P, _ in fake.arguments("sample") for prompt in prompts_P} <= {p.id for p in TRAIN_P}


def test_a_choice_is_carried_out_before_the_next_round_is_sampled():
    fake = FakeStages()
    for report in run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 2):
        assert len(fake.delivered) == report.round + 1
        assert [round for _, round in fake.arguments("sample")] == list(range(1, report.round + 1))


def test_a_report_is_given_before_the_next_round_begins():
    fake = FakeStages()
    for report in run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 2):
        assert fake.arguments("evaluate")[-1][1] == report.round
        assert max(arguments[-1] for _, arguments in fake.calls) == report.round


def test_each_round_draws_anew_from_all_the_prompts_and_samples_what_it_drew():
    fake = FakeStages()
    list(run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 3))
    assert fake.arguments("draw") == [(TRAIN_P, 1), (TRAIN_P, 2), (TRAIN_P, 3)]
    assert [[p.id for p in prompts_P] for prompts_P, _ in fake.arguments("sample")] == [["train 1"], ["train 2"], ["train 3"]]
    assert all(prompt.fact_based for prompts_P, _ in fake.arguments("sample") for prompt in prompts_P)


def test_the_held_out_prompts_are_classified_once_and_evaluated_in_every_round_and_never_sampled():
    fake = FakeStages()
    list(run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 2))
    assert fake.arguments("classify")[0] == (HELDOUT_P, 0)
    assert sum(prompts_P == HELDOUT_P for prompts_P, _ in fake.arguments("classify")) == 1
    assert [round for _, round in fake.arguments("evaluate")] == [0, 1, 2]
    assert all(prompts_P[0].fact_based and prompts_P[0].id == "held out" for prompts_P, _ in fake.arguments("evaluate"))
    assert all(prompt.id != "held out" for prompts_P, _ in fake.arguments("sample") for prompt in prompts_P)


def test_without_staleness_a_round_is_sampled_only_when_the_one_before_it_is_evaluated():
    fake = FakeStages()
    list(run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 3))
    assert fake.names() == ["classify", "evaluate", *(COLLECT + IMPROVE) * 3]


def test_with_staleness_the_pairs_of_the_next_round_are_collected_while_this_one_trains():
    fake, collected = FakeStages(), {2: threading.Event(), 3: threading.Event()}

    def pair(groups_P, round):
        pairs = fake._pair(groups_P, round)
        if round in collected:
            collected[round].set()
        return pairs

    def train(pairs, round):
        assert list(pairs.dropped.values()) == [round]
        assert all(event.wait(PATIENCE_S) for later, event in collected.items() if later == round + 1)
        assert not any(event.is_set() for later, event in collected.items() if later > round + 1)
        return fake._train(pairs, round)

    reports = list(run_rounds(fake.stages(pair=pair, train=train), TRAIN_P, HELDOUT_P, 3, staleness=1))
    assert reports == list(run_rounds(FakeStages().stages(), TRAIN_P, HELDOUT_P, 3))
    assert all(fake.names(round).count(name) == 1 for round in (1, 2, 3) for name in ("draw", "sample", "save", "evaluate"))


@pytest.mark.parametrize("staleness", [0, 1])
def test_a_round_that_cannot_be_collected_ends_the_run_after_the_report_of_the_one_before(staleness):
    def draw(prompts_P, round):
        if round == 2:
            raise EngineError("a sampler", "none", "start one")
        return prompts_P[:1]

    reports = []
    with pytest.raises(EngineError, match="a sampler"):
        for report in run_rounds(FakeStages().stages(draw=draw), TRAIN_P, HELDOUT_P, 3, staleness):
            reports.append(report.round)
    assert reports == [0, 1]


@pytest.mark.parametrize("staleness", [0, 1])
@pytest.mark.parametrize("barren", [1, 2, 3])
def test_a_round_without_pairs_trains_nothing_and_the_next_one_samples_anew(barren, staleness):
    fake = FakeStages(barren)
    reports = list(run_rounds(fake.stages(select=choose_none), TRAIN_P, HELDOUT_P, 3, staleness))
    assert [report.is_skipped for report in reports] == [round == barren for round in range(4)]
    assert fake.names(barren) == [*COLLECT, "skip"]
    assert all(sorted(fake.names(round)) == sorted(COLLECT + IMPROVE) for round in {1, 2, 3} - {barren})
    assert reports[barren].pairs.dropped == {f"instruction: tie of train {barren}": barren}


def test_a_skipped_round_repeats_what_was_measured_of_the_weights_that_it_leaves():
    reports = list(run_rounds(FakeStages(1, 3, 4).stages(select=choose_none), TRAIN_P * 2, HELDOUT_P, 4))
    assert [report.round for report in reports] == [0, 1, 2, 3, 4]
    assert [report.weight_version for report in reports] == [0, 0, 12, 12, 12]
    assert [report.evaluation for report in reports] == [evaluation_of(round) for round in (0, 0, 2, 2, 2)]
    assert [report.change and report.change.correct_facts.mean for report in reports] == [None, None, 2.0, 2.0, 2.0]
    assert [report.training and report.training.steps for report in reports] == [None, None, 2, None, None]


def test_a_skipped_round_after_a_roll_back_leaves_the_weights_that_were_rolled_back_to():
    dev_P = (Prompt("dev", "question", split=Split.DEV),)
    fake = FakeStages(3)
    reports = list(run_rounds(fake.stages(), TRAIN_P * 2, HELDOUT_P, 4, dev_P=dev_P))
    assert reports[2].selection.restart == 1 and reports[2].selection.rolled_back
    assert reports[3].evaluation == evaluation_of(1)
    assert (reports[3].weight_version, reports[3].selection, reports[3].development) == (
        11,
        reports[1].selection,
        reports[1].development,
    )
    assert fake.delivered == [report.selection for report in reports if not report.is_skipped]
