"""The record of a run, kept around stages that do nothing; what it gives back to a later process is in test_resume.py."""

import gc
import io
import json
import logging
import uuid
from collections import deque
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from flame_ray.commands.run import _record
from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.errors import EngineError, Interrupted
from flame_ray.journal import journal as journal_module
from flame_ray.journal.journal import Journal, _paired
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.shards import SHARD_RECORDS, Shards
from flame_ray.journal.step_log import read_steps
from flame_ray.report.progress import Screen
from flame_ray.round import run_rounds
from flame_ray.storage.filesystem import Storage
from flame_ray.types import FACTUALITY, Group, Prompt, Score, Split, Synced, VerdictLabel
from tests.builders import (
    make_fact_score,
    make_graded,
    make_pair_set,
    make_response,
    make_scored,
    make_scored_group,
    make_step_report,
)
from tests.doubles import FakeClock, SeenScreen

TRAIN_P = (Prompt("train", "question", label=True),)
HELDOUT_P = (Prompt("held out", "question", split=Split.HELDOUT),)
PROMPTS = (*TRAIN_P, *HELDOUT_P)
ONE_ROUND: Config = parse_config({"run": {"rounds": 1}}, "here")
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
ENDS = ["classify", "sample", "score", "pair", "train", "save", "sync", "evaluate"]  # of the stages of a round, in order


class Recorded:
    """A journal with fakes around it, in a folder of its own."""

    def __init__(self, metrics):
        self.metrics, self.screen, self.clock = metrics, io.StringIO(), FakeClock()
        self.storage = Storage(f"memory://{uuid.uuid4().hex}/run")
        self.run = RunFolder(self.storage)
        self.journal = self.journal_on(Console(file=self.screen, width=200))

    def journal_on(self, console: Console) -> Journal:
        return Journal(self.run, "mine", Screen(console, self.clock.now), self.metrics)

    def summary(self) -> dict:
        return json.loads(self.storage.read("summary.json"))

    def table(self, name: str) -> list[dict]:
        return pq.read_table(io.BytesIO(self.storage.read(f"rounds/{name}"))).to_pylist()


@pytest.fixture
def recorded(metrics) -> Recorded:
    return Recorded(metrics)


@pytest.fixture
def stages(fake_stages):
    return fake_stages().stages()


@pytest.fixture
def finished(recorded, stages) -> Recorded:
    """A run of one round."""
    _record(recorded.journal, ONE_ROUND, recorded.journal.wrap(stages), PROMPTS)
    return recorded


def failing(error: BaseException):
    def stage(*_):
        raise error

    return stage


def test_judgements_that_cannot_be_read_are_counted_on_the_screen_and_told_when_they_are_many(recorded, fake_stages, caplog):
    fake = fake_stages()

    def score(groups_P, round):
        for group in fake.score(groups_P, round):
            scored_G = [
                replace(each, rewards={**each.rewards, "instruction": Score(each.response.id, 3.0, (3.0,) * 9, unread=1)})
                for each in group.scored_G
            ]
            yield replace(group, scored_G=tuple(scored_G))

    with caplog.at_level(logging.WARNING):
        _record(recorded.journal, ONE_ROUND, recorded.journal.wrap(fake.stages(score=score)), PROMPTS)
    assert "2 judged, 2 checked for facts, 2 unread judgements" in recorded.screen.getvalue()
    assert [message.partition(";")[0] for message in caplog.messages] == [
        "round 1: no score could be read in 2 of 20 judgements (10.0 %, more than 5 %)"
    ]


