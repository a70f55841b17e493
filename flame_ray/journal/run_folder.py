"""Reads and writes a run's folder, `<run.root>/<run id>/`: settings, environment, tables and summaries.

It holds config.yaml, environment.json, metrics.jsonl, summary.json, rounds/ and checkpoints/. A run is resumed only with the
settings that made it.
"""

import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from flame_ray.cluster.submitted import job_metadata, require_lasting
from flame_ray.config import Config, RunConfig
from flame_ray.config.load import changed_settings, leaves, parse_config
from flame_ray.errors import ConfigError, DataError, Interrupted, StorageError
from flame_ray.shown import hide_secrets, kind_of, why_hidden
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.local_copy import Folder, folder_of
from flame_ray.storage.text_files import reason

log = logging.getLogger(__name__)
RESERVE_BYTES = 256 * 2**20
CONFIG, ENVIRONMENT, SUMMARY, TIMELINE = "config.yaml", "environment.json", "summary.json", "timeline.json"
SUBMISSIONS = "submissions.json"  # ids of the jobs that were this run; there is none of a run that was not submitted
LATER_CODE = "later_code"  # of environment.json: the code of resumed processes, each with the round `from_round` that it began
PLACES = {"run.root", "run.samples", "cluster.address"}  # URLs, perhaps with passwords; a resume takes those of its command
FORMAT = 5  # of what a run stores for its resume; environment.json names it, and one that names none is of format 1


def run_id(config: Config) -> str:
    """run.id, or an id made of run.name and the time."""
    return config.run.id or f"{config.run.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def check_not_hidden(config: Config) -> None:
    """Raises ConfigError for a setting that the run's folder would hold as `***`, so that no later command could read it."""
    for setting, value in leaves(config.model_dump(mode="json")).items():
        if setting not in PLACES and (why := why_hidden([setting, value])):
            raise ConfigError(
                "settings without secrets, which are hidden in the run's folder",
                f"{setting}, which holds {why}",
                "give it another value, or start the run without that variable",
            )


def code_of(environment: Mapping[str, Any], round: int) -> Mapping[str, Any]:
    """What environment.json says of the code that trained a round: `flame_ray`, `git_commit` and `source_sha256`."""
    since = [code for code in environment.get(LATER_CODE, ()) if code["from_round"] <= round]
    return since[-1] if since else environment


def find_run(name: str, purpose: str) -> "RunFolder":
    """A run by its folder, or by its id under the default of run.root. `purpose`, as in "the run to audit", is for errors.

    Raises ConfigError for a blank name, or a place that does not last.
    """
    if not name.strip("./ "):
        raise ConfigError("a run's id or folder", repr(name), "give the id of a run under runs/, or a run's folder")
    is_path = "/" in name or Path(name).is_dir()
    path = name if is_path else f"{RunConfig().root}/{name}"
    require_lasting(purpose, path, "/shared/path/RUN, or s3://bucket/path/RUN")
    return RunFolder(Storage(path))


