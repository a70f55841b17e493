"""Checks the size of the folder that `ray job submit --working-dir .` would upload. Reads only the sizes of files."""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from flame_ray.cluster.connect import LOCAL, cluster_address
from flame_ray.config import Config
from flame_ray.doctor.checks import Check, Level, in_units

TOO_MANY_FILES = 100_000


def find_package(config: Config) -> Check:
    submits = cluster_address(config.cluster) != LOCAL
    try:
        return check_package(package_files(Path.cwd()), package_limit(), submits)
    except OSError as error:
        fix = "name it in .rayignore, or submit from another folder"
        return Check(Level.WARNING, "package", "files that Ray can read", f"{error}", fix)


def check_package(files: Mapping[str, int], limit: int, submits: bool) -> Check:
    """Too large an upload is a problem if this job is submitted to a cluster, otherwise a warning."""
    total = sum(size + 76 + 2 * len(name.encode()) for name, size in files.items()) + 22  # an uncompressed ZIP's records
    tops: dict[str, int] = {}
    for name, size in files.items():
        tops[name.partition("/")[0]] = tops.get(name.partition("/")[0], 0) + size
    largest = ", ".join(f"{name} {in_units(tops[name])}" for name in sorted(tops, key=lambda name: -tops[name])[:3])
    too_many = len(files) >= TOO_MANY_FILES
    level = Level.OK if total <= limit and not too_many else Level.PROBLEM if submits else Level.WARNING
    found = f"{'at least ' if too_many else ''}{in_units(total)} in {len(files)} files; largest: {largest or '-'}"
    fix = "name what is not needed in .rayignore, or submit from a smaller folder"
    return Check(level, "package", f"at most {in_units(limit)} to `ray job submit --working-dir .`", found, fix)


def package_files(root: Path) -> dict[str, int]:
    """The size in bytes of each file that Ray would pack. Ray's own code walks the folder, with .gitignore and .rayignore."""
    from ray._private import ray_constants
    from ray._private.runtime_env import packaging

    files: dict[str, int] = {}

    def note(path: Path) -> None:
        if len(files) >= TOO_MANY_FILES:
            raise InterruptedError
        if path.is_file():
            files[path.relative_to(root).as_posix()] = path.stat().st_size

    excludes = [packaging._get_excludes(root, ray_constants.get_runtime_env_default_excludes())]
    gitignore = os.environ.get(ray_constants.RAY_RUNTIME_ENV_IGNORE_GITIGNORE, "0") != "1"
    quiet = logging.getLogger(f"{__name__}.walk")
    quiet.disabled = True
    with suppress(InterruptedError):
        packaging._dir_travel(root, excludes, note, include_gitignore=gitignore, logger=quiet)
    return files


def package_limit() -> int:
    """The smaller of two limits: the job server's for a request (100 MiB), and Ray's for a package (512 MiB)."""
    from ray._private import ray_constants
    from ray._private.runtime_env import packaging

    return min(ray_constants.DASHBOARD_CLIENT_MAX_SIZE, packaging.GCS_STORAGE_MAX_SIZE)