def test_facts_on_which_the_checker_fails_are_counted_on_the_screen_and_told_when_they_are_many(recorded, fake_stages, caplog):
    fake = fake_stages()
    facts = make_fact_score(VerdictLabel.SUPPORTED, VerdictLabel.ERROR)

    def score(groups_P, round):
        for group in fake.score(groups_P, round):
            scored_G = [replace(each, rewards={**each.rewards, FACTUALITY: facts}) for each in group.scored_G]
            yield replace(group, scored_G=tuple(scored_G))

    with caplog.at_level(logging.WARNING):
        _record(recorded.journal, ONE_ROUND, recorded.journal.wrap(fake.stages(score=score)), PROMPTS)
    assert "2 judged, 2 checked for facts, 2 failed facts" in recorded.screen.getvalue()
    assert [message.partition(";")[0] for message in caplog.messages] == [
        "round 1: the checker failed on 2 of 4 facts (50.0 %, more than 5 %)"
    ]


def test_a_resumed_round_tells_of_all_its_failures_and_shows_the_mean_of_all_its_rewards(recorded, fake_stages, caplog):
    def group(name: str, *facts: VerdictLabel):
        return make_scored_group(make_scored(make_response(prompt=name), facts=facts))

    earlier = [group(f"p{place}", *[VerdictLabel.SUPPORTED] * 10) for place in range(10)]
    deque(Shards(recorded.storage).store(1, "scored", earlier), maxlen=0)
    wrapped = recorded.journal.wrap(fake_stages().stages(score=lambda groups_P, round: [group("new", VerdictLabel.ERROR)]))
    with caplog.at_level(logging.WARNING):
        assert len(list(wrapped.score([], 1))) == 11
    assert caplog.messages == [], "one of 101 facts is not many"
    assert [name for name, _ in recorded.metrics.others].count("scored") == 11


def test_wrapped_stages_give_what_the_stages_give(recorded, stages):
    plain = list(run_rounds(stages, TRAIN_P, HELDOUT_P, 2))
    assert list(run_rounds(recorded.journal.wrap(stages), TRAIN_P, HELDOUT_P, 2)) == plain


def test_the_summary_says_what_was_left_out_of_the_prompts_from_the_first_round_to_the_last(recorded, stages):
    recorded.journal.left_out = {"system message": 2}
    for report in run_rounds(recorded.journal.wrap(stages), TRAIN_P, HELDOUT_P, 1):
        recorded.journal.report(report)
        assert recorded.summary()["left_out"] == {"system message": 2}
    recorded.journal.write("complete")
    assert recorded.summary()["left_out"] == {"system message": 2}


def test_the_summary_is_written_after_every_round(recorded, stages):
    for report in run_rounds(recorded.journal.wrap(stages), TRAIN_P, HELDOUT_P, 2):
        recorded.journal.report(report)
        summary = recorded.summary()
        assert (summary["run_id"], summary["status"]) == ("mine", "running")
        assert [entry["round"] for entry in summary["rounds"]] == list(range(report.round + 1))
        lines = [json.loads(line) for line in recorded.storage.read("metrics.jsonl").splitlines()]
        assert lines == summary["rounds"]


def test_a_run_that_ends_is_recorded_as_complete_with_all_its_rounds(finished):
    summary = finished.summary()
    assert summary["status"] == "complete" and "error" not in summary
    assert [entry["round"] for entry in summary["rounds"]] == [0, 1]
    assert [entry["evaluation"]["factual_precision"] for entry in summary["rounds"]] == [0.0, 0.125]
    assert summary["wall_seconds"] >= 0


def test_every_stage_of_a_round_is_timed_and_round_zero_only_has_its_own(finished):
    before, after = finished.summary()["rounds"]
    assert list(before["timings"]) == ["classify", "evaluate"]
    assert list(after["timings"]) == ENDS


def test_a_stage_that_waits_for_what_it_is_given_is_not_timed_while_nothing_has_come_of_it(recorded, fake_stages):
    fake = fake_stages()

    def sample(prompts_P, round):
        recorded.clock.sleep(20)
        yield from fake.sample(prompts_P, round)

    _record(recorded.journal, ONE_ROUND, recorded.journal.wrap(fake.stages(sample=sample)), PROMPTS)
    timings = recorded.summary()["rounds"][1]["timings"]
    assert (timings["sample"], timings["score"], timings["pair"]) == (20, 0, 0)
    spans = {span["stage"]: span for span in json.loads(recorded.storage.read("timeline.json")) if span["round"] == 1}
    assert spans["score"]["start"] == spans["pair"]["start"] == spans["sample"]["start"] + 20


