"""Which state a learner goes on from."""

import json
import shutil
import uuid
from pathlib import Path

import pytest

from flame_ray.errors import StorageError
from flame_ray.learner.checkpoints import Checkpoints, Choice
from flame_ray.storage.atomic import write_manifest
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.local_copy import RemoteFolder, write_folder


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def state(folder: Path) -> Path:
    """A state folder as the learner leaves it."""
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text(str(folder))
    write_manifest(folder)
    return folder


def rounds(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "checkpoints").iterdir())


def test_a_new_run_has_no_trained_round_and_no_state(checkpoints):
    assert (checkpoints.trained(), checkpoints.newest()) == (0, None)


def test_the_newest_state_is_that_of_the_last_trained_round(checkpoints):
    for round in (2, 10, 9):
        state(checkpoints.state(round))
    assert checkpoints.trained() == 10
    assert checkpoints.newest() == checkpoints.state(10)


def test_the_last_state_inside_the_next_round_is_newer_than_that_of_the_trained_round(checkpoints):
    state(checkpoints.state(3))
    state(checkpoints.next_step(4))
    latest = state(checkpoints.next_step(4))
    assert checkpoints.trained() == 3
    assert checkpoints.newest() == latest


@pytest.mark.parametrize("trained", [0, 3])
def test_skipped_rounds_may_lie_between_the_trained_round_and_the_one_that_was_interrupted(checkpoints, trained):
    if trained:
        state(checkpoints.state(trained))
    latest = state(checkpoints.next_step(trained + 3))
    assert (checkpoints.trained(), checkpoints.newest()) == (trained, latest)


def test_the_first_round_can_be_resumed_from_a_state_inside_it(checkpoints):
    step = state(checkpoints.next_step(1))
    assert (checkpoints.trained(), checkpoints.newest()) == (0, step)


def test_states_inside_a_round_that_is_trained_are_old(checkpoints):
    """A death between the round's state and the removal of its steps leaves them."""
    state(checkpoints.next_step(3))
    state(checkpoints.state(3))
    assert checkpoints.newest() == checkpoints.state(3)


def test_a_folder_that_was_being_written_when_the_process_died_is_no_state(checkpoints):
    state(checkpoints.state(3))
    step = state(checkpoints.next_step(4))
    state(checkpoints.state(4).with_name("state.tmp"))
    state(step.with_name("000002.tmp"))
    assert checkpoints.newest() == step
    assert checkpoints.trained() == 3


def test_each_step_has_a_new_folder_that_sorts_after_the_one_before(checkpoints):
    folders = [state(checkpoints.next_step(1)) for _ in range(11)]
    assert folders == sorted(folders) and len(set(folders)) == 11


@pytest.mark.parametrize("where", ["a round's", "a step's"])
def test_a_damaged_file_is_refused_by_its_name(checkpoints, where):
    """Not passed over in silence: to go on from an older state would train a round twice."""
    state(checkpoints.state(1))
    newest = state(checkpoints.state(2) if where == "a round's" else checkpoints.next_step(2))
    (newest / "model.safetensors").write_text("damaged")
    with pytest.raises(StorageError) as caught:
        checkpoints.newest()
    assert str(newest / "model.safetensors") in caught.value.found


def test_a_state_without_a_manifest_is_refused(checkpoints):
    (state(checkpoints.state(1)) / "manifest.json").unlink()
    with pytest.raises(StorageError, match=r"manifest\.json: it is missing"):
        checkpoints.newest()


def test_a_finished_round_keeps_its_state_and_removes_those_inside_it(checkpoints):
    state(checkpoints.next_step(1))
    state(checkpoints.state(1))
    state(checkpoints.round(1) / "adapter")
    checkpoints.finished(1)
    assert sorted(path.name for path in checkpoints.round(1).iterdir()) == ["adapter", "state"]


