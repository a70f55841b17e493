"""The algorithm, with stages that do nothing but write down what they were given."""

from typing import Any

from flame_ray.round import Stages, run_round, run_rounds
from flame_ray.types import (
    Evaluation,
    HeldOut,
    Interval,
    JudgeScore,
    PairSet,
    Prompt,
    Response,
    ResponseId,
    ScoredResponse,
    TrainingReport,
)

TRAIN_P = tuple(Prompt(f"train {i}", f"question {i}") for i in range(4))
HELDOUT_P = (Prompt("held out", "question"),)
ORDER = ["draw", "classify", "sample", "score", "pair", "train", "sync", "save", "evaluate"]


def evaluation_of(round: int) -> Evaluation:
    interval = Interval(float(round), None, None, 1)
    return Evaluation(*([interval] * 6), prompts=1, missing=0)


class FakeStages:
    """Records (name, arguments) of each call; a round draws its one prompt, by its number."""

    def __init__(self):
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def stages(self) -> Stages:
        return Stages(**{name: self._recording(name) for name in ORDER})

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def arguments(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for found, arguments in self.calls if found == name]

    def _recording(self, name: str):
        def stage(*arguments: Any) -> Any:
            self.calls.append((name, arguments))
            return getattr(self, "_" + name)(*arguments)

        return stage

    def _draw(self, prompts_P, round):
        return (prompts_P[round],)

    def _classify(self, prompts_P):
        return tuple(Prompt(p.id, p.text, fact_based=True) for p in prompts_P)

    def _sample(self, prompts_P, round):
        return [Response(ResponseId(round, p.id, 0), "text", (1,), (2,), (-0.1,), "stop", round - 1) for p in prompts_P]

    def _score(self, prompts_P, responses_PG):
        return [ScoredResponse(r, JudgeScore(r.id, 1.0, (1.0,)), None) for r in responses_PG]

    def _pair(self, prompts_P, scored_PG):
        return PairSet((), {"instruction: tie": len(scored_PG)})

    def _train(self, pairs, round):
        return TrainingReport(steps=round, loss=0.5, accuracy=0.5, margin=0.0, pairs=0, tokens=0)

    def _sync(self, pairs, round):
        return 10 + round

    def _save(self, round):
        return None

    def _evaluate(self, prompts_P, round):
        return HeldOut((), evaluation_of(round))


def test_a_round_runs_its_stages_in_the_order_of_the_data():
    fake = FakeStages()
    run_round(fake.stages(), TRAIN_P, HELDOUT_P, 1)
    assert fake.names() == ORDER


def test_round_zero_is_an_evaluation_of_the_model_before_training_and_nothing_else():
    fake = FakeStages()
    first = next(run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 3))
    assert fake.names() == ["classify", "evaluate"]
    assert (first.round, first.evaluation, first.pairs, first.training, first.weight_version) == (
        0,
        evaluation_of(0),
        None,
        None,
        0,
    )


def test_a_report_is_given_before_the_next_round_begins():
    fake = FakeStages()
    for report in run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 2):
        assert fake.arguments("evaluate")[-1][1] == report.round


def test_n_rounds_give_n_plus_one_reports_with_what_each_round_made():
    reports = list(run_rounds(FakeStages().stages(), TRAIN_P, HELDOUT_P, 3))
    assert [report.round for report in reports] == [0, 1, 2, 3]
    assert [report.weight_version for report in reports] == [0, 11, 12, 13]
    assert [report.evaluation.factual_precision.mean for report in reports] == [0.0, 1.0, 2.0, 3.0]
    assert [report.training.steps for report in reports[1:]] == [1, 2, 3]
    assert all(report.pairs.dropped == {"instruction: tie": 1} for report in reports[1:])


def test_each_round_draws_anew_from_all_the_prompts_and_samples_what_it_drew():
    fake = FakeStages()
    list(run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 3))
    assert fake.arguments("draw") == [(TRAIN_P, 1), (TRAIN_P, 2), (TRAIN_P, 3)]
    assert [[p.id for p in prompts_P] for prompts_P, _ in fake.arguments("sample")] == [["train 1"], ["train 2"], ["train 3"]]


def test_what_is_sampled_scored_and_paired_are_the_classified_prompts():
    fake = FakeStages()
    run_round(fake.stages(), TRAIN_P, HELDOUT_P, 2)
    for name in ("sample", "score", "pair"):
        (arguments,) = fake.arguments(name)
        assert all(prompt.fact_based for prompt in arguments[0]), name


def test_responses_go_with_their_prompts_through_every_stage():
    fake = FakeStages()
    list(run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 2))
    for prompts_P, responses_PG in fake.arguments("score"):
        assert [response.id.prompt_id for response in responses_PG] == [prompt.id for prompt in prompts_P]
    for prompts_P, scored_PG in fake.arguments("pair"):
        assert [scored.response.id.prompt_id for scored in scored_PG] == [prompt.id for prompt in prompts_P]


def test_the_held_out_prompts_are_classified_once_and_evaluated_in_every_round_and_never_sampled():
    fake = FakeStages()
    list(run_rounds(fake.stages(), TRAIN_P, HELDOUT_P, 2))
    assert fake.arguments("classify")[0] == (HELDOUT_P,)
    assert sum(arguments == (HELDOUT_P,) for arguments in fake.arguments("classify")) == 1
    assert [round for _, round in fake.arguments("evaluate")] == [0, 1, 2]
    assert all(prompts_P[0].fact_based and prompts_P[0].id == "held out" for prompts_P, _ in fake.arguments("evaluate"))
    assert all(prompt.id != "held out" for prompts_P, _ in fake.arguments("sample") for prompt in prompts_P)