def test_a_round_leaves_its_tables_and_its_durable_units_and_no_part_of_a_stream(finished):
    written = {name.removeprefix("rounds/") for name in finished.storage.names("rounds")}
    audits = ("responses", "sentences", "facts", "evidence")
    heldout = {"heldout.json.gz"} | {f"heldout_{name}.parquet" for name in audits}
    before = heldout | {"heldout_prompts.parquet", "heldout_prompts.json.gz"}
    tables = {f"{name}.parquet" for name in ("prompts", *audits, "pairs")}
    after = heldout | tables | {f"{name}.json.gz" for name in ("prompts", "pairs", "training")} | {"pairs/000000.json.gz"}
    assert written == {f"0000/{name}" for name in before} | {f"0001/{name}" for name in after}


def test_the_tables_hold_what_the_stages_gave(finished):
    assert [row["prompt_id"] for row in finished.table("0000/heldout_prompts.parquet")] == ["held out"]
    assert [row["prompt_id"] for row in finished.table("0001/prompts.parquet")] == ["train"]
    assert [row["response_id"] for row in finished.table("0001/responses.parquet")] == ["1/train/0", "1/train/1"]
    assert [row["response_id"] for row in finished.table("0001/heldout_responses.parquet")] == ["1/held out/0"]
    assert finished.table("0001/pairs.parquet")[0]["chosen_id"] == "1/train/1"


def test_the_table_of_responses_is_in_the_order_of_the_prompts_ids_whoever_was_done_first(recorded, fake_stages):
    train_P = tuple(Prompt(name, "?") for name in ("c", "a", "b"))
    journal = recorded.journal
    _record(journal, ONE_ROUND, journal.wrap(fake_stages().stages()), (*train_P, *HELDOUT_P))
    assert [row["prompt_id"] for row in recorded.table("0001/responses.parquet")] == ["a", "a", "b", "b", "c", "c"]


def test_the_tables_of_a_round_of_many_prompts_have_row_groups_and_each_row_once(recorded, fake_stages, monkeypatch):
    monkeypatch.setattr(journal_module, "BATCH", 2)
    train_P = tuple(Prompt(name, "?") for name in "ecabd")
    _record(recorded.journal, ONE_ROUND, recorded.journal.wrap(fake_stages().stages()), (*train_P, *HELDOUT_P))
    assert [row["prompt_id"] for row in recorded.table("0001/evidence.parquet")] == list("abcde")
    assert [row["response_id"] for row in recorded.table("0001/facts.parquet")] == [
        f"1/{p}/{i}" for p in "abcde" for i in (0, 1)
    ]
    assert [row["prompt_id"] for row in recorded.table("0001/pairs.parquet")] == list("abcde")
    data = io.BytesIO(recorded.storage.read("rounds/0001/responses.parquet"))
    assert pq.ParquetFile(data).num_row_groups == 3


@pytest.mark.parametrize("stream", [True, False])
def test_where_samplers_and_judge_would_slow_each_other_all_is_sampled_before_anything_is_scored(recorded, fake_stages, stream):
    """And the samples wait in their shards, not in memory."""
    done: list[str] = []
    train_P = tuple(Prompt(f"{number:03}", "?") for number in range(5 * SHARD_RECORDS))
    stages = fake_stages(done.append)
    in_memory: list[int] = []

    def score(groups_P, round):
        for group in stages.score(groups_P, round):
            if not in_memory:
                in_memory.append(sum(type(each) is Group for each in gc.get_objects()))
            yield group

    wrapped = recorded.journal.wrap(stages.stages(score=score), stream)
    wrapped.pair(wrapped.score(wrapped.sample(train_P, 1), 1), 1)
    kinds = [unit.split()[0] for unit in done]
    assert (kinds.index("score") == len(train_P)) is not stream
    assert in_memory[0] <= 2 * SHARD_RECORDS


