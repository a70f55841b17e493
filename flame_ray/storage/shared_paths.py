"""How a path that the user names on one machine is told to actors on others, and what they say if it is not there."""

import json
import os
from pathlib import Path
from typing import Any

from flame_ray.errors import FlameError

JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by Ray's job manager for a job's entrypoint


def path_for_actors(name: str) -> str:
    """An existing file or folder as an absolute path, without `~`; any other name, such as a hub id, as it is.

    In a submitted job with a working directory a relative path stays one: each node has a copy of that directory, in which its
    actors run. It begins with `./`, so that it cannot be taken for a hub id.
    """
    path = Path(name).expanduser()
    if not path.exists():
        return name
    if not path.is_absolute() and _has_working_directory():
        return f"./{path}"
    return str(path.absolute())


def is_path(name: str) -> bool:
    """Whether a name from `path_for_actors` is a path."""
    return name.startswith(("/", "./"))


def check_is_here(setting: str, name: str, kind: type[FlameError]) -> None:
    """Raise an error of this kind if a name from `path_for_actors` is a path that this node does not have."""
    if is_path(name) and not Path(name).exists():
        fix = "put it on storage that every node sees at the same path, or on each node"
        raise kind(f"{setting} on every node", f"nothing at {name}", fix)


def job_settings() -> dict[str, Any]:
    """What Ray's job manager tells the entrypoint of a submitted job; {} in any other process."""
    try:
        return dict(json.loads(os.environ.get(JOB, "{}")))
    except ValueError:
        return {}


def _has_working_directory() -> bool:
    return "working_dir" in (job_settings().get("runtime_env") or {})
