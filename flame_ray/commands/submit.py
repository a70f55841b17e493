"""`flame-ray submit`: checks a job, sends it to a cluster's job server, follows its log, and exits as the run does."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from rich.console import Console

from flame_ray.cluster.job_server import STOP_WAIT, JobServer, Order
from flame_ray.cluster.submitted import ROOT, refuse_relative
from flame_ray.cluster.token import narrow_token
from flame_ray.commands.follow import follow_run
from flame_ray.commands.job_command import job_command
from flame_ray.config import Config
from flame_ray.config.load import files_of, load_config
from flame_ray.doctor.render import render
from flame_ray.doctor.submission import examine_submission
from flame_ray.errors import ConfigError, PlacementError, StorageError
from flame_ray.journal.environment import git_commit
from flame_ray.journal.run_folder import RunFolder, check_not_hidden, run_id
from flame_ray.journal.run_status import has_record
from flame_ray.shown import names_secret, say, without_secrets
from flame_ray.storage.filesystem import Storage

MARGIN_S = 60  # to end the actors, beside what a step and a checkpoint may take


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """What a person asks for. `environment`: names of variables of this process that the job gets too."""

    job: Path
    settings: tuple[str, ...] = ()
    resume: str | None = None
    environment: tuple[str, ...] = ()
    follow: bool = True


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """The run that a submission is: its id, its folder, and the command that makes it."""

    id: str
    folder: str
    command: tuple[str, ...]


def submit(request: SubmitRequest, server: JobServer, console: Console) -> int:
    """Returns the exit code: that of the run, 0 if it is not followed, or 5 if a check found a problem and nothing was sent.

    Raises a FlameError for what the job or the request has wrong.
    """
    config = load_config(request.job, request.settings)
    run, environment = plan(config, request), variables(request.environment)
    files = [_inside(each) for each in files_of(request.job)]
    narrow_token()
    if not render(console, *_checked(config, run, files, server)):
        return PlacementError.exit_code
    if secrets := [name for name in environment if names_secret(name)]:
        _say(console, "warning", f"Ray logs {', '.join(secrets)} in clear on each node: better the environment of the nodes")
    order = Order(
        submission=free_submission(run.id, server, run.folder),
        entrypoint=shlex.join(run.command),
        working_dir=str(Path.cwd()),
        environment={STOP_WAIT: str(stop_wait_s(config))} | environment,
        metadata=metadata(run, files[0]),
    )
    _send(order, run, server)
    _say_sent(console, run, order, server)
    return follow_run(server, order.submission, run.id, run.folder, console) if request.follow else 0


def _checked(config: Config, run: PlannedRun, files: Sequence[Path], server: JobServer) -> tuple:
    """Of a run that is resumed by its whole path, the root is where it is, as for the run itself."""
    placed = config.replaced("run", root=run.folder.rpartition("/")[0] or "/")
    checks, site = examine_submission(placed, files, server)
    return checks, None, site


def plan(config: Config, request: SubmitRequest) -> PlannedRun:
    """Raises ConfigError for a job of another command, a folder that the job could not keep, or a password that the cluster's
    dashboard would show.
    """
    if config.run.samples:
        refuse_relative("run.samples", config.run.samples, "--set run.samples=/shared/path, or s3://bucket/path")
    folder = _folder(config, request.resume)
    name, words = folder.rpartition("/")[2], [f"--set={each}" for each in request.settings]
    if request.resume is None and config.run.id is None:
        words.append(f"--set=run.id={name}")
        load_config(request.job, (*request.settings, f"run.id={name}"))  # a long run.name leaves no room for the time
    words += ["--resume", request.resume] if request.resume else []
    command = ("python", "-m", "flame_ray", _command(config), _inside(request.job).as_posix(), *words)
    if any(without_secrets(word) != word for word in command):
        fix = "take it out of --set: give the nodes their credentials, or pass a variable of them by --env"
        raise ConfigError("a command without passwords, which Ray's dashboard shows", "one in --set or --resume", fix)
    return PlannedRun(name, folder, command)


def _command(config: Config) -> str:
    """Raises ConfigError for a job of another command, with the way in which a cluster gets that one."""
    try:
        return job_command(config)
    except ConfigError as error:
        fix = f"{error.fix}; a cluster gets another command by `ray job submit`, as clusters/README.md says"
        raise ConfigError(error.expected, error.found, fix) from error


def _folder(config: Config, resume: str | None) -> str:
    """Of a run that is resumed, its settings are compared with the job's where its folder can be seen from here."""
    if resume is None or "/" not in resume:
        refuse_relative("run.root", config.run.root, ROOT)
    if resume is None:
        check_not_hidden(config)
        return f"{config.run.root.rstrip('/')}/{run_id(config)}"
    if not resume.strip("./ "):
        fix = "give the id of a run under run.root, or a run's folder"
        raise ConfigError("--resume with a run's id or folder", repr(resume), fix)
    path = resume.rstrip("/") if "/" in resume else f"{config.run.root.rstrip('/')}/{resume}"
    refuse_relative("--resume", path, "--resume /shared/path/RUN, or s3://bucket/path/RUN")
    folder = RunFolder(Storage(path))
    if folder.storage.local and has_record(folder):
        folder.check_resumable(config)
    return path


