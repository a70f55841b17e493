"""The record of a run, kept around stages that do nothing."""

import io
import json
import time

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from flame_ray.config import Config, RunConfig
from flame_ray.errors import EngineError
from flame_ray.round import Stages, run_rounds
from flame_ray.runtime.journal import Journal
from flame_ray.runtime.progress import Screen
from flame_ray.runtime.run import _record
from flame_ray.runtime.rundir import RunDirectory
from flame_ray.types import (
    Evaluation,
    Fact,
    FactScore,
    HeldOut,
    Interval,
    JudgeScore,
    Pair,
    PairKind,
    PairSet,
    Prompt,
    Response,
    ResponseId,
    ScoredResponse,
    Split,
    TrainingReport,
    Verdict,
    VerdictLabel,
)

TRAIN_P = (Prompt("train", "question", label=True),)
HELDOUT_P = (Prompt("held out", "question"),)
INTERVAL = Interval(0.5, 0.25, 0.75, 4)
EVALUATION = Evaluation(*([INTERVAL] * 6), prompts=1, missing=0)
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
NAMES = ("draw", "classify", "sample", "score", "pair", "train", "sync", "save", "evaluate")


class FakeMetrics:
    """Notes what a gauge would show."""

    def __init__(self):
        self.stages: list[tuple[str, int, bool]] = []
        self.evaluations: list[Evaluation] = []

    def stage(self, name, round, running):
        self.stages.append((name, round, running))

    def evaluation(self, evaluation):
        self.evaluations.append(evaluation)


def answers(prompts_P, round: int, samples: int) -> list[Response]:
    ids = [ResponseId(round, prompt.id, index) for prompt in prompts_P for index in range(samples)]
    return [Response(id, f"answer {id}", (1,), (2, 3), (-0.1, -0.2), "stop", round) for id in ids]


def score(prompts_P, responses_PG) -> list[ScoredResponse]:
    verdict = Verdict(Fact("a fact", 0), VerdictLabel.SUPPORTED, 1.0, "passage")
    return [ScoredResponse(r, JudgeScore(r.id, float(r.id.index), (1.0,)), FactScore(r.id, (verdict,))) for r in responses_PG]


def pair(prompts_P, scored_PG) -> PairSet:
    rejected, chosen = (scored.response for scored in scored_PG)
    return PairSet((Pair(PairKind.INSTRUCTION, chosen, rejected, 1.0, 0.0),), {"factuality: tie": 1})


def evaluate(prompts_P, round) -> HeldOut:
    return HeldOut(tuple(score(prompts_P, answers(prompts_P, round, 1))), EVALUATION)


def stages(**other) -> Stages:
    plain = {
        "draw": lambda prompts_P, round: prompts_P,
        "classify": lambda prompts_P: tuple(Prompt(p.id, p.text, label=p.label, fact_based=True) for p in prompts_P),
        "sample": lambda prompts_P, round: answers(prompts_P, round, 2),
        "score": score,
        "pair": pair,
        "train": lambda pairs, round: TrainingReport(4, 0.625, 0.75, 0.1, 1, 9),
        "sync": lambda pairs, round: round,
        "save": lambda round: None,
        "evaluate": evaluate,
    }
    return Stages(**(plain | other))


class Recorded:
    """A journal with fakes around it, in a folder of its own."""

    def __init__(self, tmp_path):
        self.run = RunDirectory.create(tmp_path / "run", Config(), {})
        self.metrics, self.screen = FakeMetrics(), io.StringIO()
        console = Console(file=self.screen, width=200)
        self.journal = Journal(self.run, "mine", Screen(console), self.metrics)

    def summary(self) -> dict:
        return json.loads((self.run.path / "summary.json").read_text())

    def table(self, name: str) -> list[dict]:
        return pq.read_table(self.run.path / "rounds" / name).to_pylist()


@pytest.fixture
def recorded(tmp_path) -> Recorded:
    return Recorded(tmp_path)


def test_wrapped_stages_give_what_the_stages_give(recorded):
    plain = list(run_rounds(stages(), TRAIN_P, HELDOUT_P, 2))
    assert list(run_rounds(recorded.journal.wrap(stages()), TRAIN_P, HELDOUT_P, 2)) == plain


def test_the_summary_is_written_after_every_round(recorded):
    for report in run_rounds(recorded.journal.wrap(stages()), TRAIN_P, HELDOUT_P, 2):
        recorded.journal.report(report)
        summary = recorded.summary()
        assert (summary["run_id"], summary["status"]) == ("mine", "running")
        assert [entry["round"] for entry in summary["rounds"]] == list(range(report.round + 1))
    recorded.journal.write("complete")
    assert recorded.summary()["status"] == "complete"
    assert "error" not in recorded.summary()
    assert recorded.summary()["wall_seconds"] >= 0


def test_every_stage_of_a_round_is_timed_and_round_zero_only_has_its_own(recorded):
    for report in run_rounds(recorded.journal.wrap(stages()), TRAIN_P, HELDOUT_P, 1):
        recorded.journal.report(report)
    before, after = recorded.summary()["rounds"]
    assert set(before["timings"]) == {"classify", "evaluate"}
    assert set(after["timings"]) == set(NAMES)


