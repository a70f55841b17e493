"""How far a learner is, and which round it may resume."""

import json
from dataclasses import replace

import pytest

from flame_ray.errors import EngineError, StorageError
from flame_ray.learner.train_state import TRAIN_STATE, TrainState, read_train_state, write_train_state
from flame_ray.types import TrainingReport

TIMED = TrainState(2, 3, None, "digest", limit=9.5, seconds=0.1 + 0.2, reference_seconds=0.1)
INSIDE = TrainState(2, 3, 8, "digest", {"accuracy": 2.0, "loss": 1.0}, 4.0, 50, (0.5, 0.25))
ASKED = TrainState(2, 0, 8, "digest")
SECONDS = ("limit", "seconds", "reference_seconds")


def test_sums_of_steps_become_the_means_of_the_report():
    state = TrainState(1, 0, 2).after_step({"loss": 1.5, "margin": 0.5}, 4.0, tokens=30)
    state = state.after_step({"margin": 0.25, "loss": 0.5}, 1.0, tokens=12)
    assert (state.step, state.finished) == (2, True)
    expected = TrainingReport(2, 5, 42, loss=0.4, metrics={"margin": 0.15}, step_losses=(0.375, 0.5))
    assert state.with_report(examples=5).report == expected


@pytest.mark.parametrize("state", [TrainState(), INSIDE, TIMED, replace(INSIDE, step=8).with_report(examples=1)])
def test_a_state_is_read_as_it_was_written(tmp_path, state):
    state = replace(state, sums={**state.sums, "loss": 0.1 + 0.2})
    write_train_state(tmp_path, state)
    assert read_train_state(tmp_path) == state


def test_a_state_that_says_nothing_of_seconds_is_of_a_round_of_steps(tmp_path):
    write_train_state(tmp_path, INSIDE)
    tree = json.loads((tmp_path / TRAIN_STATE).read_text())
    (tmp_path / TRAIN_STATE).write_text(json.dumps({name: each for name, each in tree.items() if name not in SECONDS}))
    assert read_train_state(tmp_path) == INSIDE


def test_a_round_with_a_limit_ends_with_the_step_that_reaches_it():
    state = TrainState(1, 0, None, limit=3.0, seconds=1.0, reference_seconds=1.0).after_step({"loss": 1.0}, 1.0, 2, seconds=1.5)
    assert (state.passed, state.finished, state.steps) == (0.75, False, None)
    state = state.after_step({"loss": 1.0}, 1.0, 2, seconds=0.5)
    assert (state.finished, state.steps, state.with_report(examples=2).report.seconds) == (True, 2, 3.0)


def test_a_state_of_an_older_version_is_refused_by_its_folder(tmp_path):
    (tmp_path / "progress.json").write_text("{}")
    with pytest.raises(StorageError, match=f"none in {tmp_path}: an older version of flame-ray wrote it"):
        read_train_state(tmp_path)


def test_a_round_comes_after_the_start_and_after_a_finished_round():
    assert not TrainState().holds(ASKED, "here")
    assert not replace(INSIDE, round=1, step=8).holds(ASKED, "here")


@pytest.mark.parametrize("step", [1, 3, 8])
def test_a_round_is_held_by_a_state_that_is_inside_it_or_at_its_end(step):
    assert replace(INSIDE, step=step).holds(ASKED, "here")


@pytest.mark.parametrize(
    ("state", "asked"),
    [
        (INSIDE, replace(ASKED, digest="other")),
        (replace(INSIDE, step=8), replace(ASKED, digest="other")),
        (INSIDE, replace(ASKED, steps=4)),
        (INSIDE, replace(ASKED, round=3)),
        (INSIDE, replace(ASKED, round=1)),
        (replace(INSIDE, step=8), replace(ASKED, round=1)),
    ],
    ids=[
        "other examples",
        "other examples at the end",
        "other steps",
        "a later round",
        "an earlier round",
        "a round long ended",
    ],
)
def test_a_round_that_a_state_cannot_serve_is_refused_by_the_state_s_folder(state, asked):
    with pytest.raises(EngineError, match="/runs/a/state"):
        state.holds(asked, "/runs/a/state")
