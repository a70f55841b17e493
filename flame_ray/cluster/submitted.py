"""What a job of `ray job submit` may not do: write to a relative path, which lies in Ray's cache of the job's package."""

from pathlib import Path
from typing import Any

from flame_ray.errors import ConfigError
from flame_ray.storage.shared_paths import job_settings

PACKAGES = "runtime_resources"  # the folder of each node in which Ray unpacks working directories
ROOT = "--set run.root=/shared/path, or s3://bucket/path"


def is_submitted() -> bool:
    """Whether this process is the driver of a submitted job, or was started in the folder of one."""
    return "job_submission_id" in job_metadata() or PACKAGES in Path.cwd().parts


def job_metadata() -> dict[str, Any]:
    """The metadata of this submitted job: Ray's own, and that of `--metadata-json`; {} in any other process."""
    return dict(job_settings().get("metadata") or {})


def require_lasting(setting: str, path: str | Path, example: str) -> None:
    """Raises ConfigError for a relative path in a submitted job: it would be lost when the job's files change."""
    if is_relative(str(path)) and is_submitted():
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