def test_a_stages_time_is_its_own_and_adds_up_when_it_runs_twice(recorded):
    slow = recorded.journal.wrap(stages(classify=lambda prompts_P: time.sleep(0.06) or prompts_P))
    slow.draw(TRAIN_P, 1)
    slow.classify(TRAIN_P)
    slow.classify(TRAIN_P)
    report = next(run_rounds(stages(), TRAIN_P, HELDOUT_P, 0))
    recorded.journal.report(report)
    timings = recorded.summary()["rounds"][0]["timings"]
    assert timings["classify"] >= 0.12
    assert timings["draw"] < 0.06


def test_a_round_leaves_its_tables_and_a_line_of_metrics(recorded):
    for report in run_rounds(recorded.journal.wrap(stages()), TRAIN_P, HELDOUT_P, 1):
        recorded.journal.report(report)
    written = {str(path.relative_to(recorded.run.path / "rounds")) for path in recorded.run.path.glob("rounds/*/*")}
    heldout = {"heldout_responses.parquet", "heldout_facts.parquet", "prompts.parquet"}
    trained = heldout | {"responses.parquet", "facts.parquet", "pairs.parquet"}
    assert written == {f"0000/{name}" for name in heldout} | {f"0001/{name}" for name in trained}
    assert [row["prompt_id"] for row in recorded.table("0000/prompts.parquet")] == ["held out"]
    assert [row["prompt_id"] for row in recorded.table("0001/prompts.parquet")] == ["train"]
    assert [row["response_id"] for row in recorded.table("0001/responses.parquet")] == ["1/train/0", "1/train/1"]
    assert recorded.table("0001/pairs.parquet")[0]["chosen_id"] == "1/train/1"
    lines = [json.loads(line) for line in (recorded.run.path / "metrics.jsonl").read_text().splitlines()]
    assert lines == recorded.summary()["rounds"]


def test_the_gauges_show_each_stage_begin_and_end_and_each_evaluation(recorded):
    for report in run_rounds(recorded.journal.wrap(stages()), TRAIN_P, HELDOUT_P, 1):
        recorded.journal.report(report)
    assert recorded.metrics.stages[:4] == [
        ("classify", 0, True),
        ("classify", 0, False),
        ("evaluate", 0, True),
        ("evaluate", 0, False),
    ]
    assert [name for name, round, running in recorded.metrics.stages if round == 1 and running] == list(NAMES)
    assert recorded.metrics.evaluations == [EVALUATION, EVALUATION]


def test_each_stage_has_one_line_on_a_screen_that_is_no_terminal(recorded):
    for report in run_rounds(recorded.journal.wrap(stages()), TRAIN_P, HELDOUT_P, 1):
        recorded.journal.report(report)
    lines = recorded.screen.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["classify", "evaluate", *NAMES]
    assert "1 of 1 prompts need facts; agrees with 1 of 1 labels (100.0%)" in lines[3]
    assert "2 responses, 4 tokens" in lines[4]
    assert "1 pairs; dropped: 1 factuality: tie" in lines[6]


def fail(error: BaseException):
    def stage(*_):
        raise error

    return stage


def test_a_stage_that_fails_raises_its_own_error_and_the_rounds_before_it_are_kept(recorded):
    broken = stages(train=fail(EngineError("a learner", "none", "start one")))
    with pytest.raises(EngineError, match="a learner"):
        for report in run_rounds(recorded.journal.wrap(broken), TRAIN_P, HELDOUT_P, 2):
            recorded.journal.report(report)
    assert [entry["round"] for entry in recorded.summary()["rounds"]] == [0]
    assert recorded.table("0001/pairs.parquet")


def test_a_stage_that_fails_gives_the_terminal_back_and_is_no_longer_shown_as_running(recorded):
    terminal = io.StringIO()
    journal = Journal(recorded.run, "mine", Screen(Console(file=terminal, force_terminal=True)), recorded.metrics)
    with pytest.raises(EngineError):
        journal.wrap(stages(train=fail(EngineError("a learner", "none", "start one")))).train(None, 1)
    written = terminal.getvalue()
    assert -1 < written.rfind(HIDE_CURSOR) < written.rfind(SHOW_CURSOR)
    assert recorded.metrics.stages == [("train", 0, True), ("train", 0, False)]


ONE_ROUND = Config(run=RunConfig(rounds=1))
PROMPTS = (*TRAIN_P, Prompt("held out", "question", split=Split.HELDOUT))


def test_a_run_that_ends_is_recorded_as_complete_with_all_its_rounds(recorded):
    reports = _record(recorded.journal, ONE_ROUND, recorded.journal.wrap(stages()), PROMPTS)
    assert [report.round for report in reports] == [0, 1]
    assert recorded.summary()["status"] == "complete"
    assert [entry["round"] for entry in recorded.summary()["rounds"]] == [0, 1]
    assert [row["prompt_id"] for row in recorded.table("0000/prompts.parquet")] == ["held out"]
    assert [row["prompt_id"] for row in recorded.table("0001/prompts.parquet")] == ["train"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (EngineError("a learner", "none", "start one"), "EngineError: expected a learner; found none. To fix: start one."),
        (KeyError("a bug"), "KeyError: 'a bug'"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
    ],
    ids=["expected", "bug", "ctrl-c"],
)
def test_a_run_that_fails_is_recorded_as_failed_with_its_error_and_the_error_goes_on(recorded, error, told):
    with pytest.raises(type(error)):
        _record(recorded.journal, ONE_ROUND, recorded.journal.wrap(stages(train=fail(error))), PROMPTS)
    summary = recorded.summary()
    assert (summary["status"], summary["error"]) == ("failed", told)
    assert [entry["round"] for entry in summary["rounds"]] == [0]
