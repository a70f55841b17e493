"""Workers die, are split, or slow: the run neither stops nor forgets nor repeats anything. (test_submit.py has the deaths of a
sampler and a checker in one round; test_soak.py kills the judge too.)
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.chaos.harness import assert_same_run

GENERATES = "ray::RolloutActor.generate"
pytestmark = pytest.mark.long


def test_a_run_outlives_a_process_of_an_engine_that_is_split_over_several(chaos):
    """Three ranks share the attention heads of SmolLM2; their sums round otherwise than one rank's, so texts are their own."""
    chaos.settings = {"rollout.tensor_parallel": "3", "run.rounds": "1"}
    chaos.start()
    chaos.wait_for_file("rounds/0001/prompts.json.gz")
    chaos.kill(GENERATES, part="VLLM::Worker")
    assert chaos.finish() == 0, chaos.printed
    prompts = [row["prompt_id"] for row in chaos.table("0001/prompts.parquet")]
    answers = [row["response_id"] for row in chaos.table("0001/responses.parquet")]
    assert sorted(answers) == sorted(f"1/{prompt}/{index}" for prompt in prompts for index in range(4))
    assert {row["weight_version"] for row in chaos.table("0001/heldout_responses.parquet")} == {1}


def test_a_run_outlives_a_death_in_each_kind_of_stage_and_ends_as_if_nothing_had_happened(chaos, calm):
    chaos.settings = {"factuality.cache": "false"}  # verdicts on disk would leave no work to be hit
    chaos.start()
    chaos.kill("ray::FactualityActor.score", when=lambda: "score 1" in chaos.under_way())
    chaos.kill("ray::LearnerActor.advance")
    chaos.wait_for_file("rounds/0002/prompts.json.gz")
    chaos.kill(GENERATES)  # its successor must get the weights of round 1 before it serves
    assert chaos.finish() == 0, chaos.printed
    assert_same_run(chaos, calm)


def test_a_sampler_that_dies_before_training_is_replaced_by_one_with_the_initial_weights(chaos, calm):
    chaos.start()
    chaos.kill(GENERATES)
    assert not list(chaos.folder.glob("checkpoints/*"))
    assert chaos.finish() == 0, chaos.printed
    assert_same_run(chaos, calm)


def test_a_worker_that_stands_still_for_most_of_its_time_only_takes_longer(chaos, calm):
    """The rollout worker stands still for 0.18 s, runs for some hundredths of a second, and so on."""
    chaos.start()
    fault = chaos.declare("a sampler that stands still")
    sampled, still_s = threading.Event(), 0.18

    def slow_down() -> float:
        """Gives the seconds in which the sampler generated or stood still."""
        at_work_s = 0.0
        while not sampled.is_set():
            looked = time.monotonic()
            if process := chaos.caught_at(GENERATES):
                fault.hit(process.pid, GENERATES)
                time.sleep(still_s)
                process.resume()
                time.sleep(0.02)
                at_work_s += time.monotonic() - looked
        return at_work_s

    with ThreadPoolExecutor() as threads:
        slowed = threads.submit(slow_down)
        try:
            chaos.wait_for_file("rounds/0001/pairs.json.gz")
        finally:
            sampled.set()
    assert chaos.finish() == 0, chaos.printed
    assert still_s * len(fault.hits) > slowed.result() / 2
    assert_same_run(chaos, calm)