class RunFolder:
    """One run's folder, on any storage."""

    def __init__(self, storage: Storage):
        self.storage = storage

    @property
    def checkpoints(self) -> Folder:
        """An absolute path or a URL, since learner ranks run in another working folder."""
        return folder_of(self.storage) / "checkpoints"

    def check_place(self, is_new: bool) -> None:
        """Raises StorageError if a new run's folder exists, or if nothing can be written there: known before any model is."""
        if is_new:
            self._refuse_existing("")
        self.check_room(RESERVE_BYTES)

    def check_room(self, needed_bytes: float) -> None:
        """Raises StorageError if nothing can be written, or if the disk has not enough room."""
        with self.storage.trial():
            pass
        free = self.storage.free_bytes()
        if free is not None and free < needed_bytes:
            raise StorageError(
                f"{_size(needed_bytes)} free for {self.storage.url}",
                f"{_size(free)} on its disk",
                "free some space, set run.root to another disk, set run.keep_checkpoints, or set run.save_merged to false",
            )

    def check_resumable(self, config: Config) -> None:
        """Raises ConfigError, naming the settings, if others made the run; StorageError if it is complete or too old."""
        self.check_format()
        stored = parse_config(self.settings(), self.storage.at(CONFIG))
        if changed := changed_settings(stored, config):
            raise ConfigError(
                f"the settings that made the run, {self.storage.at(CONFIG)}",
                "; ".join(changed),
                "set them back, or start a new run",
            )
        if self.summary().get("status") == "complete":
            raise StorageError("an unfinished run", f"{self.storage.url}, which is complete", "start a new run")

    def check_format(self) -> None:
        """Raises StorageError for what another version has stored."""
        found = self.read_json(ENVIRONMENT, {}).get("format", 1)
        if self.storage.exists(CONFIG) and found != FORMAT:
            raise StorageError(
                f"a run of format {FORMAT}, which this version of flame-ray resumes",
                f"{self.storage.url}, of format {found}",
                "resume it with the version that started it (its environment.json says which), or start a new run",
            )

    def create(self, config: Config, environment: dict[str, Any]) -> None:
        """Writes settings and environment, without the passwords of URLs.

        Raises StorageError if another process has made the run since `check_new`.
        """
        self._refuse_existing(CONFIG)
        self.write_json(ENVIRONMENT, {"format": FORMAT} | environment)
        self.write_text(CONFIG, yaml.safe_dump(hide_secrets(config.model_dump(mode="json")), sort_keys=False))

    def models(self) -> dict[str, str]:
        """By their settings, the models that the run began with, with the commits of hub ids."""
        return self.read_json(ENVIRONMENT, {}).get("models", {})

    def check_unchanged(self, name: str, setting: str, now: Mapping[str, str]) -> None:
        """Raises DataError, naming the sources, if the run began with other data. `name`: of its digests in environment.json.

        A run of an earlier version has none, and is not checked.
        """
        began = self.read_json(ENVIRONMENT, {}).get(name)
        changed = [source for source in dict.fromkeys([*began, *now]) if began.get(source) != now.get(source)] if began else []
        if changed:
            raise DataError(
                f"the {name} that the run began with in {setting}",
                f"other ones in {', '.join(changed)}",
                "restore what changed, or start a new run: what is stored belongs to the earlier ones",
            )

    def check_contents(self, now: Mapping[str, str]) -> None:
        """The same for what the settings only name, by setting. A run of an earlier version noted fewer of them."""
        began = self.read_json(ENVIRONMENT, {}).get("contents") or {}
        self.check_unchanged("contents", "what the settings name", {name: now[name] for name in now if name in began})

    def note_code(self, code: Mapping[str, Any], from_round: int) -> None:
        """Adds the code of a process that resumes the run and trains this round and later ones, if it is not that of before."""
        made = self.read_json(ENVIRONMENT, {})
        before, now = (each.get("source_sha256") for each in (code_of(made, from_round), code))
        if before == now:
            return
        self.write_json(ENVIRONMENT, made | {LATER_CODE: [*made.get(LATER_CODE, ()), {"from_round": from_round, **code}]})
        log.warning("other code trains from round %d on: source_sha256 %.12s, before %.12s", from_round, now, before)

    def submissions(self) -> list[str]:
        """The ids of the submitted jobs that were this run, the newest last."""
        return self.read_json(SUBMISSIONS, [])

    def note_submission(self) -> None:
        """Adds this process's submitted job, if it is one."""
        if submission := job_metadata().get("job_submission_id"):
            self.write_json(SUBMISSIONS, [*self.submissions(), submission])

    def _refuse_existing(self, name: str) -> None:
        if self.storage.exists(name):
            raise StorageError(
                "a new run id",
                f"{self.storage.url}, which exists already",
                "choose another run.id, remove the folder, or resume the run with --resume",
            )

    def summary(self) -> dict[str, Any]:
        """The content of summary.json, or {} if there is none."""
        return self.read_json(SUMMARY, {})

    def note_running(self) -> None:
        """Takes back what an earlier process wrote of its end: a kill would leave it as the end of this one."""
        found = self.summary()
        if found.get("status") in ("interrupted", "failed"):
            found.pop("error", None)
            self.write_json(SUMMARY, found | {"status": "running"})

    def note_end(self, error: BaseException) -> None:
        """Writes how a process of the run ended, unless its journal has. The error matters more than one of the disk."""
        with suppress(StorageError):
            found = self.summary()
            if not self.storage.exists(CONFIG) or found.get("status", "running") != "running":
                return
            is_told = isinstance(error, Interrupted | KeyboardInterrupt)
            text = str(error) if is_told else f"{type(error).__name__}: {error}"
            ended = {"status": "interrupted" if is_told else "failed"} | ({"error": text} if text else {})
            self.write_json(SUMMARY, {"run_id": self.storage.url.rpartition("/")[2]} | found | ended)

    def settings(self) -> dict[str, Any]:
        """The content of config.yaml. Raises StorageError if it is damaged."""
        found = self._parsed(CONFIG, yaml.safe_load)
        if not isinstance(found, dict):
            raise self._damaged(CONFIG, kind_of(found))
        return found

    def read_json(self, name: str, otherwise: Any) -> Any:
        """The content of a JSON file, or `otherwise` if there is none. Raises StorageError if it is damaged."""
        return self._parsed(name, json.loads) if self.storage.exists(name) else otherwise

    def _parsed(self, name: str, parse: Callable[[bytes], Any]) -> Any:
        try:
            return parse(self.storage.read(name))
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            raise self._damaged(name, reason(error).partition("\n")[0]) from error

    def _damaged(self, name: str, why: str) -> StorageError:
        return StorageError(f"a run's {name}", f"{self.storage.at(name)}: {why}", "restore that file, or give another run")

    def write_json(self, name: str, value: Any) -> None:
        """Without secrets: a note or an error may hold the URL of a bucket, with its password."""
        self.write_text(name, json.dumps(hide_secrets(value), indent=1, allow_nan=False) + "\n")

    def read_lines(self, name: str) -> list[Any]:
        """The objects of such a file; none if there is no file."""
        return [json.loads(line) for line in self.storage.read(name).splitlines()] if self.storage.exists(name) else []

    def write_lines(self, name: str, values: list[Any]) -> None:
        """One JSON object a line, without secrets."""
        self.write_text(name, "".join(json.dumps(hide_secrets(value), allow_nan=False) + "\n" for value in values))

    def write_text(self, name: str, text: str) -> None:
        self.storage.write(name, text.encode())

    def read_held_out(self, round: int, table: str, *columns: str) -> list[dict[str, Any]]:
        """Columns of a table of the held-out answers: prompts, responses, sentences, facts or evidence. See `read_table`."""
        return self.read_table(held_out_table(round, table), list(columns))

    def read_table(self, name: str, columns: list[str]) -> list[dict[str, Any]]:
        """Columns of a Parquet table; no row if there is no such file, as `table` writes none without rows.

        Raises StorageError for a damaged file, and for one without such columns.
        """
        if not self.storage.exists(name):
            return []
        try:
            return pq.read_table(io.BytesIO(self.storage.read(name)), columns=columns).to_pylist()
        except pa.ArrowException as error:
            found = f"{self.storage.at(name)}: {error}"
            fix = "restore the file from a copy of the run"
            raise StorageError(f"a table with {', '.join(columns)}", found, fix) from error

    @contextmanager
    def table(self, name: str, columns: pa.Schema) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
        """Yields a call that adds rows, a row group each time. A file is written if there are any and the block ends well."""
        writer: pq.ParquetWriter | None = None

        def add(rows: list[dict[str, Any]]) -> None:
            nonlocal writer
            if rows and writer is None:
                path = stack.enter_context(self.storage.replacing(name))
                writer = stack.enter_context(pq.ParquetWriter(path, columns))
            if writer is not None and rows:
                writer.write_table(pa.Table.from_pylist(rows, schema=columns))

        with ExitStack() as stack:
            yield add


def held_out_table(round: int, name: str) -> str:
    return f"rounds/{round:04d}/heldout_{name}.parquet"


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
