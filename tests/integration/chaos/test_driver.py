"""The driver dies, in each stage in turn, and the run goes on from the last durable unit."""

from collections.abc import Callable

import pytest

from flame_ray.storage.atomic import sha256_of
from tests.integration.chaos.faults import flip_a_byte
from tests.integration.chaos.harness import ChaosRun, assert_same_run

pytestmark = pytest.mark.long


def test_a_driver_that_is_killed_in_every_stage_loses_nothing_and_repeats_nothing(chaos, calm):
    chaos.start()
    die_in(chaos, "evaluate 0", lambda: chaos.processes("ray::RolloutActor.generate"))
    die_in(chaos, "sample 1", lambda: has(chaos, "rounds/0001/sampled/*.json.gz"))
    die_in(chaos, "score 1", lambda: has(chaos, "rounds/0001/scored/*.json.gz"))
    die_in(chaos, "train 1", lambda: has(chaos, "checkpoints/round-0001/steps/*"))

    half_written = "checkpoints/round-0001/.state.part"  # the learner stands still in the middle of the write
    chaos.catch("ray::LearnerActor.save_state", when=lambda: has(chaos, half_written))
    die_in(chaos, "train 1", lambda: has(chaos, half_written))

    die_in(chaos, "sync 1", lambda: True)
    die_in(chaos, "sample 2", lambda: has(chaos, "rounds/0002/sampled/*.json.gz"))
    assert chaos.finish() == 0, chaos.printed
    assert len(chaos.faults) == 8
    assert_same_run(chaos, calm)


def test_a_round_that_goes_on_inside_leaves_the_model_of_the_round_before_as_it_was(chaos, calm):
    """The learner's newest state is half a round ahead of the model that is saved and served."""
    chaos.start()
    chaos.wait_for_file("checkpoints/round-0002/steps/000001/manifest.json")
    adapter = chaos.folder / "checkpoints/round-0001/adapter/adapter_model.safetensors"
    before = sha256_of(adapter)
    die_in(chaos, "train 2", lambda: True)
    assert chaos.finish() == 0, chaos.printed
    assert sha256_of(adapter) == before
    assert_same_run(chaos, calm)


def die_in(chaos: ChaosRun, stage: str, reached: Callable[[], object]) -> None:
    """Kill the driver in this stage, and resume the run."""
    hit = chaos.kill_driver(stage, lambda: stage in chaos.under_way() and reached())
    assert stage in hit.under_way and chaos.folder.exists()
    chaos.start(resume=True)


def has(chaos: ChaosRun, pattern: str) -> bool:
    return any(chaos.folder.glob(pattern))


def test_a_run_that_was_told_to_stop_refuses_a_damaged_state_and_a_full_disk_and_ends_as_if_undisturbed(chaos, calm):
    chaos.start()
    chaos.tell_to_stop("training", lambda: "train 1" in chaos.under_way() and chaos.processes("ray::LearnerActor.advance"))
    assert chaos.finish() == 75, chaos.printed
    assert "--resume broken" in chaos.printed
    assert chaos.summary["status"] == "interrupted"
    assert chaos.spans("interrupted") == {"train 1"}

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
    assert "free some space" in chaos.printed and str(full.with_name("000000.json.gz")) in chaos.printed
    assert not full.is_symlink(), "whoever writes there removes it, also when the write fails"

    chaos.start(resume=True)
    assert chaos.finish() == 0, chaos.printed
    assert_same_run(chaos, calm)

    chaos.start(resume=True)
    assert chaos.finish() == 6, "a run that is complete must not end well a second time"
