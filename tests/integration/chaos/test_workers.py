"""Workers are split, slow, or both: the run neither stops nor forgets nor repeats anything. Deaths: test_submit.py."""

import signal
import threading
import time
from contextlib import suppress

import psutil
import pytest

from tests.integration.chaos.harness import assert_same_run

pytestmark = pytest.mark.long


def test_a_run_outlives_a_process_of_an_engine_that_is_split_over_several(chaos):
    """Three ranks share the attention heads of SmolLM2; their sums round otherwise than one rank's, so texts are their own."""
    chaos.settings = {"rollout.tensor_parallel": "3", "run.rounds": "1"}
    chaos.start()
    chaos.wait_for_file("rounds/0001/prompts.json.gz")
    chaos.wait_for(lambda: chaos.processes("ray::RolloutActor.generate"), "sampling")
    chaos.kill("VLLM::Worker")
    assert chaos.finish() == 0, chaos.printed
    assert "rollout-0 is lost and is replaced" in chaos.printed
    prompts = [row["prompt_id"] for row in chaos.table("0001/prompts.parquet")]
    answers = [row["response_id"] for row in chaos.table("0001/responses.parquet")]
    assert sorted(answers) == sorted(f"1/{prompt}/{index}" for prompt in prompts for index in range(4))
    assert {row["weight_version"] for row in chaos.table("0001/heldout_responses.parquet")} == {1}


def test_a_sampler_that_dies_before_training_is_replaced_by_one_with_the_initial_weights(chaos, calm):
    chaos.start()
    chaos.kill("ray::RolloutActor.generate")
    assert chaos.finish() == 0, chaos.printed
    assert "rollout-0 is lost and is replaced" in chaos.printed
    assert_same_run(chaos, calm)


def test_a_worker_that_is_ten_times_slower_only_takes_longer(chaos, calm):
    """The rollout worker stands still for nine tenths of every 0.2 s."""
    chaos.start()
    stop = threading.Event()

    def slow_down():
        while not stop.is_set():
            for process in chaos.processes("ray::RolloutActor.generate"):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGSTOP)
                    time.sleep(0.18)
                    process.send_signal(signal.SIGCONT)
            time.sleep(0.02)

    thread = threading.Thread(target=slow_down, daemon=True)
    thread.start()
    chaos.wait_for_file("rounds/0001/pairs.json.gz")
    stop.set()
    thread.join()
    assert chaos.finish() == 0, chaos.printed
    assert_same_run(chaos, calm)
