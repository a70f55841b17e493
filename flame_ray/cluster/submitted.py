"""What is special about a submitted job: a relative path lies in Ray's cache of the job's package, and is refused.

After a stop, Ray's job server does not say how the job ended: the last line of its log does.
"""

import re
from pathlib import Path
from typing import Any

from flame_ray.errors import ConfigError
from flame_ray.storage.shared_paths import job_settings

PACKAGES = "runtime_resources"  # the folder of each node in which Ray unpacks working directories
ENDED = "flame-ray has ended with exit code"
ROOT = "--set run.root=/shared/path, or s3://bucket/path"


def is_submitted() -> bool:
    """Whether this process is the driver of a submitted job, or was started in the folder of one."""
    return "job_submission_id" in job_metadata() or PACKAGES in Path.cwd().parts


def job_metadata() -> dict[str, Any]:
    """The metadata of this submitted job: Ray's own, and that of `--metadata-json`; {} in any other process."""
    return dict(job_settings().get("metadata") or {})


def require_lasting(setting: str, path: str | Path, example: str) -> None:
    """Raises ConfigError for a relative path in a submitted job: it would be lost when the job's files change."""
    if is_submitted():
        refuse_relative(setting, path, example)


def refuse_relative(setting: str, path: str | Path, example: str) -> None:
    """The same of a job that is about to be submitted."""
    if is_relative(str(path)):
        raise ConfigError(
            f"an absolute path or a URL for {setting}, as this job was submitted",
            f"{path}, which would lie in Ray's cache of the job's package: it moves when a file changes, and no other node "
            "sees it",
            f"give a folder that every node sees, such as {example}",
        )


def is_relative(path: str) -> bool:
    """Whether a path depends on the working directory.

    >>> [is_relative(path) for path in ("runs", "file://runs", "~/runs", "/runs", "s3://bucket/runs")]
    [True, True, False, False, False]
    """
    plain = path.removeprefix("file://").removeprefix("local://")
    return "://" not in plain and not Path(plain).expanduser().is_absolute()


def last_words(exit_code: int) -> str:
    """What a command that fails adds to its message in a submitted job: a line with its exit code; "" in any other process."""
    return f"\n{ENDED} {exit_code}" if is_submitted() else ""


def told_exit_code(log: str) -> int | None:
    """The exit code that a job's log ends with; None if it has no such line, as after a kill.

    >>> told_exit_code("round 1 train\\nflame-ray has ended with exit code 75\\n")
    75
    """
    found = re.findall(rf"^{ENDED} (\d+)$", log, flags=re.MULTILINE)
    return int(found[-1]) if found else None
