"""A learner that outlives its ranks, around groups that die where they are told to."""

import json
from pathlib import Path
from typing import Any

import pytest

from flame_ray.engines.base import Continuation
from flame_ray.errors import EngineError, LearnerDied, StorageError
from flame_ray.learner.checkpoints import Checkpoints, Choice
from flame_ray.learner.durable import ATTEMPTS, DurableLearner
from flame_ray.learner.train_state import Progress
from flame_ray.storage.atomic import write_manifest
from flame_ray.types import TrainingReport
from tests.builders import make_training_report

STEPS = 4  # optimizer steps a round
SEQUENCE = Continuation((1,), (2,))


class FakeGroup:
    """Trains by counting; its state is the count."""

    def __init__(self, cluster: "FakeCluster", state: Path | None):
        self._cluster = cluster
        self.steps = json.loads((state / "steps.json").read_text()) if state else 0
        self.stopped = False
        self.nodes = frozenset({f"node-{len(cluster.groups)}", "another"})

    def train(self, examples_D, round, on_step, on_checkpoint) -> TrainingReport:
        for step in range(self.steps - STEPS * (round - 1), STEPS):
            self._cluster.reach(f"step {round}.{step + 1}")
            self.steps += 1
            self._cluster.trained.append(f"{round}.{step + 1}")
            if on_step:
                on_step(Progress(step + 1, step + 1, STEPS, step + 1 == STEPS))
            if self._cluster.stores_steps:
                self.save_state(on_checkpoint(step + 1))
        return make_training_report(steps=STEPS, pairs=len(examples_D))

    def save_state(self, folder: Path) -> None:
        self._cluster.reach(f"state {folder.parent.name}/{folder.name}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "steps.json").write_text(json.dumps(self.steps))
        write_manifest(folder)

    def export(self) -> str:
        self._cluster.reach("export")
        return f"weights after {self.steps} steps"

    def canary(self, sequences, added, initial) -> list[list[float]]:
        self._cluster.reach("canary")
        return [[float(self.steps)]]

    def load_state(self, folder: Path) -> None:
        self._cluster.loaded.append(f"{folder.parent.name}/{folder.name}")
        self.steps = json.loads((folder / "steps.json").read_text())

    def save(self, folder: Path, merged: bool) -> None:
        self._cluster.reach("save")
        self._cluster.saved.append((folder, merged, self.steps))

    def stop(self) -> None:
        self.stopped = True


class FakeCluster:
    """Starts groups. `deaths`: how often a group dies when it reaches a place, for each place."""

    def __init__(self, root: Path):
        self.checkpoints = Checkpoints(root / "checkpoints")
        self.stores_steps = True
        self.deaths: dict[str, int] = {}
        self.error: BaseException = LearnerDied("a unit", "a learner rank died", "see its log")
        self.groups: list[FakeGroup] = []
        self.starts: list[tuple[str | None, int]] = []
        self.loaded: list[str] = []
        self.trained: list[str] = []
        self.saved: list[tuple[Path, bool, int]] = []

    def start(self, state: Path | None, life: int) -> FakeGroup:
        self.starts.append((f"{state.parent.name}/{state.name}" if state else None, life))
        self.reach("start")
        self.groups.append(FakeGroup(self, state))
        return self.groups[-1]

    def learner(self) -> DurableLearner:
        return DurableLearner(self.start, self.checkpoints)

    def reach(self, place: str) -> None:
        if self.deaths.get(place, 0):
            self.deaths[place] -= 1
            raise self.error


@pytest.fixture
def cluster(tmp_path) -> FakeCluster:
    return FakeCluster(tmp_path)


def every_step(*rounds: int) -> list[str]:
    return [f"{round}.{step}" for round in rounds for step in range(1, STEPS + 1)]


def test_a_trained_round_leaves_its_state_and_no_state_inside_it(cluster):
    report = cluster.learner().train(["example"], 1)
    assert (report.steps, report.examples) == (STEPS, 1)
    assert cluster.trained == every_step(1)
    assert cluster.checkpoints.trained() == 1
    assert [path.name for path in cluster.checkpoints.round(1).iterdir()] == ["state"]


def test_inside_a_round_there_are_never_more_than_two_states(cluster):
    """A state of a large model fills a good part of a disk, and nobody knows how many steps `learner.seconds` allows."""
    counts: list[int] = []
    steps = cluster.checkpoints.round(1) / "steps"
    cluster.learner().train([], 1, lambda at: counts.append(len(list(steps.glob("*")))))
    assert counts == [0, 1, 2, 2]


def test_every_step_is_reported(cluster):
    heard: list[tuple[int, int]] = []
    cluster.learner().train([], 1, lambda at: heard.append((at.done, at.total)))
    assert heard == [(step, STEPS) for step in range(1, STEPS + 1)]


def test_a_group_that_dies_is_stopped_and_starts_again_from_the_newest_state(cluster):
    cluster.deaths = {"step 2.3": 1}
    learner = cluster.learner()
    learner.train([], 1)
    learner.train([], 2)
    assert cluster.starts == [(None, 0), ("steps/000002", 1)]
    assert cluster.trained == every_step(1, 2)
    assert [group.stopped for group in cluster.groups] == [True, False]
    assert learner.group is cluster.groups[-1]
    assert learner.restarts == 1


def test_without_states_inside_a_round_the_round_is_trained_from_its_beginning(cluster):
    cluster.stores_steps, cluster.deaths = False, {"step 2.3": 1}
    learner = cluster.learner()
    learner.train([], 1)
    learner.train([], 2)
    assert cluster.starts == [(None, 0), ("round-0001/state", 1)]
    assert cluster.trained == [*every_step(1), "2.1", "2.2", *every_step(2)]


def test_a_death_while_the_rounds_state_is_written_costs_no_step(cluster):
    cluster.deaths = {"state round-0001/state": 1}
    cluster.learner().train([], 1)
    assert cluster.trained == every_step(1)
    assert cluster.checkpoints.trained() == 1


def test_it_gives_up_after_so_many_deaths_in_a_row(cluster):
    cluster.deaths = {"step 1.1": ATTEMPTS}
    with pytest.raises(LearnerDied):
        cluster.learner().train([], 1)
    assert [life for _, life in cluster.starts] == list(range(ATTEMPTS))


def test_it_survives_one_death_less(cluster):
    cluster.deaths = {"step 1.1": ATTEMPTS - 1}
    assert cluster.learner().train([], 1).steps == STEPS


def test_a_saved_step_resets_the_count(cluster):
    cluster.deaths = {f"step {step}": ATTEMPTS - 1 for step in every_step(1)}
    learner = cluster.learner()
    assert learner.train([], 1).steps == STEPS
    assert learner.restarts == learner.deaths == STEPS * (ATTEMPTS - 1) > ATTEMPTS
    assert cluster.trained == every_step(1)


def test_a_state_that_cannot_be_saved_does_not_reset_the_count(cluster):
    """Ranks that run out of memory whenever they write a state would start again for ever."""
    cluster.deaths = {"state steps/000001": 99}
    learner = cluster.learner()
    with pytest.raises(LearnerDied):
        learner.train([], 1)
    assert learner.restarts == ATTEMPTS


def test_a_saved_round_resets_the_count(cluster):
    cluster.stores_steps = False
    cluster.deaths = {f"step {round}.1": ATTEMPTS - 1 for round in (1, 2)}
    learner = cluster.learner()
    assert [learner.train([], round).steps for round in (1, 2)] == [STEPS] * 2


def test_a_restart_that_dies_is_tried_again(cluster):
    """The node that took the ranks down may take the next ones, too."""
    learner = cluster.learner()
    cluster.deaths = {"step 1.2": 1, "start": 2}
    assert learner.train([], 1).steps == STEPS
    assert cluster.starts == [(None, 0), *[("steps/000001", life) for life in (1, 2, 3)]]


def test_restarts_that_die_count_too(cluster):
    learner = cluster.learner()
    cluster.deaths = {"step 1.1": 1, "start": 99}
    with pytest.raises(LearnerDied):
        learner.train([], 1)
    assert learner.restarts == ATTEMPTS


CALLS: dict[str, tuple[Any, Any]] = {
    "export": (lambda learner: learner.export(), "weights after 4 steps"),
    "canary": (lambda learner: learner.canary((SEQUENCE,)), [[4.0]]),
    "save": (lambda learner: learner.save(Path("adapter"), False), None),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_survives_a_death_with_the_weights_of_the_last_round(cluster, name):
    call, answer = CALLS[name]
    learner = cluster.learner()
    learner.train([], 1)
    cluster.deaths = {name: 1}
    assert call(learner) == answer
    assert cluster.starts == [(None, 0), ("round-0001/state", 1)]
    assert cluster.saved == ([(Path("adapter"), False, 4)] if name == "save" else [])


@pytest.mark.parametrize("error", [EngineError("an answer", "none", "look"), KeyError("a bug")])
def test_an_error_that_is_not_a_death_is_raised(cluster, error):
    cluster.error, cluster.deaths = error, {"step 1.2": 1}
    with pytest.raises(type(error)):
        cluster.learner().train([], 1)
    assert len(cluster.starts) == 1


def test_a_damaged_state_is_not_a_death(cluster):
    learner = cluster.learner()
    learner.train([], 1)
    (cluster.checkpoints.state(1) / "steps.json").write_text("?")
    cluster.deaths = {"export": 1}
    with pytest.raises(StorageError, match=r"steps\.json"):
        learner.export()


def test_a_process_that_is_asked_to_stop_saves_its_state_and_the_next_one_resumes_it(cluster):
    cluster.stores_steps = False
    cluster.error, cluster.deaths = KeyboardInterrupt(), {"step 1.3": 1}
    learner = cluster.learner()
    with pytest.raises(KeyboardInterrupt):
        learner.train([], 1)
    learner.interrupt(1)
    assert cluster.learner().train([], 1).steps == STEPS
    assert (cluster.starts, cluster.loaded) == ([(None, 0), (None, 0)], ["steps/000001"])
    assert cluster.trained == every_step(1)


def test_a_process_after_one_that_was_stopped_inside_a_round_first_has_the_weights_of_the_last_rounds_end(cluster):
    """It saves and pushes them as that round's, before it trains on."""
    learner = cluster.learner()
    learner.train([], 1)
    cluster.error, cluster.deaths = KeyboardInterrupt(), {"step 2.3": 1}
    with pytest.raises(KeyboardInterrupt):
        learner.train([], 2)
    cluster.error, cluster.deaths = LearnerDied("a call", "a rank died", "see its log"), {"save": 1}
    second = cluster.learner()
    second.save(cluster.checkpoints.round(1) / "adapter", merged=False)
    assert cluster.saved[-1][2] == STEPS and second.export() == f"weights after {STEPS} steps"
    second.train([], 2)
    assert cluster.starts[1:] == [("round-0001/state", 0), ("round-0001/state", 1)]
    assert cluster.loaded == ["steps/000002"] and cluster.trained == every_step(1, 2)
    second.train([], 3)
    assert cluster.loaded == ["steps/000002"] and second.export() == f"weights after {3 * STEPS} steps"


@pytest.mark.parametrize(
    "error", [LearnerDied("a state", "a dead rank", "see its log"), StorageError("room", "none", "free some")]
)
def test_a_process_stops_even_if_its_state_cannot_be_saved(cluster, error, caplog):
    """The signal that ends a node reaches the ranks, too: the exit code must still say that the run can be resumed."""
    learner = cluster.learner()
    cluster.error, cluster.deaths = error, {"state steps/000001": 1}
    learner.interrupt(1)
    assert str(error) in caplog.text
    assert cluster.checkpoints.newest() is None


def draining(cluster: FakeCluster, learner: DurableLearner, round: int, after: int, nodes: set[str]) -> TrainingReport:
    """Train a round in which the cluster says, after so many steps, which nodes are about to go."""
    return learner.train([], round, lambda at: learner.leave(nodes) if at.done == after else None)


def test_a_group_on_a_draining_node_saves_its_state_and_moves(cluster):
    cluster.stores_steps = False
    learner = cluster.learner()
    assert draining(cluster, learner, 1, 2, {"node-0"}).steps == STEPS
    assert cluster.starts == [(None, 0), ("steps/000001", 1)]
    assert cluster.trained == every_step(1)
    assert [group.stopped for group in cluster.groups] == [True, False]
    assert learner.restarts == 1


def test_a_group_stays_when_a_node_without_a_rank_drains(cluster):
    learner = cluster.learner()
    draining(cluster, learner, 1, 2, {"node-9"})
    assert len(cluster.groups) == 1


def test_a_group_between_two_rounds_moves_before_its_next_call(cluster):
    learner = cluster.learner()
    learner.train([], 1)
    learner.leave({"node-0"})
    assert learner.export() == "weights after 4 steps"
    assert cluster.starts == [(None, 0), ("round-0001/state", 1)]


def test_after_a_round_that_was_rolled_back_the_learner_starts_again_from_the_best_one(cluster):
    learner = cluster.learner()
    for round in (1, 2):
        learner.train([], round)
    cluster.checkpoints.choose(Choice(round=2, best=1, restart=1))
    learner.restart()
    assert learner.export() == f"weights after {STEPS} steps"
    assert [group.stopped for group in cluster.groups] == [True, False]
    assert cluster.starts == [(None, 0), ("round-0001/state", 1)]


def test_a_learner_that_dies_after_a_roll_back_starts_again_from_the_best_round_too(cluster):
    learner = cluster.learner()
    for round in (1, 2):
        learner.train([], round)
    cluster.checkpoints.choose(Choice(round=2, best=0, restart=0))
    cluster.deaths = {"start": 1, "export": 1}
    learner.restart()
    assert learner.export() == "weights after 0 steps"
    assert cluster.starts == [(None, life) for life in range(4)]


def test_moves_do_not_count_as_deaths(cluster):
    learner = cluster.learner()
    for life in range(ATTEMPTS + 1):
        learner.leave({f"node-{life}"})
        learner.canary((SEQUENCE,))
    assert learner.restarts == ATTEMPTS + 1
    cluster.deaths = {"canary": ATTEMPTS - 1}
    assert learner.canary((SEQUENCE,)) == [[0.0]]


def test_a_node_that_drained_before_the_group_was_placed_does_not_move_it(cluster):
    """Ray places nothing there; if it ever did, the group would move for ever."""
    learner = cluster.learner()
    learner.leave({"another"})
    assert learner.train([], 1).steps == STEPS
    assert learner.restarts == 1


def test_a_node_that_is_gone_before_the_state_is_saved_counts_as_a_death(cluster):
    learner = cluster.learner()
    cluster.stores_steps, cluster.deaths = False, {"state steps/000001": 1}
    assert draining(cluster, learner, 1, 2, {"node-0"}).steps == STEPS
    assert cluster.starts == [(None, 0), (None, 1)]
    assert cluster.trained == ["1.1", "1.2", *every_step(1)]


def test_the_state_of_a_round_is_not_saved_twice(cluster):
    """On an object store the old one would have to go first."""
    cluster.deaths = {"state round-0001/state": 1}
    learner = cluster.learner()
    learner.train([], 1)
    cluster.deaths = {"state round-0001/state": 1}
    assert cluster.learner().train([], 1).steps == STEPS
    assert cluster.deaths == {"state round-0001/state": 1}


def test_ranks_that_die_at_their_first_start_are_started_again(cluster):
    cluster.deaths["start"] = 2
    learner = cluster.learner()
    assert [life for _, life in cluster.starts] == [0, 1, 2] and learner.restarts == 2
    assert learner.export() == "weights after 0 steps"


def test_ranks_that_die_at_every_start_end_the_run_with_their_error(cluster):
    cluster.deaths["start"] = ATTEMPTS
    with pytest.raises(LearnerDied):
        cluster.learner()
