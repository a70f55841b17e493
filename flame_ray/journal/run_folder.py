"""A run's folder: its settings, its environment, its tables and summaries.

In: settings, records. Out: `<run.root>/<run id>/` with config.yaml, environment.json, metrics.jsonl, summary.json, rounds/ and
checkpoints/. A folder of an earlier process is opened again only with the settings that made it. Knows nothing of stages.
"""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from flame_ray.config import Config
from flame_ray.config.load import changed_settings, parse_config
from flame_ray.errors import ConfigError, StorageError
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.local_copy import Folder, folder_of

RESERVE_BYTES = 256 * 2**20
CONFIG, SUMMARY = "config.yaml", "summary.json"


def run_id(config: Config) -> str:
    """The id of the settings, or one of name and time."""
    return config.run.id or f"{config.run.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


class RunDirectory:
    """One run's folder, on any storage."""

    def __init__(self, storage: Storage):
        self.storage = storage

    @property
    def checkpoints(self) -> Folder:
        """An absolute path or a URL, since learner ranks have their own working folder."""
        return folder_of(self.storage) / "checkpoints"

    def check_new(self, needed_bytes: float) -> None:
        """Refuse a folder that is there, or a disk without room. Raises StorageError."""
        self._refuse_if_there("")
        self.check_room(needed_bytes)

    def check_room(self, needed_bytes: float) -> None:
        free = self.storage.free_bytes()
        if free is not None and free < needed_bytes:
            raise StorageError(
                f"{_size(needed_bytes)} free for {self.storage.url}",
                f"{_size(free)} on its disk",
                "free some space, set run.root to another disk, set run.keep_checkpoints, or turn run.save_merged off",
            )

    def check_resumable(self, config: Config) -> None:
        """Refuse a run that is complete, or that was made with other settings; the message names them."""
        stored = parse_config(yaml.safe_load(self.storage.read(CONFIG)), self.storage.at(CONFIG))
        if changed := changed_settings(stored, config):
            raise ConfigError(
                f"the settings of {self.storage.at(CONFIG)}, which made the run",
                "; ".join(changed),
                "set them back, or start a new run",
            )
        if self.summary().get("status") == "complete":
            raise StorageError("a run that is not finished", f"{self.storage.url} is complete", "start a new run")

    def create(self, config: Config, environment: dict[str, Any]) -> None:
        """Raises StorageError if another process has made the run since `check_new`."""
        self._refuse_if_there(CONFIG)
        self.write_json("environment.json", environment)
        self.write_text(CONFIG, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    def _refuse_if_there(self, name: str) -> None:
        if self.storage.exists(name):
            raise StorageError(
                "a run id that is new",
                f"{self.storage.url} is there already",
                "choose another run.id, remove the folder, or go on with it (--resume)",
            )

    def summary(self) -> dict[str, Any]:
        """summary.json as an earlier process left it; {} when there is none."""
        return self.read_json(SUMMARY, {})

    def read_json(self, name: str, otherwise: Any) -> Any:
        return json.loads(self.storage.read(name)) if self.storage.exists(name) else otherwise

    def write_json(self, name: str, value: Any) -> None:
        self.write_text(name, json.dumps(value, indent=1, allow_nan=False) + "\n")

    def write_lines(self, name: str, values: list[Any]) -> None:
        """One JSON object a line."""
        self.write_text(name, "".join(json.dumps(value, allow_nan=False) + "\n" for value in values))

    def write_text(self, name: str, text: str) -> None:
        self.storage.write(name, text.encode())

    def write_table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Rows as Parquet; nothing is written when there are none."""
        if rows:
            buffer = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(rows), buffer)
            self.storage.write(name, buffer.getvalue())


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
