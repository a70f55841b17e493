"""What a run starts only if something asks for it, and what its record says before the first stage."""

import json

import pytest

from flame_ray.commands.run import _asks_judge, take_lease
from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.errors import Interrupted, PlacementError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.run_status import State, read_status
from flame_ray.storage.cache import Cache
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Prompt


@pytest.mark.parametrize(
    ("sections", "known", "asks"),
    [
        ({}, ("Which?",), True),
        ({}, ("Which?", "Write."), False),
        ({"classify": {"by": "label"}}, (), False),
        ({"pipeline": {"colocated": True}}, ("Which?", "Write."), True),
    ],
    ids=["one is not known", "all are known", "labels decide", "engines share GPUs"],
)
def test_the_judges_model_is_asked_only_about_prompts_that_it_has_not_classified(sections, known, asks, tmp_path):
    classified = Cache(tmp_path / "classified.sqlite")
    classified.add(dict.fromkeys(known, 0.9))
    prompts = [Prompt("a", "Which?"), Prompt("b", "Write."), Prompt("c", "Which?")]
    assert _asks_judge(parse_config(sections, "here"), classified, prompts) is asks


@pytest.fixture
def ended(tmp_path) -> RunFolder:
    """A run whose last process has failed in its second round."""
    made = RunFolder(Storage(tmp_path / "mine"))
    made.create(Config(), {})
    made.write_json("summary.json", {"run_id": "mine", "status": "failed", "error": "DataError: x", "rounds": [{"round": 0}]})
    return made


def test_a_resumed_run_that_is_killed_before_its_first_report_is_not_told_by_the_end_of_its_last_process(ended):
    class Killed(RunFolder):
        def note_end(self, error):
            pass

    with pytest.raises(SystemExit), take_lease(Killed(ended.storage)):
        raise SystemExit
    status = read_status(ended)
    assert (status.state, status.error, status.rounds) == (State.LOST, None, (0,))


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (Interrupted("a run that ends by itself", "SIGTERM", "resume it"), State.INTERRUPTED, "found SIGTERM"),
        (KeyboardInterrupt(), State.INTERRUPTED, None),
        (PlacementError("a CPU", "none", "add one"), State.FAILED, "PlacementError: expected a CPU"),
    ],
    ids=["told to stop", "Ctrl-C", "an error"],
)
@pytest.mark.parametrize("is_new", [False, True])
def test_a_run_that_ends_before_its_first_stage_says_how(ended, error, state, said, is_new):
    if is_new:
        ended.storage.remove("summary.json")
    with pytest.raises(type(error)), take_lease(ended):
        raise error
    status = read_status(ended)
    assert (status.state, status.exit_code) == (state, getattr(error, "exit_code", 75))
    assert said in status.error if said else status.error is None
    assert ended.summary()["run_id"] == "mine"


def test_the_end_that_a_journal_has_written_stays(ended):
    with pytest.raises(PlacementError), take_lease(ended):
        ended.write_json("summary.json", {"status": "interrupted"})
        raise PlacementError("a CPU", "none", "add one")
    assert json.loads(ended.storage.read("summary.json")) == {"status": "interrupted"}


def test_a_run_that_never_had_a_folder_gets_none_by_its_end(tmp_path):
    new = RunFolder(Storage(tmp_path / "mine"))
    with pytest.raises(PlacementError), take_lease(new):
        raise PlacementError("a CPU", "none", "add one")
    assert not new.storage.exists("summary.json")
