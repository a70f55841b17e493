"""The learner's steps in the folder of a run: each once, whatever a resume does again."""

import json
import uuid

import pytest

from flame_ray.journal.step_log import STEPS, StepLog, read_steps
from flame_ray.storage.filesystem import Storage
from tests.builders import make_step_report


@pytest.fixture(params=["disk", "object store"])
def storage(request, tmp_path) -> Storage:
    return Storage(tmp_path if request.param == "disk" else f"memory://{uuid.uuid4().hex}/run")


def places(storage: Storage) -> list[tuple[int, int, float]]:
    lines = storage.read(STEPS).decode().splitlines()
    return [(line["round"], line["step"], line["loss"]) for line in map(json.loads, lines)]


def numbers(metrics) -> list[tuple[int, bool]]:
    return [(number, is_new) for _, number, _, is_new in metrics.steps]


def test_each_step_is_a_line_with_all_that_it_found(storage, metrics):
    log = StepLog(storage, metrics)
    log.add(1, make_step_report(1, margin=0.25))
    log.add(1, make_step_report(2, gradient_norm=None))
    log.add(2, make_step_report(1))
    first, second, third = read_steps(storage)
    assert first == {
        "round": 1,
        "step": 1,
        "loss": 0.5,
        "margin": 0.25,
        "learning_rate": 1e-3,
        "tokens": 10,
        "seconds": 2.0,
        "gradient_norm": 2.0,
    }
    assert second["gradient_norm"] is None and (third["round"], third["step"]) == (2, 1)
    assert numbers(metrics) == [(1, True), (2, True), (3, True)]


def test_a_number_that_json_does_not_have_is_null(storage, metrics):
    StepLog(storage, metrics).add(1, make_step_report(gradient_norm=float("inf")))
    assert read_steps(storage)[0]["gradient_norm"] is None


def test_a_resumed_run_goes_on_and_replaces_the_steps_that_it_does_again(storage, metrics, metrics_of_resumed):
    log = StepLog(storage, metrics)
    for step in (1, 2, 3):
        log.add(1, make_step_report(step, loss=0.1 * step))
    again = StepLog(storage, metrics_of_resumed)
    again.add(1, make_step_report(2, loss=0.5))
    assert places(storage) == [(1, 1, 0.1), (1, 2, 0.5)]
    again.add(1, make_step_report(3, loss=0.75))
    again.add(1, make_step_report(4, loss=1.0))
    assert places(storage) == [(1, 1, 0.1), (1, 2, 0.5), (1, 3, 0.75), (1, 4, 1.0)]
    assert numbers(metrics_of_resumed) == [(2, False), (3, False), (4, True)]


@pytest.fixture
def metrics_of_resumed(metrics):
    return type(metrics)()


def test_a_line_that_a_kill_cut_off_is_gone_with_the_next_step(storage, metrics):
    log = StepLog(storage, metrics)
    log.add(1, make_step_report(1))
    storage.write(STEPS, storage.read(STEPS) + b'{"round": 1, "st')
    assert [line["step"] for line in read_steps(storage)] == [1]
    StepLog(storage, metrics).add(1, make_step_report(2))
    assert [step for _, step, _ in places(storage)] == [1, 2]


def test_steps_are_appended_on_a_disk(tmp_path, metrics):
    log = StepLog(Storage(tmp_path), metrics)
    log.add(1, make_step_report(1))
    file = (tmp_path / STEPS).stat().st_ino
    log.add(1, make_step_report(2))
    assert (tmp_path / STEPS).stat().st_ino == file
