"""The other ways through the loop: bfloat16, a round sampled ahead, and each way for weights to travel."""

import json

import pytest

from tests.integration.chaos.harness import REPORTS, ChaosRun, assert_same_run

RELEASED = ("ray::RolloutActor", "ray::JudgeActor", "ray::FactualityActor")
pytestmark = pytest.mark.long


def test_a_run_that_samples_in_bfloat16_ends_well(chaos):
    chaos.settings = {"model.dtype": "bfloat16"}
    chaos.start()
    assert chaos.finish() == 0, chaos.printed
    assert chaos.printed.count("verified on every rollout worker") == 2


def test_with_staleness_one_a_round_is_sampled_while_the_last_one_trains(chaos):
    chaos.settings = {"pipeline.staleness": "1", "run.rounds": "2"}
    chaos.start()
    assert chaos.finish() == 0, chaos.printed
    spans = {(span["stage"], span["round"]): span for span in json.loads((chaos.folder / "timeline.json").read_text())}
    assert spans["sample", 2]["start"] < spans["train", 1]["end"]
    versions = {row["weight_version"] for row in chaos.table("0002/responses.parquet")}
    assert versions <= {0, 1}
    assert {row["weight_version"] for row in chaos.table("0002/heldout_responses.parquet")} == {2}


def test_weights_through_a_folder_make_the_same_run(chaos: ChaosRun, calm: ChaosRun):
    chaos.settings = {"weights.backend": "checkpoint", "run.save_merged": "true"}
    chaos.start()
    assert chaos.finish() == 0, chaos.printed
    assert_same_run(chaos, calm)


def test_an_adapter_that_is_swapped_in_place_is_what_the_next_round_samples_from(chaos: ChaosRun, calm: ChaosRun):
    """It is added, not merged, so a token may differ in a near tie; the canary of each push has bounded by how much."""
    chaos.settings = {"weights.backend": "lora"}
    chaos.start()
    assert chaos.finish() == 0, chaos.printed
    assert texts(chaos, 1) == texts(calm, 1), "before the first push there is nothing to add"
    assert {row["weight_version"] for row in chaos.table("0002/responses.parquet")} == {1}


def test_workers_that_are_released_while_the_learner_trains_come_back_and_do_what_they_would_have_done(chaos, calm):
    chaos.settings = {"pipeline.release_idle": "true"}
    chaos.start()
    chaos.wait_for(lambda: all(map(chaos.processes, RELEASED)), "a worker of each role")
    learner = chaos.catch("ray::LearnerActor.advance")
    chaos.wait_for(lambda: not any(map(chaos.processes, RELEASED)), "a training without them")
    learner.resume()
    assert chaos.finish() == 0, chaos.printed
    assert not [report for report in REPORTS.values() if chaos.reported(report)], "a release is no loss"
    assert_same_run(chaos, calm)


def texts(run: ChaosRun, round: int) -> list[str]:
    return [row["text"] for row in run.table(f"{round:04d}/responses.parquet")]