def test_the_gauges_show_each_stage_begin_and_end_and_each_evaluation(finished):
    shown = finished.metrics.stages
    assert [name for name, round, running in shown if round == 1 and not running] == ENDS
    assert sorted(each for *each, running in shown if running) == sorted(each for *each, running in shown if not running)
    assert shown[:2] == [("classify", 0, True), ("classify", 0, False)]
    assert [evaluation.factual_precision.mean for evaluation in finished.metrics.evaluations] == [0.0, 0.125]


def test_what_each_stage_found_is_told_to_the_gauges_and_each_round_to_the_trackers(finished):
    told = finished.metrics.others
    assert [name for name, _ in told] == ["round", "sampled", "scored", "paired", "synced", "round"]
    found = dict(told[1:])
    assert (found["sampled"], found["scored"], found["round"]) == (0, "train", 1)
    assert (found["paired"].dropped, found["synced"]) == ({"factuality: tie": 1}, Synced(1, "slope 1.00"))


def test_a_resumed_run_tells_the_trackers_of_no_round_twice(recorded, fake_stages):
    stages = fake_stages()
    two_rounds: Config = parse_config({"run": {"rounds": 2}}, "here")
    _record(recorded.journal, ONE_ROUND, recorded.journal.wrap(stages.stages()), PROMPTS)
    again = Journal(recorded.run, "mine", Screen(Console(file=io.StringIO())), recorded.metrics, trained=1)
    _record(again, two_rounds, again.wrap(stages.stages()), PROMPTS)
    assert [round for name, round in recorded.metrics.others if name == "round"] == [0, 1, 2]


def test_a_step_of_the_learner_is_a_line_in_the_folder_of_the_run(recorded):
    recorded.journal.stepped(1, make_step_report(1, loss=0.25))
    assert [line["loss"] for line in read_steps(recorded.storage)] == [0.25]
    assert recorded.metrics.steps == [(1, 1, make_step_report(1, loss=0.25), True)]


def test_each_stage_has_one_line_on_a_screen_that_is_no_terminal(finished):
    lines = finished.screen.getvalue().splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["round", round, name] for round, names in (("0", ["classify", "evaluate"]), ("1", ENDS)) for name in names
    ]
    assert "1 of 1 prompts need facts; agrees with 1 of 1 labels (100.0% [20.7, 100.0])" in lines[2]
    assert "2 responses, 4 tokens" in lines[3]
    assert "2 judged, 2 checked for facts" in lines[4]
    assert "1 pairs; 0 of 2 responses truncated (0.0%); dropped: 1 factuality: tie" in lines[5]
    assert "4 steps, loss 0.500, accuracy 0.75" in lines[6]
    assert "checkpoints/round-0001" in lines[7]
    assert "version 1, verified on every rollout worker: slope 1.00" in lines[8]


def test_a_bar_runs_while_each_table_is_written_also_after_its_stage(metrics, fake_stages):
    screen, seen = SeenScreen(), {}

    class Watched(RunFolder):
        def table(self, name, columns):
            seen[name.rpartition("/")[2]] = list(screen.labels)
            return super().table(name, columns)

    run = Watched(Storage(f"memory://{uuid.uuid4().hex}/run"))
    journal = Journal(run, "mine", screen, metrics)
    _record(journal, ONE_ROUND, journal.wrap(fake_stages().stages()), PROMPTS)
    assert {"prompts.parquet", "responses.parquet", "pairs.parquet", "heldout_responses.parquet"} <= seen.keys()
    assert all(any(label.endswith(" write") for label in labels) for labels in seen.values())
    assert screen.labels == []