def _inside(path: Path) -> Path:
    """A file's path from the working directory, which is what Ray packs. Raises ConfigError for one outside."""
    root = Path.cwd()
    relative = Path(os.path.relpath(path.expanduser().absolute(), root))
    if ".." in relative.parts:
        fix = "run the command in a folder that holds the job and all that it reads by a relative path"
        raise ConfigError(f"a job file in {root}, the folder that is sent", str(path), fix)
    return relative


def variables(names: Sequence[str]) -> dict[str, str]:
    """The values of this process's variables. Raises ConfigError for one that is not set."""
    if unset := [name for name in names if name not in os.environ]:
        named = ", ".join(name.partition("=")[0] for name in unset)
        fix = "export it, and give only its name: --env HF_TOKEN"
        raise ConfigError("--env with names of variables that are set here", named, fix)
    return {name: os.environ[name] for name in names}


def stop_wait_s(config: Config) -> int:
    """The seconds from SIGTERM to SIGKILL: the run ends its step and stores its state, by its own limits."""
    return config.cluster.step_timeout_s + config.cluster.save_timeout_s + MARGIN_S


def metadata(run: PlannedRun, job: Path) -> dict[str, str]:
    """What the job server shows of the run. The commit is flame-ray's, where its code is in the package."""
    found = {"run_id": run.id, "run_folder": without_secrets(run.folder), "job_file": job.as_posix()}
    commit = git_commit(Path.cwd()) if Path("flame_ray", "__init__.py").is_file() else None
    return found | ({"git_commit": commit} if commit else {})


def free_submission(run: str, server: JobServer, folder: str | None = None) -> str:
    """The run's id, with a counter if a job has it. Raises StorageError if an earlier job of this run goes on."""
    if alive := [each.id for each in server.submissions(run, folder=folder) if not each.has_ended]:
        fix = f"follow it by `flame-ray logs {run} --follow`, or end it by `flame-ray stop {run}`"
        raise StorageError(f"no other job to be run {run}", f"{alive[0]}, which goes on", fix)
    used = server.ids()
    return next(each for each in chain([run], (f"{run}-{number}" for number in count(2))) if each not in used)


def _send(order: Order, run: PlannedRun, server: JobServer) -> None:
    """An order that arrived is not an error because its answer was lost. Raises PlacementError if nobody knows."""
    try:
        server.submit(order)
    except PlacementError as error:
        try:
            arrived = order.submission in {each.id for each in server.submissions(run.id)}
        except PlacementError as silent:
            fix = f"once it answers, `flame-ray status {run.id}` says whether the job is there"
            raise PlacementError(f"an answer from {server.address} to the job of {run.id}", silent.found, fix) from error
        if not arrived:
            raise


def _say_sent(console: Console, run: PlannedRun, order: Order, server: JobServer) -> None:
    sent: Mapping[str, str] = {
        "run": run.id,
        "job": f"{order.submission} at {server.address}",
        "folder": run.folder,
        "commit": order.metadata.get("git_commit", "unknown: the package has no flame_ray/, or no git knows it"),
        "stop": f"flame-ray stop {run.id} (a checkpoint has {order.environment[STOP_WAIT]} s)",
    }
    for name, value in sent.items():
        _say(console, name, value)


def _say(console: Console, name: str, value: str) -> None:
    say(console, f"{name:<7} {value}")
