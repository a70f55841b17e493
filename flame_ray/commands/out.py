"""Checks `--out` before anything starts: that it lasts, and that something can be written there."""

from pathlib import Path

from flame_ray.cluster.submitted import require_lasting
from flame_ray.errors import ConfigError, StorageError
from flame_ray.storage.filesystem import Storage

SETTING = "--out"


def check_out_folder(out: Path) -> None:
    """Raises ConfigError or StorageError if the folder, which is made later, could not hold what a command writes."""
    _check_place(out)
    with Storage(out).trial(SETTING):
        pass


def check_out_file(out: Path) -> None:
    """The same for a file, which may exist."""
    _check_place(out)
    if out.is_dir():
        raise StorageError("--out to be a file", f"the folder {out}", "add the name of a file")
    with Storage(out.absolute().parent).trial(SETTING):
        pass


def _check_place(out: Path) -> None:
    if out.parts and out.parts[0].endswith(":"):  # `s3://bucket/x`, of which Path has dropped a slash
        raise ConfigError("--out to be a path on this machine", f"the URL {out}", "write to a local path, then copy it there")
    require_lasting(SETTING, out, "--out /shared/path")
