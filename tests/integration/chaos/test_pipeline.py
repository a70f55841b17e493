"""The other ways through the loop: a round sampled ahead, and each way for weights to travel."""

import json

import pytest

from tests.integration.chaos.harness import ChaosRun

pytestmark = pytest.mark.long


def test_with_staleness_one_a_round_is_sampled_while_the_last_one_trains(chaos):
    chaos.settings = {"pipeline.staleness": "1", "run.rounds": "2"}
    chaos.start()
    assert chaos.finish() == 0, chaos.printed
    spans = {(span["stage"], span["round"]): span for span in json.loads((chaos.folder / "timeline.json").read_text())}
    assert spans["sample", 2]["start"] < spans["train", 1]["end"]
    versions = {row["weight_version"] for row in chaos.table("0002/responses.parquet")}
    assert versions <= {0, 1}
    assert {row["weight_version"] for row in chaos.table("0002/heldout_responses.parquet")} == {2}


@pytest.mark.parametrize("backend", ["lora", "checkpoint"])
def test_weights_by_another_way_make_the_same_pairs(chaos: ChaosRun, calm: ChaosRun, backend: str):
    """Round 2 is sampled from what round 1 pushed; adapters are added, not merged, so tokens may differ in a near tie."""
    chaos.settings = {"weights.backend": backend, "run.save_merged": "true"}
    chaos.start()
    assert chaos.finish() == 0, chaos.printed
    same = [
        mine["text"] == other["text"]
        for mine, other in zip(chaos.table("0002/responses.parquet"), calm.table("0002/responses.parquet"), strict=True)
    ]
    assert all(same) if backend == "checkpoint" else sum(same) > 0
    assert {row["weight_version"] for row in chaos.table("0002/responses.parquet")} == {1}
