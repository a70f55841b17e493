"""`flame-ray status`, `logs` and `stop`: a run by its own record, and by the jobs that were this run."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from flame_ray.cluster.job_log import TRIES
from flame_ray.cluster.job_server import JobServer, Submission, newest, same_place
from flame_ray.cluster.submitted import told_exit_code
from flame_ray.commands.follow import DETACHED, exit_code_of, follow_run, had_begun, seen_folder, show_log
from flame_ray.errors import ConfigError, FlameError, Interrupted, PlacementError, StorageError
from flame_ray.journal.run_folder import RunFolder, find_run
from flame_ray.journal.run_status import RunStatus, State, has_record, read_status
from flame_ray.shown import say
from flame_ray.storage.lease import Owner

POLL_S, REMIND_S = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """A run as it is seen from here. `folder`: None if it cannot be seen; `server`: None without an address. `place`: the path
    or URL of the folder, also of one that cannot be seen; None if nobody knows it.
    """

    run: str
    folder: RunFolder | None
    server: JobServer | None
    place: str | None

    def status(self) -> RunStatus | None:
        return read_status(self.folder) if self.folder and has_record(self.folder) else None

    def jobs(self) -> list[Submission]:
        """The jobs that were this run, the newest last."""
        status = self.status()
        recorded = status.submissions if status else ()
        return self.server.submissions(self.run, recorded, self.place) if self.server else []


def find(name: str, purpose: str, server: JobServer | None) -> Target:
    """A run by its folder, or by its id: under runs/, or where its jobs say that its folder is.

    Raises ConfigError for the id of several runs, in folders under different roots.
    """
    folder = find_run(name, purpose)
    run = folder.storage.url.rpartition("/")[2]
    url = folder.storage.url
    if has_record(folder) or server is None:
        return Target(run, folder, server, url)
    given = url if "/" in name else None
    found = server.submissions(run, folder=given)
    told = [each.metadata["run_folder"] for each in found if "run_folder" in each.metadata]
    if others := [each for each in told if not same_place(each, told[-1])]:
        fix = "give the folder of the one that is meant"
        raise ConfigError("the id of one run", f"{run}, which two runs have: {others[-1]} and {told[-1]}", fix)
    return Target(run, seen_folder(told[-1]), server, told[-1]) if told else Target(run, None, server, given)


def status(name: str, server: JobServer | None, console: Console) -> None:
    """Print where the run stands. Raises StorageError if neither a folder nor a job of it is found."""
    target = find(name, "the run to look at", server)
    found, jobs = target.status(), target.jobs()
    if found is None and not jobs:
        read_status(find_run(name, "the run to look at"))  # raises, with the path
    lines = status_lines(found) if found else {"run": target.run, "record": _without_record(target.run, jobs)}
    for job in jobs:
        code = "" if job.exit_code is None else f", exit code {job.exit_code}"
        lines[f"job {job.id}"] = f"{job.status}{code}"
    if found and found.submissions and not target.server:
        lines["jobs"] = f"{', '.join(found.submissions)} (--address of their cluster shows more)"
    for label, value in lines.items():
        say(console, f"{label:<9} {value}")


def _without_record(run: str, jobs: Sequence[Submission]) -> str:
    """Of a run, or of another command that `ray job submit` has sent under a name."""
    if any("run_folder" in each.metadata for each in jobs):
        return "no folder that can be seen from here"
    return f"none that can be seen from here; `flame-ray logs {run}` shows what it says"


def status_lines(status: RunStatus) -> dict[str, str]:
    """By its label, each line that a person reads of a run's record."""
    lines = {"run": status.id, "folder": status.url, "state": status.state.value}
    if status.planned:
        done = max(status.rounds, default=None)
        lines["rounds"] = f"{'none' if done is None else f'round {done}'} of {status.planned} done"
    if status.stages:
        lines["now"] = ", ".join(f"round {each.round} {each.stage}" for each in status.stages)
    if status.owner:
        lines["process"] = f"{status.owner.pid} on {status.owner.host}, {time.time() - status.owner.renewed:.0f} s ago"
    if status.error:
        lines["ended by"] = status.error
    if status.state in (State.INTERRUPTED, State.LOST):
        lines["go on"] = f"--resume {status.id}"
    return lines


def logs(name: str, server: JobServer, follow: bool, console: Console) -> int:
    """Show the log of the newest job of the run. With `follow`, returns the run's exit code; otherwise 0."""
    target = find(name, "the run whose log is shown", server)
    recorded = target.folder.submissions() if target.folder else ()
    job = newest(target.run, server, recorded, target.place)
    if follow:
        return follow_run(server, job.id, target.run, _path(target), console)
    show_log(server.log(job.id))
    return 0