@pytest.mark.parametrize("stream", [True, False])
def test_while_a_round_samples_the_reminder_names_the_sampling_and_not_what_waits_for_it(stream, metrics, fake_stages):
    screen, fake, seen = SeenScreen(), fake_stages(), {}

    def sample(prompts_P, round):
        seen["sample"] = screen.reminders
        yield from fake.sample(prompts_P, round)

    def score(groups_P, round):
        for group in list(groups_P):
            seen["score"] = screen.reminders
            yield from fake.score([group], round)

    journal = Journal(RunFolder(Storage(f"memory://{uuid.uuid4().hex}/run")), "mine", screen, metrics)
    _record(journal, ONE_ROUND, journal.wrap(fake.stages(sample=sample, score=score), stream), PROMPTS)
    assert seen["sample"] == [("round 1 sample", 0, "")]
    assert seen["score"] == [("round 1 score", 0, "1 sampled")]


def test_the_line_of_a_round_says_whether_pairs_or_responses_are_learned():
    made = make_pair_set(graded=[make_graded(kind="instruction", advantage=None)], dropped={"factuality: tie": 2}, truncated=1)
    assert _paired(made) == "1 responses; 1 of 2 responses truncated (50.0%); dropped: 2 factuality: tie"


def test_groups_from_older_weights_are_counted_on_the_line_of_their_round(recorded, fake_stages):
    fake = fake_stages()

    def sample(prompts_P, round):
        for group in fake.sample(prompts_P, round):
            behind = [replace(response, weight_version=max(0, round - 2)) for response in group.responses_G]
            yield replace(group, responses_G=tuple(behind))

    two_rounds: Config = parse_config({"run": {"rounds": 2}}, "here")
    _record(recorded.journal, two_rounds, recorded.journal.wrap(fake.stages(sample=sample)), PROMPTS)
    first, second = [line for line in recorded.screen.getvalue().splitlines() if " sample " in line]
    assert "stale" not in first and "2 responses, 4 tokens, 1 stale groups" in second


def test_a_stage_that_fails_gives_the_terminal_back_and_is_no_longer_shown_as_running(recorded, fake_stages):
    terminal = io.StringIO()
    journal = recorded.journal_on(Console(file=terminal, force_terminal=True))
    broken = fake_stages().stages(train=failing(EngineError("a learner", "none", "start one")))
    with pytest.raises(EngineError):
        journal.wrap(broken).train(None, 1)
    written = terminal.getvalue()
    assert -1 < written.rfind(HIDE_CURSOR) < written.rfind(SHOW_CURSOR)
    assert recorded.metrics.stages == [("train", 1, True), ("train", 1, False)]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (
            EngineError("a learner", "none", "start one"),
            "failed",
            "EngineError: expected a learner; found none. To fix: start one.",
        ),
        (KeyError("a bug"), "failed", "KeyError: 'a bug'"),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt: "),
        (
            Interrupted("a run that ends by itself", "SIGTERM", "go on with --resume mine"),
            "interrupted",
            "expected a run that ends by itself; found SIGTERM. To fix: go on with --resume mine.",
        ),
    ],
    ids=["expected", "bug", "ctrl-c", "interrupted"],
)
def test_a_run_that_does_not_end_is_recorded_with_its_error_and_its_rounds_and_the_error_goes_on(
    recorded, fake_stages, error, status, told
):
    broken = fake_stages().stages(train=failing(error))
    with pytest.raises(type(error)):
        _record(recorded.journal, ONE_ROUND, recorded.journal.wrap(broken), PROMPTS)
    summary = recorded.summary()
    assert (summary["status"], summary["error"]) == (status, told)
    assert [entry["round"] for entry in summary["rounds"]] == [0]
    assert recorded.table("0001/pairs.parquet")


def test_a_sample_that_fails_on_its_way_through_the_streams_raises_its_own_error(recorded, fake_stages):
    def sample(prompts_P, round):
        yield from fake_stages().sample(prompts_P, round)
        raise EngineError("a sampler", "none", "start one")

    with pytest.raises(EngineError, match="a sampler"):
        _record(recorded.journal, ONE_ROUND, recorded.journal.wrap(fake_stages().stages(sample=sample)), PROMPTS)
    running = [(name, round) for name, round, running in recorded.metrics.stages if running]
    ended = [(name, round) for name, round, running in recorded.metrics.stages if not running]
    assert sorted(running) == sorted(ended)