def test_of_the_states_inside_a_round_the_newest_stays_and_the_next_has_a_name_of_its_own(any_checkpoints):
    newest = None
    for round in (1, 2):
        for _ in range(3):
            saved(newest := any_checkpoints.next_step(round))
    any_checkpoints.prune_steps(2)
    assert (any_checkpoints.newest(), newest.name, any_checkpoints.next_step(2).name) == (newest, "000003", "000004")
    left = {name.rpartition("/")[0] for name in Storage(str(any_checkpoints.round(1).parent)).names()}
    assert left == {*(f"round-0001/steps/00000{step}" for step in (1, 2, 3)), "round-0002/steps/000003"}


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (None, ["round-0001", "round-0002", "round-0003", "round-0010"]),
        (9, ["round-0001", "round-0002", "round-0003", "round-0010"]),
        (2, ["round-0003", "round-0010"]),
        (1, ["round-0010"]),
    ],
)
def test_old_rounds_are_removed_only_if_the_settings_say_so(tmp_path, keep, left):
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep)
    for round in (1, 2, 3, 10):
        state(checkpoints.state(round))
    checkpoints.finished(10)
    checkpoints.prune()
    assert rounds(tmp_path) == left
    assert checkpoints.newest() == checkpoints.state(10)


def test_folders_are_absolute_since_a_rank_works_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints(Path("runs/mine/checkpoints"))
    assert checkpoints.round(3) == tmp_path / "runs/mine/checkpoints/round-0003"
    assert checkpoints.next_step(3).is_absolute()


@pytest.mark.parametrize("stray", ["round-x", "round-12", "round-", "round-0007 (copy)", "round-0007.bak", "notes"])
def test_a_folder_with_another_name_is_left_alone(tmp_path, stray):
    """It is a person's: nothing goes on from it, and nothing removes it."""
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=1)
    state(tmp_path / "checkpoints" / stray / "state")
    for round in (1, 2):
        state(checkpoints.state(round))
    state(checkpoints.round(3) / "steps" / "7")
    assert (checkpoints.trained(), checkpoints.newest()) == (2, checkpoints.state(2))
    assert checkpoints.next_step(3) == checkpoints.round(3) / "steps" / "000001"
    checkpoints.prune()
    assert rounds(tmp_path) == sorted([stray, "round-0003"])


def test_the_name_of_a_step_that_was_removed_by_hand_is_not_used_again(checkpoints):
    first, *_ = [state(checkpoints.next_step(1)) for _ in range(3)]
    shutil.rmtree(first)
    assert checkpoints.next_step(1).name == "000004"


# On an object store


@pytest.fixture
def remote(tmp_path) -> Checkpoints:
    return Checkpoints(RemoteFolder(f"memory://{uuid.uuid4().hex}/checkpoints"))


def put(folder: RemoteFolder) -> RemoteFolder:
    with write_folder(folder) as made:
        (made / "model.safetensors").write_text(str(folder))
    return folder


def test_an_object_store_holds_the_same_states_by_their_urls(remote):
    assert (remote.trained(), remote.newest()) == (0, None)
    first, second = put(remote.next_step(1)), put(remote.next_step(1))
    assert [step.name for step in (first, second)] == ["000001", "000002"]
    assert remote.newest() == second
    put(remote.state(1))
    assert (remote.trained(), remote.newest()) == (1, remote.state(1))
    assert str(remote.newest()).endswith("/checkpoints/round-0001/state")
    remote.finished(1)
    assert Storage(str(remote.round(1))).names("steps") == []


@pytest.mark.parametrize("where", ["a round's", "a step's"])
def test_an_upload_that_was_cut_short_is_no_state_and_its_name_is_used_again(remote, where):
    put(remote.state(1))
    cut = remote.state(2) if where == "a round's" else remote.next_step(2)
    Storage(str(cut)).write("model.safetensors", b"half of it")
    assert (remote.trained(), remote.newest()) == (1, remote.state(1))
    assert remote.next_step(2) == remote.round(2) / "steps" / "000001"


def test_the_last_trained_round_is_found_without_a_request_for_each_round(remote, monkeypatch):
    for round in range(1, 9):
        put(remote.state(round))
    asked, exists = [], Storage.exists
    monkeypatch.setattr(Storage, "exists", lambda self, name: asked.append(name) or exists(self, name))
    assert (remote.trained(), len(asked)) == (8, 1)


def test_old_rounds_are_removed_from_an_object_store_too():
    remote = Checkpoints(RemoteFolder(f"memory://{uuid.uuid4().hex}/checkpoints"), keep=1)
    for round in (1, 2):
        put(remote.state(round))
    remote.prune()
    assert remote.newest() == remote.state(2)
    assert not Storage(str(remote.round(1))).names()


