"""Follows the log of a submitted run, and finds out how it ended: from the job server, its folder, or its last line."""

import sys
from functools import partial

from rich.console import Console

from flame_ray.cluster.job_log import follow
from flame_ray.cluster.job_server import JobServer, Submission
from flame_ray.cluster.submitted import told_exit_code
from flame_ray.errors import StorageError
from flame_ray.journal.run_folder import RunFolder
from flame_ray.journal.run_status import has_record, read_status
from flame_ray.shown import HIDDEN, escaped, say, without_secrets
from flame_ray.storage.filesystem import Storage

DETACHED = 130  # as a shell says of Ctrl-C
ENTRYPOINT = "Running entrypoint for job"  # Ray's last line in a job's log; what follows is the job's


def follow_run(server: JobServer, submission: str, run: str, folder: str | None, console: Console) -> int:
    """Shows the log until the end. Returns the run's exit code, or 130 after Ctrl-C, which leaves the job as it is."""
    try:
        ended = follow(server, submission, show_log, partial(_remind, console))
    except KeyboardInterrupt:
        say(console, f"\n{submission} goes on. Follow it: flame-ray logs {run} --follow; end it: flame-ray stop {run}")
        return DETACHED
    code = exit_code_of(ended, server, folder)
    say(console, f"{submission} has ended: {ended.status}, exit code {code}")
    if ended.exit_code is None and ended.message:
        say(console, ended.message)
    return code


def show_log(text: str) -> None:
    """A job's log may hold a model's text: it is shown, and never obeyed."""
    sys.stdout.write(escaped(without_secrets(text.replace("\r\n", "\n").replace("\r", "\n")), keep="\n\t"))
    sys.stdout.flush()


def _remind(console: Console, job: Submission) -> None:
    say(console, f"{job.id}: {job.status}; {job.message}")


def exit_code_of(job: Submission, server: JobServer, folder: str | None) -> int:
    """The exit code of a run whose job has ended. Raises StorageError if nobody knows it: it did not begin, or was killed.

    The folder is asked after a stop alone, and if this job took the run up: it else says how an earlier job ended.
    """
    recorded = _recorded(folder, job.id) if job.status == "STOPPED" else None
    known = (job.exit_code, recorded, told_exit_code(server.log(job.id)))
    code = next((each for each in known if each is not None), None)
    if code is None:
        found = f"{job.id}, which the job server calls {job.status}: {job.message or 'no reason given'}"
        fix = "read its log, and resume it, or submit it again if it had not begun"
        raise StorageError("a run that says how it ended, in its folder or in its log", found, fix)
    return code if code >= 0 else 128 - code  # of a signal


def had_begun(job: Submission, server: JobServer) -> bool:
    """Whether a job, which has ended, may have taken up its run: not if it wrote nothing, or if its run has no folder."""
    log = server.log(job.id)
    is_quiet = not log.partition(ENTRYPOINT)[2].partition("\n")[2].strip()
    return told_exit_code(log) is not None or not (is_quiet or _is_absent(job.metadata.get("run_folder")))


def _is_absent(path: str | None) -> bool:
    """Whether no run is at a path or URL, where the folder of its runs can be seen from here. Each machine has its own `~`."""
    if path is None or HIDDEN in path or path.startswith("~"):
        return False
    try:
        folder = RunFolder(Storage(path))
        return (folder.storage.local is None or folder.storage.local.parent.is_dir()) and not has_record(folder)
    except StorageError:
        return False


def _recorded(folder: str | None, submission: str) -> int | None:
    """The exit code of this job by the run's folder; None where that cannot be seen from here, or is of another job."""
    seen = seen_folder(folder)
    status = read_status(seen) if seen else None
    return status.exit_code if status and status.is_of(submission) else None


def seen_folder(path: str | None) -> RunFolder | None:
    """A run's folder by its path or URL, if it can be seen from here and has a run's record. A hidden password opens none."""
    if path is None or HIDDEN in path:
        return None
    try:
        folder = RunFolder(Storage(path))
        return folder if has_record(folder) else None
    except StorageError:  # of a store whose credentials or driver this machine lacks
        return None
