"""The driver dies, in each stage in turn, and the run goes on from the last durable unit."""

import signal

import pytest

from tests.integration.chaos.harness import assert_same_run, flip_a_byte

pytestmark = pytest.mark.long


def test_a_driver_that_is_killed_in_every_stage_loses_nothing_and_repeats_nothing(chaos, calm):
    chaos.start()
    moments = {
        "evaluation before training": lambda: chaos.processes("ray::RolloutActor.generate"),
        "sampling": lambda: list(chaos.folder.glob("rounds/0001/sampled/*.json.gz")),
        "scoring": lambda: list(chaos.folder.glob("rounds/0001/scored/*.json.gz")),
        "a training step": lambda: list(chaos.folder.glob("checkpoints/round-0001/steps/*")),
        "the write of a checkpoint": lambda: list(chaos.folder.glob("checkpoints/round-0001/.state.part")),
        "sync or evaluation": lambda: list(chaos.folder.glob("checkpoints/round-0001/adapter")),
        "the next round": lambda: list(chaos.folder.glob("rounds/0002/sampled/*.json.gz")),
    }
    for moment, reached in moments.items():
        chaos.wait_for(reached, moment)
        chaos.kill_driver()
        assert chaos.folder.exists(), moment
        chaos.start(resume=True)
    assert chaos.finish() == 0, chaos.printed
    assert_same_run(chaos, calm)


def test_a_run_that_was_told_to_stop_refuses_a_damaged_state_and_a_full_disk_and_ends_as_if_undisturbed(chaos, calm):
    chaos.start()
    chaos.wait_for_file("rounds/0001/pairs.json.gz")
    chaos.wait_for(lambda: chaos.processes("ray::LearnerActor.advance"), "training")
    chaos.driver.send_signal(signal.SIGTERM)
    assert chaos.finish() == 75, chaos.printed
    assert "--resume broken" in chaos.printed
    assert chaos.summary["status"] == "interrupted"

    chaos.start(resume=True)
    chaos.wait_for_file("checkpoints/round-0001/state/manifest.json")
    state = next(chaos.folder.glob("checkpoints/round-0001/state/*.safetensors"))
    chaos.kill_driver()
    flip_a_byte(state)
    chaos.start(resume=True)
    assert chaos.finish() == 6, chaos.printed
    assert str(state) in chaos.printed

    flip_a_byte(state)
    full = chaos.folder / "rounds/0002/sampled/.000000.json.gz.part"
    full.parent.mkdir(parents=True, exist_ok=True)
    full.symlink_to("/dev/full")
    chaos.start(resume=True)
    assert chaos.finish() == 6, chaos.printed
    assert "free some space" in chaos.printed

    full.unlink(missing_ok=True)
    chaos.start(resume=True)
    assert chaos.finish() == 0, chaos.printed
    assert_same_run(chaos, calm)

    chaos.start(resume=True)
    assert chaos.finish() == 6, "a run that is complete must not end well a second time"
