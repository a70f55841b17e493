"""A process may die anywhere: the next one goes on from there, does nothing twice, and the run comes out the same.

Death is simulated as a kill would look to the disk: from one moment on, nothing more is done and nothing more is written.
"""

import io
import json
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest
from rich.console import Console

from flame_ray.commands.run import _record, _resumed
from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.errors import EngineError
from flame_ray.journal import shards
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RunFolder
from flame_ray.learner.checkpoints import Choice
from flame_ray.report.progress import Screen
from flame_ray.round import on_given_pairs
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Prompt, RoundReport, Split
from tests.builders import make_pair, make_pair_set
from tests.doubles import FakeStages

PROMPTS = (*(Prompt(name, f"question {name}") for name in "ab"), Prompt("held out", "question", split=Split.HELDOUT))
ROUNDS = 2
ONCE = ("classify", "sample", "score", "pair", "train", "evaluate")


class Killed(BaseException):
    """No `except Exception` sees it."""


class Life:
    """How many more things a process does before it dies: works and writes. `done` counts the works."""

    def __init__(self, moments: int):
        self.left = moments
        self.spent: list[str] = []
        self.done: Counter[str] = Counter()
        self._lock = threading.Lock()

    def work(self, unit: str) -> None:
        self.spend(unit)
        self.done[unit] += 1

    def spend(self, what: str) -> None:
        with self._lock:
            if self.left <= 0:
                raise Killed(what)
            self.left -= 1
            self.spent.append(what)


class MortalStorage(Storage):
    """Takes no more writes once the process is dead. The filesystem in memory is for one thread at a time."""

    def __init__(self, url: str, life: Life):
        super().__init__(url)
        self._life, self._one_at_a_time = life, threading.RLock()

    def write(self, name: str, data: bytes) -> None:
        self._life.spend(f"write {name}")
        with self._one_at_a_time:
            super().write(name, data)

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        with self._one_at_a_time, super().replacing(name) as path:
            yield path
            self._life.spend(f"write {name}")

    def remove(self, prefix: str) -> None:
        self._life.spend(f"remove {prefix}")
        with self._one_at_a_time:
            super().remove(prefix)

    def names(self, prefix: str = "") -> list[str]:
        with self._one_at_a_time:
            return super().names(prefix)


@dataclass
class FakeCheckpoints:
    """What the run's learner has stored: the rounds that it has trained, and the last choice of the best one."""

    rounds: set[int]
    choice: Choice | None = None

    def trained(self) -> int:
        return max(self.rounds, default=0)

    def start(self) -> int:
        return self.choice.restart if self.choice and self.choice.round == self.trained() else self.trained()


class Run:
    """What outlives a process: the folder, and the rounds in the learner's state."""

    def __init__(self, fake_stages, metrics, staleness: int = 0):
        self.storage = Storage(f"memory://{uuid.uuid4().hex}/run")
        self.trained: set[int] = set()
        self.done: Counter[str] = Counter()
        self._stages, self._metrics = fake_stages, metrics
        self._config: Config = parse_config({"run": {"rounds": ROUNDS}, "pipeline": {"staleness": staleness}}, "here")

    def process(self, moments: int = 10**9) -> tuple[list[RoundReport] | None, Life]:
        """One process, which dies after so many moments or brings the run to its end; None: it died."""
        life = Life(moments)
        folder = RunFolder(MortalStorage(self.storage.url, life))
        reports = None
        try:
            checkpoints = FakeCheckpoints(self.trained)
            journal = Journal(folder, "mine", Screen(Console(file=io.StringIO())), self._metrics, checkpoints.trained())
            stages = _resumed(self._stages(life.work, self.trained), folder, checkpoints)
            reports = _record(journal, self._config, journal.wrap(stages), PROMPTS)
        except Killed:
            life.left = 0
        self.done += life.done
        return reports, life

    def contents(self) -> dict[str, object]:
        """Every file but the timeline; without what says how long something took."""
        files = {name: self.storage.read(name) for name in self.storage.names() if name != "timeline.json"}
        summary = json.loads(files["summary.json"])
        lines = [json.loads(line) for line in files["metrics.jsonl"].splitlines()]
        return files | {"summary.json": _timeless(summary), "metrics.jsonl": _timeless(lines)}

    def forget(self) -> None:
        """Where many runs are made: the filesystem in memory is one for all, and looks through every file in it."""
        fsspec.filesystem("memory").rm(self.storage.url, recursive=True)

    def again(self) -> list[str]:
        """The works that should be done once and were done more often."""
        return sorted(unit for unit, times in self.done.items() if unit.split()[0] in ONCE for _ in range(times - 1))


