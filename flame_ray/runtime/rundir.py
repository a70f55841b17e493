"""Where a run is written. A file is written aside and renamed, so that what is there under its own name is whole.

In: settings, records. Out: `runs/<run id>/` with config.yaml, environment.json, metrics.jsonl, summary.json, rounds/ and
checkpoints/. Any failure to write is a StorageError that names the path. Knows nothing of what the records mean.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from flame_ray.config import Config
from flame_ray.errors import StorageError

RESERVE_BYTES = 256 * 2**20


def run_id(config: Config) -> str:
    """The id of the settings, or one of name and time."""
    return config.run.id or f"{config.run.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


class RunDirectory:
    """One run's folder."""

    def __init__(self, path: Path):
        self.path = path

    @staticmethod
    def check(path: Path, needed_bytes: int) -> None:
        """Refuse a folder that is there, or a disk without room. Raises StorageError."""
        if path.exists():
            raise StorageError(
                "a run id that is new", f"{path} is there already", "choose another run.id, or remove the folder"
            )
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        free = shutil.disk_usage(parent).free
        if free < needed_bytes:
            raise StorageError(
                f"{_size(needed_bytes)} free for {path}",
                f"{_size(free)} on its disk",
                "free some space, set run.root to another disk, or turn run.save_merged off",
            )

    @classmethod
    def create(cls, path: Path, config: Config, environment: dict[str, Any]) -> "RunDirectory":
        run = cls(path)
        with storing(path):
            path.mkdir(parents=True)
        run.write_text("config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
        run.write_json("environment.json", environment)
        return run

    def checkpoint(self, round: int) -> Path:
        """Where a round's checkpoint goes; an absolute path, since learner ranks have their own working folder."""
        return (self.path / "checkpoints" / f"round-{round:04d}").absolute()

    def write_json(self, name: str, value: Any) -> None:
        self.write_text(name, json.dumps(value, indent=1, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        with self._aside(name) as path:
            path.write_text(text, encoding="utf-8")

    def write_table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Rows as Parquet; nothing is written when there are none."""
        if rows:
            with self._aside(name) as path:
                pq.write_table(pa.Table.from_pylist(rows), path)

    def append_json(self, name: str, value: Any) -> None:
        with storing(self.path / name), (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(value, allow_nan=False) + "\n")

    @contextmanager
    def _aside(self, name: str) -> Iterator[Path]:
        target = self.path / name
        aside = target.with_name(f".{target.name}.part")
        with storing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield aside
                os.replace(aside, target)
            finally:
                aside.unlink(missing_ok=True)


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turns a failure to write into a StorageError that says which path and why."""
    try:
        yield
    except OSError as error:
        fix = (
            "free some space, or set run.root to another disk"
            if error.errno == errno.ENOSPC
            else "check the folder's permissions, or set run.root"
        )
        raise StorageError(f"to write {path}", f"{error.strerror or error}", fix) from error


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
