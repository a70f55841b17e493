"""Says where a run stands by its own record, the run's folder: for `flame-ray status`, and for who waits until it has ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from flame_ray.errors import FlameError, Interrupted, StorageError
from flame_ray.journal.run_folder import CONFIG, TIMELINE, RunFolder
from flame_ray.journal.timeline import RUNNING, Span
from flame_ray.storage.lease import Clock, Owner, live_owner


class State(StrEnum):
    """LOST: its record says that it runs, and no process owns it: it was killed before it could write how it ended."""

    RUNNING = "running"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    LOST = "killed"

    @property
    def is_final(self) -> bool:
        """Whether the run has written how it ended."""
        return self in (State.COMPLETE, State.INTERRUPTED, State.FAILED)


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where one run stands. `stages`: those that run now. `planned`: 0 for a fine-tuning, which has no rounds."""

    id: str
    url: str
    state: State
    owner: Owner | None
    rounds: tuple[int, ...]
    planned: int
    stages: tuple[Span, ...]
    error: str | None
    submissions: tuple[str, ...]

    @property
    def exit_code(self) -> int | None:
        """The code with which its process ended; None if it runs, or was killed."""
        if self.state is State.FAILED:
            return _code_of(self.error or "")
        return {State.COMPLETE: 0, State.INTERRUPTED: Interrupted.exit_code}.get(self.state)

    def is_of(self, submission: str) -> bool:
        """Whether this job was the last to take the run up. The state is else that of an earlier process."""
        return self.submissions[-1:] == (submission,)


def has_record(folder: RunFolder) -> bool:
    return folder.storage.exists(CONFIG)


def check_record(folder: RunFolder) -> None:
    """Raises StorageError where no run is."""
    if not has_record(folder):
        fix = "give a run's id or folder; a run that has just begun has none until its actors are ready"
        raise StorageError("the folder of a run", f"no {folder.storage.at(CONFIG)}", fix)


def read_status(folder: RunFolder, clock: Clock | None = None) -> RunStatus:
    """Raises StorageError where no run is."""
    check_record(folder)
    owner, summary = live_owner(folder.storage, clock), folder.summary()
    config = folder.settings()
    spans = [Span(**each) for each in folder.read_json(TIMELINE, [])]
    return RunStatus(
        id=folder.storage.url.rpartition("/")[2],
        url=folder.storage.url,
        state=_state(summary.get("status", "running"), owner),
        owner=owner,
        rounds=tuple(each["round"] for each in summary.get("rounds", [])),
        planned=0 if config.get("sft", {}).get("sources") else config["run"]["rounds"],
        stages=tuple(each for each in spans if each.ended == RUNNING) if owner else (),
        error=summary.get("error"),
        submissions=tuple(folder.submissions()),
    )


def _state(recorded: str, owner: Owner | None) -> State:
    if owner:
        return State.RUNNING
    return State.LOST if recorded == "running" else State(recorded)


def _code_of(error: str) -> int:
    """The exit code of an error by the name of its class, with which its text begins; 1 for any other, as Python's."""
    name = error.partition(":")[0]
    return next((kind.exit_code for kind in _kinds(FlameError) if kind.__name__ == name), 1)


def _kinds(kind: type[FlameError]) -> Iterator[type[FlameError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)