def _timeless(tree):
    if isinstance(tree, list):
        return [_timeless(each) for each in tree]
    if isinstance(tree, dict):
        return {key: _timeless(value) for key, value in tree.items() if key not in ("timings", "wall_seconds")}
    return tree


@pytest.fixture
def new_run(fake_stages, metrics):
    return lambda **settings: Run(fake_stages, metrics, **settings)


@pytest.fixture
def undisturbed(new_run):
    """A run that nobody killed, its reports, and all that its process did."""
    run = new_run()
    reports, life = run.process()
    return run, reports, life.spent


@pytest.fixture
def every_record_is_a_part(monkeypatch):
    monkeypatch.setattr(shards, "SHARD_RECORDS", 1)


@pytest.mark.usefixtures("every_record_is_a_part")
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_a_process_that_dies_before_any_moment_of_a_run_costs_at_most_the_one_work_that_was_not_stored(new_run, every):
    whole = new_run()
    reports, life = whole.process()
    moments = life.spent
    assert {moment.split()[0] for moment in moments} == {*ONCE, "save", "sync", "write", "remove"}
    for moment in range(0, len(moments), every):
        run = new_run()
        assert run.process(moment)[0] is None
        assert run.process()[0] == reports, moments[moment]
        assert run.contents() == whole.contents(), moments[moment]
        assert set(run.done) >= set(whole.done), moments[moment]
        if moments[moment].split()[0] in ("write", "remove"):
            assert len(run.again()) <= 1, moments[moment]
        else:  # what was done before it was stored
            assert run.again() == [], moments[moment]
        run.forget()


class OnGivenPairs(FakeStages):
    def stages(self, **other):
        return on_given_pairs(super().stages(**other), make_pair_set(make_pair(), responses=0))


def test_a_run_on_given_pairs_samples_nothing_and_comes_out_the_same_wherever_its_process_dies(metrics):
    whole = Run(OnGivenPairs, metrics)
    reports, life = whole.process()
    assert {unit for unit in life.done if unit.split()[0] in ("classify", "sample", "score", "pair")} == {"classify 0"}
    kinds = {name.split("/")[2].partition(".")[0] for name in whole.storage.names("rounds/0001")}
    assert "pairs" in kinds and not kinds & {"prompts", "sampled", "scored"}
    for moment in range(0, len(life.spent), 3):
        run = Run(OnGivenPairs, metrics)
        assert run.process(moment)[0] is None
        assert run.process()[0] == reports, life.spent[moment]
        assert run.contents() == whole.contents(), life.spent[moment]
        run.forget()


