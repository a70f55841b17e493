"""Shows the curves of a run where `run.trackers` says: TensorBoard, Weights & Biases, MLflow, each by its own library.

A resumed run goes on with the same curves, which its id names. A tracker that fails later is given up, with a warning.
"""

import logging
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from flame_ray.config import Config
from flame_ray.errors import ConfigError, FlameError, Interrupted, StorageError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.report.progress import Screen
from flame_ray.shown import hide_secrets, without_secrets
from flame_ray.storage.filesystem import Storage

log = logging.getLogger(__name__)
PROJECT = "flame-ray"
FOLDER = "tensorboard"  # in the run's folder
COPY_S = 60.0  # between two copies of the event files to an object store: each copies all that there is
FINISH_S = 60.0  # that W&B may take to send what is left at the end: the GPUs and the run's lease are still held
RUN_TAG = "flame_ray.run"
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}  # tracker -> module; each is an extra too
TESTED = {  # as in pyproject.toml
    "tensorboard": "tensorboard==2.21.0",
    "wandb": "wandb==0.31.0",
    "mlflow": "mlflow-skinny==3.17.2",
}
ENDS = {"complete": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}  # as MLflow says it
LONGEST, MOST_PARAMS = 500, 100  # characters of a setting that MLflow is given, and how many settings it takes at once


class Tracker(Protocol):
    """`group`: `train`, whose step counts the learner's steps, or `round`, whose step is a round."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the library raises when it cannot reach its place."""
        ...

    def log(self, group: str, step: int, values: Mapping[str, float]) -> None: ...

    def close(self, status: str) -> None:
        """`status`: complete, interrupted or failed."""
        ...


class Trackers:
    """All trackers of a run."""

    def __init__(self, trackers: Mapping[str, Tracker] | None = None):
        self._trackers = dict(trackers or {})

    def log(self, group: str, step: int, values: Mapping[str, float]) -> None:
        finite = {_plain(without_secrets(name)): value for name, value in values.items() if math.isfinite(value)}
        for name, tracker in list(self._trackers.items()):
            with self._giving_up(name):
                tracker.log(group, step, finite)

    def close(self, status: str) -> None:
        for name, tracker in list(self._trackers.items()):
            with self._giving_up(name):
                tracker.close(status)

    @contextmanager
    def _giving_up(self, name: str) -> Iterator[None]:
        """A run does not end because nobody can look at it."""
        try:
            yield
        except self._trackers[name].errors as error:
            log.warning("%s is given up for the rest of this run: %s", name, without_secrets(str(error)))
            del self._trackers[name]


def check_trackers(names: Sequence[str]) -> None:
    """Raises ConfigError for a tracker whose package is not installed."""
    for name in names:
        if find_spec(PACKAGES[name]) is None:
            fix = f"pip install {TESTED[name]} (tested) where the run is started, or leave it out of run.trackers"
            raise ConfigError(f"the package {PACKAGES[name]}, for run.trackers", "that it is not installed", fix)


@contextmanager
def tracking(config: Config, folder: RunFolder, run_id: str, screen: Screen) -> Iterator[Trackers]:
    """The trackers of the settings, for the block; there is a bar while they are closed.

    Raises ConfigError, with the library's words, if one cannot start.
    """
    trackers = Trackers({name: _opened(name, config, folder, run_id) for name in config.run.trackers})
    status = "failed"
    try:
        yield trackers
        status = "complete"
    except (Interrupted, KeyboardInterrupt):
        status = "interrupted"
        raise
    finally:
        with closing(screen.begin("close the trackers")):
            trackers.close(status)