# The best round


@pytest.fixture(params=["disk", "memory"])
def any_checkpoints(request, tmp_path) -> Checkpoints:
    root = tmp_path / "run" if request.param == "disk" else RemoteFolder(f"memory://{uuid.uuid4().hex}/run")
    return Checkpoints(root / "checkpoints", keep=1)


def saved(folder) -> None:
    """A finished folder of one file, which names it."""
    with write_folder(folder) as made:
        (made / "model.safetensors").write_text(str(folder))
        write_manifest(made)


def run_of(checkpoints: Checkpoints) -> Storage:
    return Storage(str(checkpoints.round(1).parent.parent))


def test_after_a_round_that_was_rolled_back_the_learner_resumes_from_the_best_one(any_checkpoints):
    for round in (1, 2):
        saved(any_checkpoints.state(round))
    assert (any_checkpoints.choice(), any_checkpoints.start()) == (None, 2)
    any_checkpoints.choose(Choice(round=2, best=1, restart=1))
    assert any_checkpoints.choice() == Choice(2, 1, 1)
    assert (any_checkpoints.trained(), any_checkpoints.start()) == (2, 1)
    assert any_checkpoints.newest() == any_checkpoints.state(1)


def test_a_choice_says_nothing_of_the_round_that_was_trained_after_it(any_checkpoints):
    for round in (1, 2):
        saved(any_checkpoints.state(round))
    any_checkpoints.choose(Choice(round=2, best=1, restart=1))
    step = any_checkpoints.next_step(3)
    saved(step)
    assert any_checkpoints.newest() == step  # it started from round 1
    saved(any_checkpoints.state(3))
    assert (any_checkpoints.start(), any_checkpoints.newest()) == (3, any_checkpoints.state(3))


def test_a_first_round_that_was_rolled_back_leaves_the_initial_model(any_checkpoints):
    saved(any_checkpoints.state(1))
    any_checkpoints.choose(Choice(round=1, best=0, restart=0))
    assert (any_checkpoints.trained(), any_checkpoints.start(), any_checkpoints.newest()) == (1, 0, None)


def test_the_best_round_is_never_removed(any_checkpoints):
    for round in (1, 2, 3):
        saved(any_checkpoints.state(round))
    any_checkpoints.choose(Choice(round=2, best=1, restart=1))
    any_checkpoints.prune()
    left = {name.partition("/")[0] for name in Storage(str(any_checkpoints.round(1).parent)).names()}
    assert left == {"round-0001", "round-0003", "choice.json"}


def test_the_best_round_is_delivered_with_what_it_saved_and_what_is_said_of_it(any_checkpoints):
    for name in ("state", "adapter", "merged"):
        saved(any_checkpoints.round(1) / name)
    saved(any_checkpoints.round(2) / "adapter")
    run = run_of(any_checkpoints)
    any_checkpoints.deliver(1, {"metric": "f_at_k", "value": 0.25})
    files = ("adapter/manifest.json", "adapter/model.safetensors", "merged/manifest.json", "merged/model.safetensors")
    assert run.names("best") == sorted(f"best/{name}" for name in (*files, "best.json"))
    told = json.loads(run.read("best/best.json"))
    assert told == {"round": 1, "models": ["adapter", "merged"], "metric": "f_at_k", "value": 0.25}
    any_checkpoints.deliver(2, {})
    assert run.read("best/adapter/model.safetensors").decode().endswith("round-0002/adapter")
    assert json.loads(run.read("best/best.json"))["round"] == 2


def test_what_is_delivered_stays_when_its_round_is_removed(any_checkpoints):
    saved(any_checkpoints.round(1) / "adapter")
    any_checkpoints.deliver(1, {})
    Storage(str(any_checkpoints.round(1).parent)).remove("round-0001")
    assert run_of(any_checkpoints).read("best/adapter/model.safetensors").decode().endswith("round-0001/adapter")


def test_the_initial_model_is_delivered_by_its_name_alone(any_checkpoints):
    any_checkpoints.deliver(0, {"policy": "smollm2-135m"})
    run = run_of(any_checkpoints)
    assert run.names("best") == ["best/best.json"]
    assert json.loads(run.read("best/best.json")) == {"round": 0, "models": [], "policy": "smollm2-135m"}