def test_a_run_that_dies_again_and_again_comes_out_the_same(new_run, undisturbed):
    whole, reports, moments = undisturbed
    run = new_run()
    found, processes = None, 0
    while found is None and processes < len(moments):
        found, _ = run.process(len(moments) // 4 + processes % 7)
        processes += 1
    assert processes > 2
    assert found == reports
    assert run.contents() == whole.contents()
    assert all(times == 1 for unit, times in run.done.items() if unit.startswith("train"))


@pytest.mark.parametrize("part", range(1, 10))
def test_with_a_round_collected_ahead_of_time_a_run_that_dies_comes_out_the_same_too(new_run, undisturbed, part):
    whole, reports, moments = undisturbed
    run = new_run(staleness=1)
    run.process(len(moments) * part // 10)
    assert run.process()[0] == reports
    assert run.contents() == whole.contents()
    assert all(times == 1 for unit, times in run.done.items() if unit.startswith("train"))


@pytest.mark.parametrize("name", ["classify", "sample", "score", "pair", "train", "save", "sync", "evaluate"])
def test_a_stage_that_failed_is_done_by_the_next_process_and_what_came_before_it_is_not(
    new_run, undisturbed, fake_stages, name
):
    """A failure that is no death: the process has the time to write that it failed."""
    whole, reports, _ = undisturbed

    class Failing(fake_stages):
        def stages(self):
            return super().stages(**{name: lambda given, round: self._fail(given, round)})

        def _fail(self, *args):
            if args[-1] == 2:
                raise EngineError("a worker", "none", "start one")
            return getattr(fake_stages, name)(self, *args)

    class FailingOne(Failing):
        def stages(self):
            return fake_stages.stages(self, **{name: lambda round: self._fail(round)})

    run = new_run()
    run._stages = FailingOne if name in ("save", "sync") else Failing
    with pytest.raises(EngineError, match="a worker"):
        run.process()
    assert json.loads(run.storage.read("summary.json"))["status"] == "failed"
    first = run.done.copy()
    run._stages = fake_stages
    assert run.process()[0] == reports
    assert run.contents() == whole.contents()
    assert first == Counter() and run.again() == []


def test_a_complete_run_gives_its_reports_back_without_any_work(new_run):
    run = new_run()
    reports, _ = run.process()
    assert run.process()[0] == reports
    assert run.again() == []


def test_a_resumed_run_adds_its_times_to_those_of_the_process_before(new_run):
    run = new_run()
    _, life = run.process()
    middle = next(number for number, moment in enumerate(life.spent) if moment == "train 2")
    other = new_run()
    other.process(middle)
    stored = json.loads(other.storage.read("timeline.json"))
    other.process()
    spans = json.loads(other.storage.read("timeline.json"))
    assert [span["ended"] for span in stored] == ["ok"] * (len(stored) - 1) + ["running"]
    assert spans[: len(stored) - 1] == stored[:-1]
    assert {span["ended"]: span["stage"] for span in spans}["interrupted"] == stored[-1]["stage"] == "train"
    assert all(span["start"] >= max(before["end"] for before in stored) for span in spans[len(stored) :])
    assert {span["stage"] for span in spans if span["round"] == 2} == {
        "classify", "sample", "score", "pair", "train", "save", "sync", "evaluate"
    }  # fmt: skip


def test_a_round_whose_training_is_stored_without_its_report_is_not_trained_again(new_run):
    """The learner's state came first, and the process died before the journal wrote the report."""
    run = new_run()
    _, life = run.process()
    moment = life.spent.index("write rounds/0002/training.json.gz")
    other = new_run()
    other.process(moment)
    assert other.trained == {1, 2}
    reports, life = other.process()
    assert reports is not None and "train 2" not in life.done


def test_the_learner_is_not_asked_about_a_round_whose_report_is_stored(new_run, fake_stages):
    class Asked(fake_stages):
        def train(self, pairs, round):
            assert round == 2
            return super().train(pairs, round)

    run = new_run()
    _, life = run.process()
    other = new_run()
    other.process(life.spent.index("train 2"))
    other._stages = Asked
    assert other.process()[0] is not None


def test_the_samplers_are_brought_to_the_last_trained_weights_before_anything_else_is_done_and_once(new_run):
    run = new_run()
    _, life = run.process()
    other = new_run()
    other.process(life.spent.index("evaluate 1"))
    _, life = other.process()
    assert life.spent[:2] == ["save 1", "sync 1"]
    assert (life.done["sync 1"], life.done["sync 2"]) == (1, 1)
    assert [unit for unit in life.done if unit.startswith(("train", "sample"))] == ["sample 2 a", "sample 2 b", "train 2"]