def _opened(name: str, config: Config, folder: RunFolder, run_id: str) -> Tracker:
    settings = hide_secrets(config.model_dump(mode="json"))
    try:
        match name:
            case "tensorboard":
                return TensorBoard(folder.storage)
            case "wandb":
                return WandB(run_id, settings, folder.storage.local)
            case _:
                return MLflow(run_id, settings)
    except FlameError:
        raise
    except Exception as error:  # each library has its own
        fix = "see jobs/README.md, and the library's own settings (WANDB_API_KEY or WANDB_MODE, MLFLOW_TRACKING_URI)"
        found = without_secrets(f"{type(error).__name__}: {error}")
        raise ConfigError(f"run.trackers: {name}, which can start", found, fix) from error


class TensorBoard:
    """Event files in the run's folder. Those for an object store are written on this machine and copied."""

    errors = (OSError, StorageError)

    def __init__(self, storage: Storage):
        from torch.utils.tensorboard import SummaryWriter

        self._storage = storage
        self._scratch = None if storage.local else TemporaryDirectory(prefix="flame-ray-")
        self._next_copy = 0.0
        self._writer = SummaryWriter(self._scratch.name if self._scratch else storage.at(FOLDER))

    def log(self, group: str, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)
        if self._scratch and time.monotonic() < self._next_copy:
            return
        self._writer.flush()
        self._copy()

    def close(self, status: str) -> None:
        self._writer.close()
        self._copy()

    def _copy(self) -> None:
        if self._scratch:
            self._next_copy = time.monotonic() + COPY_S
            for path in Path(self._scratch.name).iterdir():
                self._storage.write(f"{FOLDER}/{path.name}", path.read_bytes())


class WandB:
    """A run of the project `flame-ray`. Nothing but figures and settings is sent: no command line, no output, no code."""

    def __init__(self, run_id: str, settings: dict[str, Any], folder: Path | None):
        import wandb

        self.errors: tuple[type[Exception], ...] = (wandb.Error, OSError)
        self._run = wandb.init(
            project=PROJECT,
            id=run_id,
            name=run_id,
            resume="allow",
            dir=folder,
            config=settings,
            settings=wandb.Settings(
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_meta=True,
                x_save_requirements=False,
                allow_val_change=True,
                finish_timeout=FINISH_S,
                finish_timeout_raises=True,
            ),
        )
        for group in ("train", "round"):
            self._run.define_metric(f"{group}/*", step_metric=f"{group}/at")

    def log(self, group: str, step: int, values: Mapping[str, float]) -> None:
        self._run.log({f"{group}/at": step} | {f"{group}/{name}": value for name, value in values.items()})

    def close(self, status: str) -> None:
        self._run.finish(exit_code=int(status != "complete"))


class MLflow:
    """A run of the experiment `flame-ray`, found again by a tag. MLFLOW_TRACKING_URI says where."""

    def __init__(self, run_id: str, settings: dict[str, Any]):
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException

        self.errors: tuple[type[Exception], ...] = (MlflowException, OSError)
        self._client, self._metric = MlflowClient(), Metric
        experiment = self._client.get_experiment_by_name(PROJECT)
        id = experiment.experiment_id if experiment else self._client.create_experiment(PROJECT)
        found = self._client.search_runs([id], f"tags.`{RUN_TAG}` = '{run_id}'", max_results=1)
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        self._id = self._client.create_run(id, tags={RUN_TAG: run_id}, run_name=run_id).info.run_id
        params = [Param(name, value[:LONGEST]) for name, value in _flat(settings)]
        for start in range(0, len(params), MOST_PARAMS):
            self._client.log_batch(self._id, params=params[start : start + MOST_PARAMS])

    def log(self, group: str, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        self._client.log_batch(self._id, [self._metric(f"{group}/{name}", value, now, step) for name, value in values.items()])

    def close(self, status: str) -> None:
        self._client.set_terminated(self._id, ENDS[status])


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """
    >>> dict(_flat({"run": {"seed": 7}, "sft": {}}))
    {'run.seed': '7'}
    """
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", str(value)


def _plain(name: str) -> str:
    """A name that every tracker takes.

    >>> _plain("pairs/dropped/factuality: tie")
    'pairs/dropped/factuality tie'
    """
    return re.sub(r"[^\w/. -]", "", name)
