"""The learner's steps in the folder of a run: each once, whatever a resume does again."""

import json
import uuid

import pytest

from flame_ray.journal.step_log import PARTS, STEPS, StepLog, read_steps
from flame_ray.storage.filesystem import Storage
from tests.builders import make_step_report


@pytest.fixture(params=["disk", "object store"])
def storage(request, tmp_path) -> Storage:
    return Storage(tmp_path if request.param == "disk" else f"memory://{uuid.uuid4().hex}/run")


def places(storage: Storage) -> list[tuple[int, int, float]]:
    return [(line["round"], line["step"], line["loss"]) for line in read_steps(storage)]


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
    (name,) = storage.names()
    storage.write(name, storage.read(name) + b'{"round": 1, "st')
    assert [line["step"] for line in read_steps(storage)] == [1]
    StepLog(storage, metrics).add(1, make_step_report(2))
    assert [json.loads(line)["step"] for line in storage.read(name).splitlines()] == [1, 2]


def test_steps_are_appended_on_a_disk(tmp_path, metrics):
    log = StepLog(Storage(tmp_path), metrics)
    log.add(1, make_step_report(1))
    file = (tmp_path / STEPS).stat().st_ino
    log.add(1, make_step_report(2))
    assert (tmp_path / STEPS).stat().st_ino == file


class Bucket(Storage):
    """An object store that counts the bytes that are written to it."""

    written = 0

    def write(self, name: str, data: bytes) -> None:
        self.written += len(data)
        super().write(name, data)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket(f"memory://{uuid.uuid4().hex}/run")


def test_what_a_step_writes_to_an_object_store_does_not_grow_with_the_steps_before(bucket, metrics):
    log, written = StepLog(bucket, metrics), [0]
    for step in range(1, 1001):
        log.add(1, make_step_report(step))
        written.append(bucket.written)
    assert [step for _, step, _ in places(bucket)] == [*range(1, 1001)]
    assert written[1000] - written[900] < 1.1 * (written[200] - written[100])


def test_steps_that_are_done_again_leave_nothing_of_the_old_ones_in_an_object_store(bucket, metrics):
    log = StepLog(bucket, metrics)
    for step in range(1, 251):
        log.add(1, make_step_report(step, loss=0.5))
    again = StepLog(bucket, metrics)
    for step in (99, 100, 101):
        again.add(1, make_step_report(step, loss=0.25))
        assert places(bucket) == [(1, each, 0.25 if each >= 99 else 0.5) for each in range(1, step + 1)]


def test_the_steps_that_an_earlier_version_wrote_to_an_object_store_stay(bucket, metrics):
    bucket.write(STEPS, b'{"round": 1, "step": 1, "loss": 0.5}\n')
    StepLog(bucket, metrics).add(1, make_step_report(2, loss=0.25))
    assert places(bucket) == [(1, 1, 0.5), (1, 2, 0.25)] and not bucket.exists(STEPS) and len(bucket.names(PARTS)) == 1