def stop(name: str, server: JobServer | None, console: Console, sleep: Callable[[float], None] = time.sleep) -> int:
    """Stop a run and wait until it has ended by its own record. Raises StorageError if it was killed instead.

    Returns the exit code: 0, or 130 after Ctrl-C, which ends only the wait.
    """
    target = find(name, "the run to stop", server)
    job = next((each for each in reversed(target.jobs()) if not each.has_ended), None)
    found = target.status()
    if job and server:
        server.stop(job.id)
    elif found and found.owner:
        _signal(found.owner, target)
    elif found is None:
        fix = "correct the run's id or folder; for a submitted run, give the --address of its cluster"
        raise StorageError(f"a run {target.run} that goes on", "no record of it, and no job of it that goes on", fix)
    else:
        _say_end(found, console)
        return 0
    try:
        _wait(target, job, console, sleep)
    except KeyboardInterrupt:
        line = f"\n{target.run} is told to stop, and stores its state without this command. See: flame-ray status {target.run}"
        say(console, line)
        return DETACHED
    return 0


def _signal(owner: Owner, target: Target) -> None:
    """Ask a process of this machine to stop. Raises ConfigError where it is another machine's."""
    if not Owner.me(time.time()).sees(owner):
        found = f"process {owner.pid} on {owner.host}"
        fix = "give the --address of the cluster that it was submitted to, or stop that process there"
        raise ConfigError(f"run {target.run} on this machine, or as a job of a cluster", found, fix)
    os.kill(owner.pid, signal.SIGTERM)


def _wait(target: Target, submitted: Submission | None, console: Console, sleep: Callable[[float], None]) -> None:
    """Until the job, if it is one, and the run have ended; a line every 30 s says that they have not.

    Raises PlacementError if the head is silent for too long.
    """
    started = said = time.monotonic()
    for job in _looks(target, submitted):
        found = target.status()
        if (job is None or job.has_ended) and not (found and found.state is State.RUNNING):
            break
        sleep(POLL_S)
        if time.monotonic() - said >= REMIND_S:
            said = time.monotonic()
            stages = ", ".join(f"round {each.round} {each.stage}" for each in found.stages) if found else ""
            line = f"waiting for the end of {target.run}: {said - started:.0f} s; {stages or 'it stores its state'}"
            say(console, line)
    if job and target.server and not (found and found.is_of(job.id)):
        _say_end_of_job(job, target, target.server, console)
    elif found:
        _say_end(found, console)


def _looks(target: Target, job: Submission | None) -> Iterator[Submission | None]:
    """The job, again and again, as the head last told it. Raises PlacementError if the head is silent TRIES times in a row."""
    failures = 0
    while True:
        try:
            job, failures = target.server.look(job.id) if job and target.server else None, 0
        except PlacementError:
            failures += 1
            if failures == TRIES:
                raise
        yield job


def _say_end_of_job(job: Submission, target: Target, server: JobServer, console: Console) -> None:
    """Of one whose run has no record that can be seen from here, or one of an earlier job."""
    before = target.status()
    if job.status == "STOPPED" and (told_exit_code(server.log(job.id)) is None if before else not had_begun(job, server)):
        left = f"{target.run} is as before, {before.state}" if before else "there is nothing to resume"
        line = f"{job.id} had not begun when it was stopped: {left}"
    else:
        code = exit_code_of(job, server, _path(target))
        advice = f"; `flame-ray logs {target.run}` says how to go on" if code == Interrupted.exit_code else ""
        line = f"{target.run} has ended with exit code {code}{advice}"
    say(console, line)


def _say_end(status: RunStatus, console: Console) -> None:
    """Raises StorageError for a run that did not write how it ended."""
    if not status.state.is_final:
        found = f"{status.url}, whose process was killed before it wrote how it ended"
        fix = f"continue with --resume {status.id}: it goes on from the last piece of work that it stored"
        raise StorageError(f"run {status.id} to have ended by its own record", found, fix)
    advice = f"; continue with --resume {status.id}" if status.exit_code == Interrupted.exit_code else ""
    say(console, f"{status.id} has ended: {status.state}{advice}")


def _path(target: Target) -> str | None:
    return target.folder.storage.url if target.folder else None


def reached(connect: Callable[[], JobServer], name: str, given: bool, console: Console) -> JobServer | None:
    """The job server. One that only a variable names may be away if the run's folder is here: that is then said."""
    try:
        return connect()
    except FlameError as error:
        if given or not has_record(find_run(name, "the run")):
            raise
        say(console, f"without the job server: {error.found}")
        return None
