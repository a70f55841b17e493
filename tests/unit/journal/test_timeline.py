"""When each stage ran, over all processes of a run."""

import io
import json
import threading
import uuid

import pytest
from rich.console import Console

from flame_ray.errors import EngineError, Interrupted, StorageError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.timeline import Timeline
from flame_ray.report.progress import Screen
from flame_ray.storage.filesystem import Storage
from tests.doubles import FakeClock

PATIENCE_S = 30.0


@pytest.fixture
def run() -> RunFolder:
    return RunFolder(Storage(f"memory://{uuid.uuid4().hex}/run"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def process(run, metrics, clock):
    """Makes the timeline of one more process of the run."""
    return lambda: Timeline(run, Screen(Console(file=io.StringIO()), clock.now), metrics)


def spans(run: RunFolder) -> list[dict]:
    return json.loads(run.storage.read("timeline.json"))


def test_a_stage_leaves_a_span_of_its_own_length(run, process, clock):
    timeline = process()
    clock.sleep(5)
    with timeline.stage("sample", 1):
        clock.sleep(10)
    assert spans(run) == [{"stage": "sample", "round": 1, "start": 5.0, "end": 15.0, "ended": "ok"}]
    assert timeline.wall_seconds() == 15


def test_stages_may_overlap_and_each_has_its_own_time(run, process, clock):
    timeline = process()
    sampling, trained = threading.Event(), threading.Event()

    def sample() -> None:
        with timeline.stage("sample", 2):
            sampling.set()
            assert trained.wait(PATIENCE_S)

    other = threading.Thread(target=sample)
    other.start()
    assert sampling.wait(PATIENCE_S)
    clock.sleep(1)
    with timeline.stage("train", 1):
        clock.sleep(4)
    trained.set()
    other.join()
    assert [(span["stage"], span["start"], span["end"]) for span in spans(run)] == [("train", 1, 5), ("sample", 0, 5)]
    assert (timeline.seconds(1), timeline.seconds(2)) == ({"train": 4}, {"sample": 5})


def test_the_seconds_of_a_round_are_added_up_by_stage_in_the_order_of_their_ends(process, clock):
    timeline = process()
    for name, seconds in (("classify", 3), ("sample", 2), ("classify", 3)):
        with timeline.stage(name, 1):
            clock.sleep(seconds)
    with timeline.stage("evaluate", 0):
        pass
    found = timeline.seconds(1)
    assert list(found.items()) == [("classify", 6), ("sample", 2)]
    assert list(timeline.seconds(0)) == ["evaluate"]
    assert timeline.seconds(7) == {}


def test_a_stage_within_a_stage_counts_in_both(process, clock):
    timeline = process()
    with timeline.stage("pair", 1), timeline.stage("sample", 1):
        clock.sleep(5)
    assert list(timeline.seconds(1).items()) == [("sample", 5), ("pair", 5)]


def test_what_earlier_processes_took_is_added(run, process, clock):
    run.write_json("timeline.json", [{"stage": "sample", "round": 1, "start": 10.0, "end": 40.0}])
    run.write_json("summary.json", {"wall_seconds": 100.0})
    timeline = process()
    assert timeline.wall_seconds() == 100
    with timeline.stage("sample", 1):
        clock.sleep(5)
    assert [(span["start"], span["end"]) for span in spans(run)] == [(10, 40), (100, 105)]
    assert timeline.seconds(1) == {"sample": 35}


def test_a_process_that_was_killed_before_it_wrote_a_summary_took_as_long_as_its_last_span_says(run, process):
    run.write_json("timeline.json", [{"stage": "sample", "round": 1, "start": 10.0, "end": 40.0}])
    timeline = process()
    assert timeline.wall_seconds() == 40
    run.write_json("summary.json", {"wall_seconds": 9.0})
    assert process().wall_seconds() == 40


def test_a_stage_that_had_to_wait_for_another_one_begins_when_it_says(run, process, clock):
    timeline = process()
    with timeline.stage("score", 1) as stage:
        clock.sleep(10)
        stage.restart()
        clock.sleep(2)
    (span,) = spans(run)
    assert (span["start"], span["end"], stage.bar.seconds) == (10, 12, 2)


def ends(run: RunFolder) -> list[tuple[str, str]]:
    return [(span["stage"], span["ended"]) for span in spans(run)]


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (KeyError("a bug"), "failed"),
        (EngineError("an answer", "none", "look"), "failed"),
        (Interrupted("an end", "SIGTERM", "go on"), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_stage_leaves_a_span_that_says_how_it_ended_and_is_no_longer_running(run, process, metrics, clock, error, ended):
    timeline = process()
    with pytest.raises(type(error)), timeline.stage("train", 1):
        clock.sleep(5)
        raise error
    assert ends(run) == [("train", ended)]
    assert spans(run)[0]["end"] - spans(run)[0]["start"] == 5
    assert metrics.stages == [("train", 1, True), ("train", 1, False)]
    with timeline.stage("train", 1):
        pass
    assert ends(run) == [("train", ended), ("train", "ok")]


def test_a_stage_that_a_kill_ended_is_found_by_the_next_process(run, process, clock):
    timeline = process()
    with timeline.stage("classify", 1):
        pass
    killed = timeline.stage("sample", 1)
    killed.__enter__()
    with timeline.stage("score", 1):
        clock.sleep(5)
    assert ends(run) == [("classify", "ok"), ("score", "ok"), ("sample", "running")]
    successor = process()
    with successor.stage("sample", 1):
        pass
    assert ends(run) == [("classify", "ok"), ("score", "ok"), ("sample", "interrupted"), ("sample", "ok")]
    _, score, sample, again = spans(run)
    assert sample["start"] <= sample["end"] == score["end"] <= again["start"]
    killed.__exit__(None, None, None)


def begun(timeline):
    """A stage of which a reader has taken one of ten items."""

    def stream():
        with timeline.stage("sample", 1) as stage:
            yield from stage.counted(range(10), 10, 0)

    items = stream()
    next(items)
    return items


def test_a_run_that_ends_ends_the_stages_that_others_left(run, process):
    """A stream that nobody reads to its end, and a stage on another thread, do not hear of it in time."""
    timeline = process()

    stages = begun(timeline)
    timeline.close("failed")
    assert ends(run) == [("sample", "failed")]
    before = run.storage.read("timeline.json")
    stages.close()
    assert run.storage.read("timeline.json") == before, "by now the run may be another process's"


def test_a_full_disk_is_reported_as_itself(run, process, monkeypatch):
    timeline = process()

    def refuse(name, data):
        raise StorageError("to write", "No space left on device", "free some space")

    with pytest.raises(KeyError), timeline.stage("train", 1):
        monkeypatch.setattr(run.storage, "write", refuse)
        raise KeyError("what the stage died of")
    timeline.close("failed")


def test_a_timeline_of_an_earlier_version_is_one_of_stages_that_ended_well(run, process):
    run.write_json("timeline.json", [{"stage": "sample", "round": 1, "start": 10.0, "end": 40.0}])
    with process().stage("score", 1):
        pass
    assert ends(run) == [("sample", "ok"), ("score", "ok")]


def test_a_stream_that_its_reader_leaves_is_no_longer_running(process, metrics):
    begun(process()).close()
    assert metrics.stages == [("sample", 1, True), ("sample", 1, False)]


def test_progress_of_a_stage_that_does_not_run_is_ignored(process):
    timeline = process()
    timeline.advance("train", 1, 3, 10)
    with timeline.stage("train", 1):
        timeline.advance("train", 2, 3, 10)
    timeline.advance("train", 1, 3, 10)


@pytest.fixture
def screen(run, metrics):
    """A timeline, and what a screen without a terminal shows of it."""
    written = io.StringIO()
    return Timeline(run, Screen(Console(file=written, width=200)), metrics), written


def test_the_closing_line_is_the_note_or_the_counts_or_that_there_was_nothing_to_do(screen):
    timeline, written = screen
    with timeline.stage("pair", 1) as stage:
        stage.add(pairs=3)
        stage.note("3 pairs; dropped: none")
    with timeline.stage("sample", 1) as stage:
        stage.add(responses=4, tokens=30)
        stage.add(responses=4, tokens=12)
    with timeline.stage("score", 1):
        pass
    lines = written.getvalue().splitlines()
    assert [line.split(" s  ")[1] for line in lines] == [
        "3 pairs; dropped: none",
        "8 responses, 42 tokens",
        "nothing left to do",
    ]
    assert lines[0].startswith("round 1 pair")


def test_a_counted_stream_passes_on_what_it_gets(screen):
    timeline, _ = screen
    with timeline.stage("sample", 1) as stage:
        assert list(stage.counted(iter("abc"), 5, 2)) == ["a", "b", "c"]
