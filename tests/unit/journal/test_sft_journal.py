"""A fine-tuning that ends anywhere, and another process that goes on with it."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from flame_ray.errors import Interrupted
from flame_ray.journal import shards
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.sft_journal import SftJournal
from flame_ray.report.progress import Screen
from flame_ray.sft import Mixture, SftStages, run_sft
from flame_ray.storage.filesystem import Storage
from flame_ray.types import SftTraining, ShownCounts
from tests.builders import make_demonstration, make_group, make_prompt, make_response, make_training_report

SEEDS = [make_demonstration(make_prompt(f"p{n}", f"Question {n}?"), f"answer {n}") for n in range(6)]
DONE = ["classify", *[f"elicit p{n}" for n in range(0, 6, 2)], "train", "save"]


class Work:
    """Stages that do a unit of work at a time, and die before the one that is named."""

    def __init__(self, dies_before=None, error=RuntimeError):
        self.done, self._dies_before, self._error = [], dies_before, error

    def stages(self):
        return SftStages(self.classify, self.elicit, self.train, self.save)

    def unit(self, name):
        if name == self._dies_before:
            raise self._error("told", "to", "end") if self._error is Interrupted else self._error("dead")
        self.done.append(name)

    def classify(self, prompts_P):
        self.unit("classify")
        return tuple(replace(prompt, fact_based=int(prompt.id[1:]) % 2 == 0) for prompt in prompts_P)

    def elicit(self, prompts_P, seeds_D):
        assert len(seeds_D) == len(SEEDS)
        self.shown(ShownCounts(len(prompts_P), 2 * len(prompts_P), 0, examples_left_out=len(prompts_P), passages_left_out=0))
        for prompt in prompts_P:
            self.unit(f"elicit {prompt.id}")
            yield make_group(make_response(f"own {prompt.id}", prompt=prompt.id), prompt=prompt)

    def train(self, demonstrations_D):
        self.unit("train")
        self.learned = [each.answer for each in demonstrations_D]
        return SftTraining(make_training_report(loss=0.5), {"seeds": 3, "elicited": 3}, {"seeds": 9, "elicited": 6}, too_long=1)

    def save(self):
        self.unit("save")
        return "runs/mine/model"


def process(tmp_path, metrics, work, trained=False):
    """One process of the run; returns its report."""
    run = RunFolder(Storage(tmp_path / "mine"))
    journal = SftJournal(run, "mine", Screen(Console(file=io.StringIO())), metrics, trained)
    work.shown = journal.note_shown
    with journal.recorded():
        report = run_sft(journal.wrap(work.stages()), SEEDS, Mixture("elicited", "human"))
    journal.complete(report, {"repeated": 2})
    return report


def summary(tmp_path):
    return json.loads((tmp_path / "mine" / "summary.json").read_text())


def test_the_summary_says_what_was_learned_and_how_the_loss_fell(tmp_path, metrics):
    process(tmp_path, metrics, Work())
    found = summary(tmp_path)
    assert (found["run_id"], found["status"], found["model"]) == ("mine", "complete", "runs/mine/model")
    assert found["seeds"] == {"instructions": 6, "fact_based": 3}
    shown = {"prompts": 3, "examples": 6, "passages": 0, "examples_left_out": 3, "passages_left_out": 0}
    assert found["elicited"] == {"instructions": 3, "answers": 3, "left_out": {}, "shown": shown}
    assert found["examples"] == {"by_source": {"seeds": 3, "elicited": 3}, "tokens_by_source": {"seeds": 9, "elicited": 6}}
    assert found["left_out"] == {"repeated": 2, "too long": 1}
    assert found["training"] == {"loss": 0.5, "steps": 4, "examples": 1, "tokens": 9, "loss_by_step": []}
    assert found["timings"].keys() == {"classify", "elicit", "train", "save"}


def test_the_gauges_count_each_answer_once_and_the_trackers_hear_how_it_ended(tmp_path, metrics, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_RECORDS", 1)
    with pytest.raises(RuntimeError):
        process(tmp_path, metrics, Work(dies_before="elicit p4"))
    process(tmp_path, metrics, Work())
    assert metrics.others == [("sampled", 0)] * 3 + [("round", 1)]
    (told,) = metrics.rounds
    assert (told["training"]["loss"], told["elicited"]["answers"]) == (0.5, 3)


@pytest.mark.parametrize("unit", DONE)
def test_a_process_that_goes_on_repeats_nothing_that_is_stored_and_learns_the_same(tmp_path, metrics, unit):
    whole = Work()
    expected = process(tmp_path / "whole", metrics, whole)
    first, second = Work(dies_before=unit), Work()
    with pytest.raises(RuntimeError):
        process(tmp_path, metrics, first)
    assert summary(tmp_path)["status"] == "failed" and "dead" in summary(tmp_path)["error"]
    report = process(tmp_path, metrics, second, trained="train" in first.done)
    lost = len([each for each in first.done if each.startswith("elicit")]) if unit.startswith("elicit") else 0
    assert len(first.done) + len(second.done) - lost == len(DONE)  # groups that wait for their shard are asked again
    assert report == expected
    if "train" in second.done:
        assert second.learned == whole.learned
    assert summary(tmp_path)["status"] == "complete"


def test_what_the_first_process_showed_stays_though_the_next_one_asks_with_fewer_prompts(tmp_path, metrics, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_RECORDS", 1)
    with pytest.raises(RuntimeError):
        process(tmp_path, metrics, Work(dies_before="elicit p4"))
    second = Work()
    process(tmp_path, metrics, second)
    assert second.done[0] == "elicit p4" and summary(tmp_path)["elicited"]["shown"]["prompts"] == 3


def test_a_process_that_died_before_it_stored_the_report_asks_the_learner_for_it(tmp_path, metrics):
    with pytest.raises(RuntimeError):
        process(tmp_path, metrics, Work(dies_before="train"))
    second = Work()
    process(tmp_path, metrics, second, trained=True)
    assert second.done == ["train", "save"]


def test_a_process_that_is_told_to_stop_says_so(tmp_path, metrics):
    with pytest.raises(Interrupted):
        process(tmp_path, metrics, Work(dies_before="train", error=Interrupted))
    assert summary(tmp_path)["status"] == "interrupted"
    spans = json.loads((tmp_path / "mine" / "timeline.json").read_text())
    assert [(span["stage"], span["ended"]) for span in spans] == [
        ("classify", "ok"),
        ("elicit", "ok"),
        ("train", "interrupted"),
    ]


def test_every_answer_that_is_learned_is_in_the_table(tmp_path, metrics):
    process(tmp_path, metrics, Work())
    rows = RunFolder(Storage(tmp_path / "mine")).read_table(
        "rounds/0001/demonstrations.parquet", ["prompt_id", "answer", "source", "fact_based"]
    )
    human = [{"prompt_id": f"p{n}", "answer": f"answer {n}", "source": "seeds", "fact_based": False} for n in (1, 3, 5)]
    own = [{"prompt_id": f"p{n}", "answer": f"own p{n}", "source": "elicited", "fact_based": True} for n in (0, 2, 4)]
    assert rows == human + own
