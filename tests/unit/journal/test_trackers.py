"""Where a run's curves are shown too. Tests of a library need it: `pip install --no-deps -r clusters/trackers.lock`."""

import importlib.util
import logging
import sys
import uuid
from types import SimpleNamespace

import pytest

from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError, Interrupted
from flame_ray.journal import trackers as trackers_module
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.trackers import FINISH_S, PACKAGES, TESTED, Trackers, check_trackers, tracking
from flame_ray.storage.filesystem import Storage
from tests.doubles import SeenScreen

SECRET = "opensesame"


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")


class Failing:
    errors = (OSError,)

    def __init__(self, error: Exception):
        self.error, self.calls = error, 0

    def log(self, group, step, values):
        self.calls += 1
        raise self.error

    def close(self, status):
        raise self.error


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(Storage(tmp_path / "runs" / "mine"))


@pytest.fixture
def quiet(tmp_path, monkeypatch):
    """The libraries work offline, with folders of this test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    return tmp_path


def job(*names: str):
    root = f"s3://me:{SECRET}@host/runs"
    return parse_config({"run": {"trackers": list(names), "root": root}}, "here")


def follow(name: str, folder: RunFolder, *points: tuple[int, float]) -> None:
    with tracking(job(name), folder, "mine", SeenScreen()) as found:
        for step, loss in points:
            found.log("train", step, {"loss": loss})
        found.log("round", points[-1][0], {"pairs/dropped/factuality: tie": 2.0, "never": float("nan")})


@pytest.mark.parametrize("name", PACKAGES)
def test_a_tracker_without_its_package_is_refused_with_the_command_that_installs_it(name, monkeypatch):
    monkeypatch.setitem(PACKAGES, name, "flame_ray_has_no_such_package")
    with pytest.raises(ConfigError, match=rf"run\.trackers.*pip install {TESTED[name]} \(tested\)"):
        check_trackers([name])


def test_a_run_without_trackers_asks_for_no_package():
    check_trackers(())


def test_a_tracker_that_cannot_start_says_why_and_no_secret(folder, monkeypatch):
    def refuse(path):
        raise RuntimeError(f"no key for https://me:{SECRET}@host")

    monkeypatch.setattr(trackers_module, "TensorBoard", refuse)
    with (
        pytest.raises(ConfigError, match=r"run\.trackers: tensorboard.*no key for") as caught,
        tracking(job("tensorboard"), folder, "mine", SeenScreen()),
    ):
        pass
    assert SECRET not in str(caught.value)


def test_a_tracker_that_fails_later_is_given_up_once_and_the_others_go_on(caplog):
    failing, other = Failing(OSError(f"https://me:{SECRET}@host is down")), Noting()
    trackers = Trackers({"mlflow": failing, "wandb": other})
    with caplog.at_level(logging.WARNING):
        for step in (1, 2):
            trackers.log("train", step, {"loss": 0.5})
        trackers.close("complete")
    assert (failing.calls, other.noted) == (1, [("train", 1), ("train", 2), "complete"])
    assert "mlflow is given up" in caplog.text and SECRET not in caplog.text


def test_an_error_that_is_not_the_librarys_is_not_swallowed():
    with pytest.raises(KeyError):
        Trackers({"wandb": Failing(KeyError("a bug"))}).log("train", 1, {})


class Noting:
    errors = (OSError,)

    def __init__(self):
        self.noted = []

    def log(self, group, step, values):
        self.noted.append((group, step))

    def close(self, status):
        self.noted.append(status)


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "complete"), (Interrupted("an end", "SIGTERM", "resume"), "interrupted"), (KeyError(), "failed")],
)
def test_a_tracker_is_told_how_the_run_ended(folder, monkeypatch, error, status):
    monkeypatch.setattr(trackers_module, "TensorBoard", lambda path: made)
    made = Noting()
    try:
        with tracking(job("tensorboard"), folder, "mine", SeenScreen()):
            if error:
                raise error
    except type(error):
        pass
    assert made.noted == [status]


def test_there_is_a_bar_while_trackers_are_closed_which_may_take_long(folder, monkeypatch):
    class Slow(Noting):
        def close(self, status):
            self.noted += screen.labels

    made, screen = Slow(), SeenScreen()
    monkeypatch.setattr(trackers_module, "TensorBoard", lambda path: made)
    with tracking(job("tensorboard"), folder, "mine", screen):
        assert screen.labels == []
    assert made.noted == ["close the trackers"] and screen.labels == []


class Unreachable:
    """As the module `wandb` while its server is away: `finish` waits as long as it may."""

    class Error(Exception):
        pass

    def __init__(self):
        self.Settings = SimpleNamespace

    def init(self, settings, **about):
        self.settings = settings
        return self

    def define_metric(self, *names, **how): ...

    def log(self, values): ...

    def finish(self, exit_code):
        assert self.settings.finish_timeout == FINISH_S, "it would wait for ever"
        if self.settings.finish_timeout_raises:
            raise TimeoutError("Timed out finishing run.")


def test_a_run_ends_though_wandb_is_away_with_a_warning(folder, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wandb", Unreachable())
    with tracking(job("wandb"), folder, "mine", SeenScreen()) as found:
        found.log("train", 1, {"loss": 0.5})
    assert caplog.text.count("wandb is given up for the rest of this run: Timed out finishing run.") == 1


@needs("tensorboard")
def test_tensorboard_shows_one_curve_over_both_processes_of_a_run(folder, quiet):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    follow("tensorboard", folder, (1, 0.5), (2, 0.25))
    follow("tensorboard", folder, (3, 0.125))
    read = EventAccumulator(folder.storage.at("tensorboard"))
    read.Reload()
    assert set(read.Tags()["scalars"]) == {"train/loss", "round/pairs/dropped/factuality tie"}
    assert [(point.step, point.value) for point in read.Scalars("train/loss")] == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert_no_secret(quiet)


@needs("tensorboard")
def test_on_an_object_store_the_curves_are_copied_and_a_store_that_fails_ends_them_and_not_the_run(caplog, monkeypatch):
    class NoCredentialsError(Exception):
        """As a driver raises it: no OSError."""

    def refuse(path, data):
        raise NoCredentialsError(f"for https://me:{SECRET}@host")

    monkeypatch.setattr(trackers_module, "COPY_S", 0.0)
    folder = RunFolder(Storage(f"memory://{uuid.uuid4().hex}"))
    with tracking(job("tensorboard"), folder, "mine", SeenScreen()) as found:
        found.log("train", 1, {"loss": 0.5})
        (name,) = folder.storage.names("tensorboard")
        assert b"train/loss" in folder.storage.read(name)
        monkeypatch.setattr(folder.storage._fs, "pipe_file", refuse)
        found.log("train", 2, {"loss": 0.5})
    assert caplog.text.count("tensorboard is given up") == 1
    assert "NoCredentialsError" in caplog.text and SECRET not in caplog.text


@needs("mlflow")
def test_mlflow_has_one_run_over_both_processes_with_its_settings(folder, quiet):
    from mlflow import MlflowClient

    follow("mlflow", folder, (1, 0.5), (2, 0.25))
    follow("mlflow", folder, (3, 0.125))
    client = MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("flame-ray").experiment_id])
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert (run.info.run_name, run.info.status, run.data.params["run.rounds"]) == ("mine", "FINISHED", "3")
    assert_no_secret(quiet)


@needs("wandb")
def test_wandb_keeps_the_run_offline_under_its_id_for_a_later_sync(folder, quiet):
    follow("wandb", folder, (1, 0.5), (2, 0.25))
    follow("wandb", folder, (3, 0.125))
    found = list(quiet.rglob("run-mine.wandb"))
    assert found and all(b"train/loss" in path.read_bytes() for path in found)
    assert all((quiet / "runs" / "mine") in path.parents for path in found)
    assert_no_secret(quiet)


def assert_no_secret(folder) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files and [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_a_name_with_a_password_in_it_such_as_a_source_of_prompts_is_told_without_it():
    told = {}

    class Telling:
        errors = ()

        def log(self, group, step, values):
            told.update(values)

    Trackers({"one": Telling()}).log("round", 1, {"examples/by_source/s3://me:hunter2@host/a.jsonl": 3.0})
    (name,) = told
    assert "hunter2" not in name and name.startswith("examples/by_source/s3")
