"""Checks `--out`, or another place to write to, before anything starts: that it lasts, and can be written to."""

from pathlib import Path

from flame_ray.cluster.submitted import require_lasting
from flame_ray.errors import ConfigError, StorageError
from flame_ray.storage.filesystem import Storage

OUT = "--out"


def check_out_folder(out: Path, setting: str = OUT) -> None:
    """Raises ConfigError or StorageError if the folder, which is made later, could not hold what a command writes."""
    _check_place(out, setting)
    with Storage(out).trial(setting):
        pass


def check_out_file(out: Path) -> None:
    """The same for a file, which may exist."""
    _check_place(out, OUT)
    if out.is_dir():
        raise StorageError(f"{OUT} to be a file", f"the folder {out}", "add the name of a file")
    with Storage(out.absolute().parent).trial(OUT):
        pass


def _check_place(out: Path, setting: str) -> None:
    if out.parts and out.parts[0].endswith(":"):  # `s3://bucket/x`, of which Path has dropped a slash
        fix = "write to a local path, then copy it there" if setting == OUT else "give a folder that every node mounts"
        raise ConfigError(f"{setting} to be a path on this machine", f"the URL {out}", fix)
    require_lasting(setting, out, f"{setting} /shared/path")
